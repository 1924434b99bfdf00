import { toBase64 } from "#ledger/bytes/base64";
import type { LogReport } from "#auditing/log-report";
import { sentence } from "#auditing/sentence";
import type { Claims } from "#ledger/verify";
import { printable } from "../printable.ts";
import { complain, say } from "../output.ts";

/** Prints a report: good on standard output, wrong or not reached on standard error. Returns true when it is good. */
export function printReport(report: LogReport, { since = [], receipts = [] }: Claims): boolean {
  if ("wrong" in report) {
    complain(
      printable(
        `${report.name}: ${report.notReached === true ? "NOT REACHED" : "WRONG"}: ${sentence(report.wrong)}`,
      ),
    );
    return false;
  }
  if (report.removed === true) {
    const text = "deleted, six years after its half-year had ended";
    say(`${report.name}: ${text}; its last checkpoint in the root log is of ${report.good.size} leaves`);
    return true;
  }
  const { size, frames, root } = report.good;
  const claimed = [
    ...since.map(() => "extends the earlier checkpoint"),
    ...receipts.map(({ index }) => `has the receipt's leaf ${index}`),
  ];
  const rooted = report.rooted === undefined ? [] : [`${report.rooted} of them under the root log`];
  const cosigned = (report.cosigned ?? []).map((by) => `cosigned by ${by.name} at ${timeText(by.seconds)}`);
  const facts = [
    `${report.name}: good: ${size} leaves in ${frames} frames, root ${toBase64(root)}`,
    ...rooted,
    ...cosigned,
    ...claimed,
  ];
  say(printable(facts.join(", ")));
  return true;
}

/** A report as `ledger verify --json` has it. */
export function reportAsJson(report: LogReport): object {
  if ("wrong" in report) {
    const wrong = sentence(report.wrong);
    return { log: report.name, wrong: report.notReached === true ? `not reached: ${wrong}` : wrong };
  }
  const { good, removed, rooted, cosigned } = report;
  return {
    log: report.name,
    size: good.size,
    frames: good.frames,
    root: toBase64(good.root),
    ...(removed === true && { deleted: true }),
    ...(rooted !== undefined && { rooted }),
    ...(cosigned !== undefined && { cosigned }),
  };
}

/** A witness signs any time it likes, also a time that no calendar has. That time must not end the report. */
function timeText(seconds: number): string {
  const time = new Date(seconds * 1000);
  return Number.isNaN(time.getTime()) ? `second ${seconds}` : time.toISOString();
}
