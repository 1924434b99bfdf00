import { type Traffic, readSeries, seriesOf } from "#audit/traffic/instruments";
import { waitLimits } from "#audit/traffic/isolate-labels";
import { histogramOf } from "#audit/traffic/times";
import type { Instant } from "#kernel/clock";
import { largest } from "#kernel/largest";
import type { GaugeReading } from "./gauges.ts";
import {
  type AlertRule,
  alertWindows,
  type Expression,
  type FailureName,
  failures,
  slow,
  uncounted,
} from "./rules.ts";

const minuteMilliseconds = 60_000;

/** The totals that rules of failures need, at a moment. They only grow, but after a loss of the traffic book. */
export interface AlertTotals {
  readonly at: Instant;
  /** Ends of requests. */
  readonly all: number;
  readonly failed: Readonly<Record<FailureName, number>>;
  /** Of the times that the gateway added. Undefined: totals of a version that kept none. */
  readonly slow?: Share;
}

interface Share {
  readonly all: number;
  readonly failed: number;
}

/** The facts at a moment. */
export interface AlertFacts {
  /** Oldest first; the last is the present. */
  readonly counted: readonly AlertTotals[];
  readonly readings: readonly GaugeReading[];
}

/** The sums over all series of the traffic book. */
export function countedOf(totals: Traffic, at: Instant): AlertTotals {
  const sum = { all: 0, gateway: 0, origin: 0, late: 0 };
  for (const [series, total] of totals) {
    const { instrument, labels: [label = ""] = [] } = readSeries(series) ?? {};
    if (instrument === "phylax_outcomes" && label !== uncounted) sum.all += total;
    if (instrument === "phylax_faults") {
      sum.all += total; // no outcome is on record
      sum.gateway += total;
    }
    if (instrument !== "phylax_refusals") continue;
    for (const [name, reasons] of eachFailure) if (reasons.has(label)) sum[name] += total;
  }
  const { all, ...failed } = sum;
  return { at, all, failed, slow: slowOf(totals) };
}

function slowOf(totals: Traffic): Share {
  const { buckets } = histogramOf(seriesOf("phylax_wait_seconds", [slow.wait]), totals);
  const all = buckets.at(-1)?.upTo ?? 0;
  return { all, failed: all - (buckets[waitLimits.indexOf(slow.limit)]?.upTo ?? all) };
}

const shareOf = (totals: AlertTotals, name: FailureName | "slow"): Share | undefined =>
  name === "slow" ? totals.slow : { all: totals.all, failed: totals.failed[name] };

const eachFailure = (Object.keys(failures) as FailureName[]) // the keys of the table
  .map((name) => [name, new Set<string>(failures[name])] as const);

/** The longest window of a rule: older totals are of no use. */
export const windowMaxMinutes = largest(alertWindows);

/** The value that a rule compares with its threshold. Undefined: no fact says it. */
export function valueOf(
  { expression }: Pick<AlertRule, "expression">,
  facts: AlertFacts,
): number | undefined {
  if (expression.kind === "burn") return burnRate(expression, facts.counted);
  const { gauge, of, only } = expression;
  const readings = facts.readings.filter((reading) => reading.gauge === gauge);
  if (readings.length === 0) return undefined;
  // a label without a reading counts none: a gauge of states has only the states that logs are in
  return readings
    .filter(({ labels: [label = ""] }) => only?.includes(label) ?? true)
    .reduce((all, { value }) => (of === "max" ? Math.max(all, value) : all + value), 0);
}

function burnRate(
  { failures: name, objective, windows, least }: Extract<Expression, { kind: "burn" }>,
  counted: readonly AlertTotals[],
): number | undefined {
  const shares = counted.flatMap((totals) => {
    const share = shareOf(totals, name);
    return share === undefined ? [] : [{ at: totals.at, ...share }];
  });
  const now = shares.at(-1);
  if (now === undefined) return undefined;
  const [long, short] = windows.map((minutes) => {
    const before = atOrBefore(shares, now.at - minutes * minuteMilliseconds);
    const all = now.all - before.all;
    const failed = now.failed - before.failed;
    return { failed, rate: all > 0 ? failed / all / (1 - objective) : 0 };
  });
  if (long === undefined || short === undefined || long.failed < least) return 0;
  return Math.min(long.rate, short.rate);
}

/** The totals at the begin of a window; a history that begins later counts from its own begin. */
function atOrBefore<T extends { readonly at: Instant }>(counted: readonly T[], at: number): T {
  const found = counted.findLast((each) => each.at <= at) ?? counted[0];
  if (found === undefined) throw new Error("a window of no totals");
  return found;
}

/** How an alert stands. `since`: when the value came over the threshold. */
export type AlertStanding =
  | { readonly state: "quiet" }
  | { readonly state: "waiting" | "firing"; readonly since: Instant };

/** How an alert stands after a look. An alert ends with the first value that is not over the threshold. */
export function stepAlert(
  { threshold, minutes }: Pick<AlertRule, "threshold" | "minutes">,
  before: AlertStanding,
  value: number | undefined,
  at: Instant,
): AlertStanding {
  // a fact that is missing ends no alert; `numbers_old` says that it is missing
  if (value === undefined) return before;
  if (value <= threshold) return { state: "quiet" };
  const since = before.state === "quiet" ? at : before.since;
  return { state: at - since >= minutes * minuteMilliseconds ? "firing" : "waiting", since };
}
