import { dayMilliseconds } from "#kernel/clock";
import type { Traffic } from "./instruments.ts";

/** The units of stored numbers: their length, and for how many of them a number is kept: 35 days, 13 months. */
export const spanUnits = {
  minute: { milliseconds: 60_000, kept: (35 * dayMilliseconds) / 60_000 },
  hour: { milliseconds: 3_600_000, kept: (396 * dayMilliseconds) / 3_600_000 },
} as const;
export type SpanUnit = keyof typeof spanUnits;

/** A span of stored numbers, for a plot. */
export interface TrafficSpan {
  readonly by: SpanUnit;
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
