export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (at(sorted, Math.floor((sorted.length - 1) / 2)) + at(sorted, Math.floor(sorted.length / 2))) / 2;
}

/** The centre of some values, and the interval that contains the true centre with 95 %. */
export interface Estimate {
  readonly value: number;
  readonly from: number;
  readonly to: number;
}

const z = 1.96; // of the normal distribution, for 95 %

/**
 * The median of the means of all pairs (Hodges and Lehmann), each value with itself included, and the interval of
 * the signed-rank test. A slice of half a second has a collection of the runtime in it or has not, so a median of
 * slices forgets either kind, and a mean follows the one slice in which a different process had the core. The
 * median of pairs weighs all slices and bears more than one wild one in four. On the slices of a busy machine a
 * ratio by it had a standard error of 6.3 % (7.4, 3.7, 10, 9.6 %), where the median of the ratios had 8.6 % (6.3,
 * 4.6, 12.7, 9.6), and medians of slices that were divided by the mean of their turn 7.3 % (7.8, 5.0, 14.4, 9.2). Fewer than six values: the interval is all of them.
 */
export function estimate(values: readonly number[]): Estimate {
  const pairs = values
    .flatMap((one, i) => values.slice(i).map((other) => (one + other) / 2))
    .toSorted((a, b) => a - b);
  const n = values.length;
  const outside = pairs.length / 2 - z * Math.sqrt((n * (n + 1) * (2 * n + 1)) / 24);
  const first = Math.max(0, Math.floor(outside));
  return { value: median(pairs), from: at(pairs, first), to: at(pairs, pairs.length - 1 - first) };
}

const at = (sorted: readonly number[], index: number) => sorted[index] ?? Number.NaN;
