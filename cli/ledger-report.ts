import { toBase64 } from "#ledger/bytes/base64";
import type { Claims, Finding } from "#ledger/verify";
import type { Report } from "./ledger-folder.ts";
import { printable } from "./printable.ts";

/** `frame/1 (frame 1): frame magic`, or what was said in words. */
export function sentence(wrong: Finding | string): string {
  if (typeof wrong === "string") return wrong;
  const { object, index, problem } = wrong;
  return `${object}${index === undefined ? "" : ` (${object.startsWith("frame/") ? "frame" : "leaf"} ${index})`}: ${problem.replaceAll("_", " ")}`;
}

/** Prints what was found, good on standard output and wrong on standard error. Whether it is good. */
export function tell(report: Report, { since = [], receipts = [] }: Claims): boolean {
  if ("wrong" in report) {
    console.error(printable(`${report.name}: WRONG: ${sentence(report.wrong)}`));
    return false;
  }
  if (report.removed === true) {
    const text = "removed, as it may be six years after its half-year";
    console.log(
      `${report.name}: ${text}; its last checkpoint in the root log is of ${report.good.size} leaves`,
    );
    return true;
  }
  const { size, frames, root } = report.good;
  const claimed = [
    ...since.map(() => "extends the earlier checkpoint"),
    ...receipts.map(({ index }) => `has the receipt's leaf ${index}`),
  ];
  const rooted = report.rooted === undefined ? [] : [`${report.rooted} of them under the root log`];
  const cosigned = (report.cosigned ?? []).map((by) => `cosigned by ${by.name} at ${timeText(by.seconds)}`);
  const said = [
    `${report.name}: good: ${size} leaves in ${frames} frames, root ${toBase64(root)}`,
    ...rooted,
    ...cosigned,
    ...claimed,
  ];
  console.log(printable(said.join(", ")));
  return true;
}

/** A witness says any time it likes, also one that no calendar has: it must not end the report. */
function timeText(seconds: number): string {
  const time = new Date(seconds * 1000);
  return Number.isNaN(time.getTime()) ? `second ${seconds}` : time.toISOString();
}
