import { readLine } from "./line.ts";
import type { LineFilter } from "./disclosures.ts";
import { accountingDutyOf } from "./exclusions.ts";

/**
 * `withheld`: to a recipient of whom nothing may be told now. `passed`: not one of those asked for. What this
 * version cannot read is listed: too much is told, never too little.
 */
export type LineVerdict = "listed" | "passed" | "withheld";

/** Judges a line by its content. `without`: recipients whose lines are withheld. */
export function judgeLine(content: Uint8Array, filter: LineFilter, without: readonly string[]): LineVerdict {
  const says = readLine(content);
  if (says === undefined) return "listed";
  if (without.includes(says.recipient)) return "withheld"; // first: whatever was asked for, it must not show
  const { from, to, excluded, recipient, purpose } = filter;
  const isAsked =
    says.at >= from &&
    says.at <= to &&
    (recipient === undefined || says.recipient === recipient) &&
    (purpose === undefined || says.purposes.includes(purpose)) &&
    (excluded === undefined || accountingDutyOf(says, excluded).required);
  return isAsked ? "listed" : "passed";
}
