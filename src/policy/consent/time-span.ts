import type { Instant } from "#kernel/clock";
import { isObject, property, type Json } from "#fhir/json/json";
import type { Match } from "./match.ts";

/** From and until (exclusive), in ms since 1970; infinite where a Period has no bound. */
type Bounds = readonly [from: number, until: number];

/**
 * The time that a date, dateTime, instant or Period covers, in two readings: `utc` takes a text without a
 * zone as UTC, `local` takes the digits of each text as they stand and ignores its zone. `isZoned`: every
 * bound names its zone, so `utc` is exact.
 */
export interface TimeSpan {
  readonly utc: Bounds;
  readonly local: Bounds;
  readonly isZoned: boolean;
}

const pattern =
  /^(?<year>\d{4})(?:-(?<month>\d\d)(?:-(?<day>\d\d)(?:T(?<time>\d\d:\d\d:\d\d(?:\.\d+)?)(?<zone>Z|[+-]\d\d:\d\d))?)?)?$/u;

/** The span of a FHIR date, dateTime or instant (FHIR R4 datatypes); null if the text is none. */
function spanOfText(text: Json): TimeSpan | null {
  const { year, month, day, time, zone } = (typeof text === "string" && pattern.exec(text)?.groups) || {};
  if (typeof text !== "string" || year === undefined) return null;
  if (time !== undefined && zone !== undefined) {
    const [utc, local] = [Date.parse(text), Date.parse(`${year}-${month}-${day}T${time}Z`)];
    const length = time.includes(".") ? 1 : 1_000;
    if (Number.isNaN(utc) || !isDay(local, text.slice(0, 10))) return null;
    return { utc: [utc, utc + length], local: [local, local + length], isZoned: true };
  }
  const from = Date.parse(text);
  const [y, m, d] = [Number(year), Number(month ?? 1) - 1, Number(day ?? 1)];
  const until =
    day !== undefined ? Date.UTC(y, m, d + 1) : month !== undefined ? Date.UTC(y, m + 1) : Date.UTC(y + 1, 0);
  if (!isDay(from, text)) return null;
  return { utc: [from, until], local: [from, until], isZoned: false };
}

/** Date.parse takes 2022-02-30 for a day in March. */
const isDay = (time: number, text: string): boolean =>
  !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);

/**
 * The span of a date, dateTime, instant or Period of a row; null if the value is none of them. A bound of a Period that
 * exists and is not known (data-absent-reason) counts as no bound: the row may then lie in more time, never in less.
 */
export const spanOf = (value: Json): TimeSpan | null =>
  isObject(value) ? spanOfPeriod(value, true) : spanOfText(value);

/**
 * The span of a Period, whose last day counts whole (FHIR R4 datatypes §2.24.0.11); null if the value is no
 * Period, has no bound, ends before it begins, or has a member that a Period has not.
 * @param takesUnknown false: null, too, if a bound has extensions (data-absent-reason) in place of a value.
 */
export function spanOfPeriod(period: Json, takesUnknown = false): TimeSpan | null {
  if (!isObject(period) || Object.keys(period).some((name) => !periodMembers.has(name))) return null;
  const isUnknown = (name: string) => Object.hasOwn(period, `_${name}`) && !Object.hasOwn(period, name);
  if (!takesUnknown && ["start", "end"].some(isUnknown)) return null;
  const [start, end] = [property(period, "start"), property(period, "end")];
  if (start === undefined && end === undefined) return null;
  const first = start === undefined ? undefined : spanOfText(start);
  const last = end === undefined ? undefined : spanOfText(end);
  if (first === null || last === null) return null;
  const utc = [first?.utc[0] ?? -Infinity, last?.utc[1] ?? Infinity] as const;
  if (utc[0] >= utc[1]) return null;
  return {
    utc,
    local: [first?.local[0] ?? -Infinity, last?.local[1] ?? Infinity],
    isZoned: first?.isZoned !== false && last?.isZoned !== false,
  };
}

const periodMembers: ReadonlySet<string> = new Set(["id", "extension", "start", "_start", "end", "_end"]);

/**
 * Answers whether a time of the data lies inside a span: `yes` if all of it does, `no` if no instant of it
 * does. If either has no zone, both readings must agree: 23:50 at UTC-5 is the next day in UTC.
 */
export function liesInside(data: TimeSpan, span: TimeSpan): Match {
  const exact = relationOf(data.utc, span.utc);
  return (data.isZoned && span.isZoned) || exact === relationOf(data.local, span.local) ? exact : "unknown";
}

const relationOf = ([from, until]: Bounds, [start, end]: Bounds): Match =>
  from >= start && until <= end ? "yes" : until <= start || from >= end ? "no" : "unknown";

/** Answers whether a span includes the time of a request. A bound without a zone is taken as UTC. */
export const includesInstant = ({ utc: [from, until] }: TimeSpan, at: Instant): boolean =>
  at >= from && at < until;

const hour = 3_600_000;
// A day begins at UTC+14 (Kiribati) and ends at UTC-12.
const [eastmost, westmost] = [14 * hour, 12 * hour];

/** Answers whether a span includes the time of a request in some zone, where its bounds name none. */
export const mayIncludeInstant = ({ utc: [from, until], isZoned }: TimeSpan, at: Instant): boolean =>
  isZoned ? at >= from && at < until : at >= from - eastmost && at < until + westmost;
