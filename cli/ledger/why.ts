import { adviceOn } from "#entrypoint/advice";
import { Misuse } from "../misuse.ts";
import { printable } from "../printable.ts";
import { auditorOptions, auditorSource } from "../records/auditor-source.ts";
import { decidedByText } from "#audit/decided-by-words";
import { eventsOf } from "#auditing/ledger-events";
import { UnreadList } from "../records/unread.ts";
import { asJson, asLine } from "./ledger-read.ts";
import { complain, giveLine, printsJson, say } from "../output.ts";
import { readCall } from "../read-call.ts";

/**
 * Prints the records of a request, and for a refusal the advice that its caller got. Opens leaves with an
 * auditor's key: patient data, on standard output and nowhere else. Returns 1 if no record has the id.
 */
export async function why(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, auditorOptions);
  const [id, place, ...more] = positionals;
  if (id === undefined || more.length > 0) throw new Misuse();
  if (!/^[0-9a-f]{32}$/u.test(id))
    throw new Misuse("a request id is 32 hex digits: X-Request-Id of the answer");
  const unread = new UnreadList();
  const reasons = new Set<string>();
  const decided = new Set<string>();
  let count = 0;
  for await (const found of eventsOf(await auditorSource(values, place))) {
    if (!("event" in found)) {
      unread.add(found);
      continue;
    }
    if (found.event.id !== id) continue;
    count += 1;
    const { reason } = found.event.outcome ?? {};
    if (reason !== undefined) reasons.add(reason);
    if (found.event.decision !== undefined) decided.add(decidedByText(found.event.decision));
    if (printsJson()) giveLine(asJson(found));
    else say(printable(asLine(found)));
  }
  for (const text of decided) say(printable(text));
  for (const reason of reasons) for (const line of adviceOf(reason)) say(line);
  for (const line of unread.lines) complain(printable(line));
  if (count === 0)
    complain("no opened record has this id: check the id, the place of the logs, and the auditor's key");
  return count > 0 && unread.count === 0 ? 0 : 1;
}

/** The reason, and what its caller was told to do. */
const adviceOf = (reason: string): readonly string[] => [
  printable(`reason ${reason}`),
  ...adviceOn(reason).map((text) => `  ${text}`),
];
