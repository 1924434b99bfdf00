import { readFrame } from "#fhir/bundle";
import { EntrySplitter } from "#fhir/json/entry-splitter";
import { RowBarrier } from "#fhir/row-barrier";
import { instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { Discloser, type DisclosureRefusal } from "#phi/disclose";
import type { NamedBases } from "#phi/row-views";
import type { DisclosedWindow, Disclosure } from "#phi/disclosure";
import { Page } from "#phi/page";
import type { PolicyDocument } from "#policy/schema";
import { Residences } from "#residence/row-residences";
import { decide } from "../policy/granting.ts";

/** The bases of an answer of `main`, and what is noted of its rows. */
export const basesOfAnswer = () => ({
  origin: "https://origin.internal/fhir",
  public: "https://api.example/v1/fhir/main",
  name: "main",
  residences: new Residences(instant(0)),
  barrier: new RowBarrier(),
});

/** The released part of an origin's answer, as a whole: for a search its only page. */
export function disclose(
  body: Uint8Array,
  document: PolicyDocument,
  request: string,
  bases: NamedBases,
): Result<DisclosedWindow & Pick<Disclosure, "withheldPaths">, DisclosureRefusal> {
  const grant = decide(document, request);
  if ("reason" in grant) throw new Error(`refused: ${grant.reason}`);
  const { expects } = grant;
  if (expects.kind === "vread") throw new Error("a vread has two answers");
  const disclosed =
    expects.kind === "read"
      ? new Discloser(grant, bases).read(body, expects.type, expects.id)
      : pageOf(body, new Page(grant, expects, bases));
  if (!disclosed.ok) return disclosed;
  const { windows, withheldPaths } = disclosed.value;
  const [window] = windows;
  if (window === undefined || windows.length > 1) throw new Error("not one window");
  return ok({ ...window, withheldPaths });
}

function pageOf(body: Uint8Array, page: Page): Result<Disclosure, DisclosureRefusal> {
  const splitter = new EntrySplitter();
  const entries = splitter.push(body);
  if (!entries.ok) return err({ reason: `answer_${entries.error.reason}` });
  let isFull = false; // entries after a full page play no part here
  for (const entry of entries.value) {
    const offered = page.offer(entry);
    if (!offered.ok) return offered;
    if (offered.value === "beyond") {
      isFull = true;
      break;
    }
  }
  const rest = splitter.end();
  const frame = rest.ok ? readFrame(rest.value) : rest;
  if (!frame.ok) return err({ reason: `answer_${frame.error.reason}` });
  return page.finish(isFull ? "next" : undefined, true);
}
