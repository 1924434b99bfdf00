import { dayMilliseconds, instant, type Instant } from "#kernel/clock";
import type { LedgerLayout } from "./layout.ts";
import { logOf, type Sender } from "./shard-choice.ts";
import { halfYearOf, logName, parseLogName, SWITCH_SLACK_MS } from "./log-name.ts";

// longer than any clock may differ: the log itself decides whether its predecessor counts
const ASKED_MS = dayMilliseconds;

/**
 * The log of a sender in the half-year before, if that ended lately: a shard of the sender's region then, which
 * may have a different number. Undefined at any further time.
 */
export function earlierLog(sender: Sender, layout: LedgerLayout, at: Instant): string | undefined {
  const halfYear = halfYearOf(instant(at - ASKED_MS));
  return halfYear === halfYearOf(at) ? undefined : logOf(sender, layout, halfYear);
}

/**
 * The log of the same shard in the half-year before, while it must be asked about first uses (of proofs, for
 * example). It may still take records for SWITCH_SLACK_MS past the switch, and its last records must be
 * remembered for as long again.
 */
export function predecessor(log: string, now: Instant): string | undefined {
  const name = parseLogName(log);
  if (name === undefined) return undefined;
  const began = Date.UTC(Number(name.halfYear.slice(0, 4)), name.halfYear.endsWith("h1") ? 0 : 6);
  if (now >= began + 2 * SWITCH_SLACK_MS) return undefined;
  return logName({ shard: name.shard, halfYear: halfYearOf(instant(began - 1)) });
}
