import { readLine } from "./line.ts";
import type { LineFilter } from "./disclosures.ts";
import { accountingDutyOf } from "./exclusions.ts";

/**
 * `withheld`: disclosures to this recipient are suspended now. `passed`: the request does not ask for the
 * line. A line that this version cannot read is listed: the accounting rather lists too much than too little.
 */
export type LineVerdict = "listed" | "passed" | "withheld";

/** Judges a line by its content. `without`: recipients whose lines are withheld. */
export function judgeLine(content: Uint8Array, filter: LineFilter, without: readonly string[]): LineVerdict {
  const line = readLine(content);
  if (line === undefined) return "listed";
  // first: a suspended line must not show, whatever the request asks for
  if (without.includes(line.recipient)) return "withheld";
  const { from, to, excluded, recipient, purpose } = filter;
  const isRequested =
    line.at >= from &&
    line.at <= to &&
    (recipient === undefined || line.recipient === recipient) &&
    (purpose === undefined || line.purposes.includes(purpose)) &&
    (excluded === undefined || accountingDutyOf(line, excluded).required);
  return isRequested ? "listed" : "passed";
}
