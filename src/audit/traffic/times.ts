import { seriesOf, type Series, type Traffic } from "./instruments.ts";
import { type Wait, waitLimits } from "./isolate-labels.ts";

/** The times of a histogram. */
interface Histogram {
  /** By the limit in seconds, `+Inf` last: the number of times that do not exceed it. */
  readonly buckets: readonly { readonly limit: string; readonly upTo: number }[];
  /** All times together. */
  readonly seconds: number;
}

/** `head`: the series of a histogram without its part. */
export function histogramOf(head: Series, numbers: Traffic): Histogram {
  const of = (part: string) => numbers.get(`${head} ${part}`) ?? 0;
  let upTo = 0;
  const buckets = waitLimits.map((limit) => ({
    limit: String(limit / 1_000),
    upTo: (upTo += of(String(limit))),
  }));
  return {
    buckets: [...buckets, { limit: "+Inf", upTo: upTo + of("above") }],
    seconds: of("sum") / 1_000,
  };
}

/**
 * A quantile of a wait in milliseconds, by a straight line within its bucket. Undefined: no time was counted. A time
 * above all limits counts as the last limit.
 *
 * @param part from 0 to 1: 0.95 is the time that 95 of 100 do not exceed
 */
export function waitQuantile(numbers: Traffic, wait: Wait, part: number): number | undefined {
  const { buckets } = histogramOf(seriesOf("phylax_wait_seconds", [wait]), numbers);
  const all = buckets.at(-1)?.upTo ?? 0;
  if (all === 0) return undefined;
  const rank = part * all;
  const at = buckets.findIndex(({ upTo }) => upTo >= rank);
  const before = buckets[at - 1]?.upTo ?? 0;
  const [low, high] = [waitLimits[at - 1] ?? 0, waitLimits[at]];
  if (high === undefined) return low;
  return low + ((high - low) * (rank - before)) / Math.max(1, (buckets[at]?.upTo ?? 0) - before);
}
