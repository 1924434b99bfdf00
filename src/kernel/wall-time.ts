import { memo } from "./memo.ts";

/** A moment on a wall clock: numbers, so that each language writes them in its own order. */
export interface WallTime {
  readonly year: number;
  readonly month: number; // 1 to 12
  readonly day: number;
  readonly hour: number; // 0 to 23
  readonly minute: number;
}

// Each formatter holds a zone's rules; a deployment and its patients use few zones.
const ZONES_MAX = 64;
const formatterOf = memo(ZONES_MAX, (zone: string) => {
  const numeric = {
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
  } as const;
  return new Intl.DateTimeFormat("en-US", { ...numeric, timeZone: zone, hourCycle: "h23" });
});

/** True for a name of the IANA time zone database, such as `America/New_York`. */
export function isZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+){0,2}$/u.test(name)) return false;
  try {
    formatterOf(name);
    return true;
  } catch {
    return false;
  }
}

/** The moment that a clock in this zone shows at a time (ms since 1970). Throws a RangeError for an unknown zone. */
export function wallTime(at: number, zone: string): WallTime {
  const parts = new Map(
    formatterOf(zone)
      .formatToParts(at)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0;
  return {
    year: part("year"),
    month: part("month"),
    day: part("day"),
    hour: part("hour"),
    minute: part("minute"),
  };
}
