import type { Traffic } from "./instruments.ts";

/** A span of stored numbers, for a plot. */
export interface TrafficSpan {
  readonly by: "minute" | "hour";
  /** Minutes or hours since 1970-01-01 UTC, both included. */
  readonly from: number;
  readonly to: number;
  /** The minutes or hours that add up in a bin; 1 without it. A bin begins at a multiple of it. */
  readonly step?: number;
}

/** The numbers of a bin. */
export interface TrafficAt {
  /** The first minute or hour of the bin. */
  readonly at: number;
  readonly counts: Traffic;
}
