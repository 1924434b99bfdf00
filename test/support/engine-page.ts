import { RowBarrier } from "#fhir/row-barrier";
import { EntrySplitter } from "#fhir/json/entry-splitter";
import { isReading, readInteraction } from "#fhir/interaction";
import { parseScopes } from "#identity/scopes";
import { instant } from "#kernel/clock";
import { Page } from "#phi/page";
import { compilePolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { Residences } from "#residence/row-residences";
import { origin, policy, rule } from "../policy/granting.ts";

/** A page of an origin: its entries, each with a note of so many bytes, and the elements that the view shows. */
export interface LongPage {
  readonly entries: number;
  readonly noteBytes: number;
  readonly shown: readonly string[];
}

const utf8 = (text: string) => new TextEncoder().encode(text);
const piece = utf8("n".repeat(65_536));

/** The body of the page, in chunks of at most 64 KiB that no one holds. */
function* bodyOf({ entries, noteBytes }: LongPage): Generator<Uint8Array> {
  yield utf8('{"resourceType":"Bundle","type":"searchset","entry":[');
  for (let index = 0; index < entries; index += 1) {
    const before =
      `${index === 0 ? "" : ","}{"resource":{"resourceType":"Observation","id":"o${index}","status":"final",` +
      '"code":{"text":"c"},"subject":{"reference":"Patient/p"},"note":[{"text":"';
    yield utf8(before);
    for (let left = noteBytes; left > 0; left -= piece.length)
      yield piece.subarray(0, Math.min(left, piece.length));
    yield utf8('"}]},"search":{"mode":"match"}}');
  }
  yield utf8("]}");
}

/** Makes the client's page of it, as the gateway does. @returns the bytes of its windows. */
export function makePage(long: LongPage): number {
  const interaction = readInteraction("GET", ["Observation"], "_count=1000");
  const scopes = parseScopes("system/*.rs");
  if (!interaction.ok || !isReading(interaction.value) || !scopes.ok) throw new Error("no search");
  const compiled = compilePolicy(policy(rule(["Observation"], [...long.shown])), "sha256:test");
  const grant = evaluate(compiled, { scopes: scopes.value, patient: undefined }, interaction.value);
  if (!grant.ok || grant.value.expects.kind !== "search") throw new Error("not granted");
  const bases = {
    origin,
    public: "https://api.example",
    name: "main",
    residences: new Residences(instant(0)),
    barrier: new RowBarrier(),
  };
  const page = new Page(grant.value, grant.value.expects, bases);
  const [splitter, ahead] = [new EntrySplitter(), page.ahead(() => "row")];
  for (const chunk of bodyOf(long)) {
    const read = splitter.read(chunk, (entry) => (page.offer(entry).ok ? undefined : "refused"), ahead);
    if (!read.ok || read.value !== undefined) throw new Error("refused");
  }
  const disclosed = page.finish(undefined, true);
  if (!disclosed.ok) throw new Error(disclosed.error.reason);
  return disclosed.value.windows.reduce((sum, { body }) => sum + body.length, 0);
}
