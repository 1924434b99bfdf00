import { instant, type Instant } from "#kernel/clock";
import { halfYearOf, logName, parseLogName, SWITCH_SLACK_MS } from "./log-name.ts";

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
