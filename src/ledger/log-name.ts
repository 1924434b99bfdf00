import { type Instant, instant } from "#kernel/clock";

/** A log: shard number and half-year. Its name is `s<shard>-<halfYear>`. */
export interface LogName {
  readonly shard: number;
  readonly halfYear: string; // <yyyy>h1 (January to June, UTC) or <yyyy>h2
}

/** Clocks may differ by this much around a switch of half-years: both logs then take records. */
export const SWITCH_SLACK_MS = 130_000;

export const logName = (name: LogName): string => `s${name.shard}-${name.halfYear}`;

/** The half-year in UTC that an instant falls in. */
export function halfYearOf(at: Instant): string {
  const date = new Date(at);
  return `${date.getUTCFullYear()}h${date.getUTCMonth() < 6 ? 1 : 2}`;
}

/** Reads a log name, or undefined. A log name has a single spelling. */
export function parseLogName(text: string): LogName | undefined {
  const match = /^s(0|[1-9]\d{0,4})-(\d{4}h[12])$/.exec(text);
  return match === null ? undefined : { shard: Number(match[1]), halfYear: match[2] ?? "" };
}

/** The end of a log's half-year; undefined for a text that is not a log name. */
export function endOf(log: string): Instant | undefined {
  const halfYear = parseLogName(log)?.halfYear;
  return halfYear === undefined
    ? undefined
    : instant(Date.UTC(Number(halfYear.slice(0, 4)), halfYear.endsWith("h1") ? 6 : 12));
}

/**
 * The time after which a log is only read. It took its last record SWITCH_SLACK_MS before, and its memory of
 * proofs no longer counts (see `predecessor`).
 */
export function overAt(log: string): Instant | undefined {
  const end = endOf(log);
  return end === undefined ? undefined : instant(end + 2 * SWITCH_SLACK_MS);
}

/** The half-years whose logs take records now: one, or two within SWITCH_SLACK_MS of a switch. */
export const openHalfYears = (now: Instant): readonly string[] => [
  ...new Set([now, now - SWITCH_SLACK_MS, now + SWITCH_SLACK_MS].map((at) => halfYearOf(instant(at)))),
];

// LEDGER_SHARDS is at most this, so no shard of a configuration has such a number.
const STAND_INS_FROM = 10_000;
const STAND_INS_MAX = 9; // a log name has at most five digits

/** The configured shard of a log: of the shard itself, and of each log that stands in for it. */
export const placeOfShard = (shard: number): number => shard % STAND_INS_FROM;

/** True for a log that stands in for a log whose storage was lost (docs/ledger-format.md §2). */
export const isStandIn = (log: string): boolean => (parseLogName(log)?.shard ?? 0) >= STAND_INS_FROM;

/** The names that may stand in for a log, in their order: each for the name before it. */
export function standInsOf(log: string): readonly string[] {
  const name = parseLogName(log);
  if (name === undefined) return [];
  const first = Math.floor(name.shard / STAND_INS_FROM) + 1;
  return Array.from({ length: Math.max(0, STAND_INS_MAX + 1 - first) }, (_, i) =>
    logName({ ...name, shard: placeOfShard(name.shard) + (first + i) * STAND_INS_FROM }),
  );
}

/** A span of time, its end excluded. */
export interface Span {
  readonly from: Instant;
  readonly until: Instant;
}

/** When a log takes records, in a ledger of this many shards; undefined for never. */
export function openTimes(text: string, shards: number): Span | undefined {
  const [name, end] = [parseLogName(text), endOf(text)];
  if (name === undefined || end === undefined || placeOfShard(name.shard) >= shards) return undefined;
  const start = Date.UTC(Number(name.halfYear.slice(0, 4)), name.halfYear.endsWith("h1") ? 0 : 6);
  return { from: instant(start - SWITCH_SLACK_MS), until: instant(end + SWITCH_SLACK_MS) };
}

export const isWithin = (span: Span | undefined, at: Instant): boolean =>
  span !== undefined && at >= span.from && at < span.until;

/** True when a log takes records now, in a ledger of this many shards. */
export const isOpenLog = (text: string, shards: number, now: Instant): boolean =>
  isWithin(openTimes(text, shards), now);

/** Every log that takes records now. */
export const openLogs = (shards: number, now: Instant): readonly string[] =>
  openHalfYears(now).flatMap((halfYear) =>
    Array.from({ length: shards }, (_, shard) => logName({ shard, halfYear })),
  );
