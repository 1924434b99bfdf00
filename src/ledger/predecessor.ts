import { instant, type Instant } from "#kernel/clock";
import { halfYearOf, logName, parseLogName, SWITCH_SLACK_MS } from "./log-name.ts";

/**
 * The same shard's log of the half-year before, while it has a say in what is used here for the first time: it may still take records for
 * SWITCH_SLACK_MS past the switch, and what it took last must be remembered for as long again.
 */
export function predecessor(log: string, now: Instant): string | undefined {
  const name = parseLogName(log);
  if (name === undefined) return undefined;
  const began = Date.UTC(Number(name.halfYear.slice(0, 4)), name.halfYear.endsWith("h1") ? 0 : 6);
  if (now >= began + 2 * SWITCH_SLACK_MS) return undefined;
  return logName({ shard: name.shard, halfYear: halfYearOf(instant(began - 1)) });
}
