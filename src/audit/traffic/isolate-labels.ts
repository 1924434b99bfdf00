/** What waits. `added`: a request less the time in which a call of an origin ran. */
export const waits = ["request", "added", "origin", "append", "lease"] as const;
export type Wait = (typeof waits)[number];

/** The fixed limits of the histograms, in milliseconds: a time counts in the first bucket that it does not exceed. */
export const waitLimits = [2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000] as const;

/** The last part of a histogram's series: a bucket by its limit, the bucket above all limits, the sum in milliseconds. */
export const waitParts: readonly string[] = [...waitLimits.map(String), "above", "sum"];

export const leaseResults = ["granted", "exhausted", "failed"] as const;

export const floodDoors = ["fhir", "oauth", "well-known", "readyz"] as const;

/** `phi/bytes/row-counts` explains the ways; `unjudged`: hidden by the barrier. */
export const rowWays = [
  "bytes",
  "form",
  "judgement",
  "versions",
  "deciding",
  "included",
  "unjudged",
] as const;
