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

// groups without names: a match of most rows makes no object for them
const pattern = /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d:\d\d(?:\.\d+)?)(Z|[+-]\d\d:\d\d))?)?)?$/u;

/** The span of a FHIR date, dateTime or instant (FHIR R4 datatypes); null if the text is none. */
function spanOfText(text: Json): TimeSpan | null {
  if (typeof text !== "string") return null;
  const [, year, month, day, time, zone] = pattern.exec(text) ?? [];
  if (year === undefined) return null;
  if (time !== undefined && zone !== undefined) {
    const utc = Date.parse(text);
    const local = utc + offsetOf(zone);
    const length = time.includes(".") ? 1 : 1_000;
    if (Number.isNaN(utc) || !isDay(local, day)) return null;
    return { utc: [utc, utc + length], local: [local, local + length], isZoned: true };
  }
  const from = Date.parse(text);
  const [y, m, d] = [Number(year), Number(month ?? 1) - 1, Number(day ?? 1)];
  const until =
    day !== undefined ? Date.UTC(y, m, d + 1) : month !== undefined ? Date.UTC(y, m + 1) : Date.UTC(y + 1, 0);
  if (!isDay(from, day)) return null;
  return { utc: [from, until], local: [from, until], isZoned: false };
}

/** The milliseconds by which the clocks of a zone, `Z` or `+01:00`, are ahead of UTC. */
function offsetOf(zone: string): number {
  if (zone === "Z") return 0;
  const minutes = 60 * Number(zone.slice(1, 3)) + Number(zone.slice(4));
  return (zone.startsWith("-") ? -60_000 : 60_000) * minutes;
}

/** Date.parse takes 2022-02-30 for a day in March. */
const isDay = (time: number, day: string | undefined): boolean =>
  !Number.isNaN(time) && (day === undefined || new Date(time).getUTCDate() === Number(day));

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

const day = 86_400_000;

/**
 * The bounds of the spans by which Consents judge times. Times between the same two bounds lie alike in each span, in
 * each of its readings, if a time with a zone is never compared with a time without.
 */
export class SpanBounds {
  readonly #bounds: readonly number[];
  /** The bounds around the last time, and their place: the times of a page mostly lie between the same two. */
  #last: { readonly after: number; readonly before: number; readonly place: number } | undefined;

  constructor(spans: readonly TimeSpan[]) {
    const bounds = spans.flatMap(({ utc, local }) => [...utc, ...local]).filter(Number.isFinite);
    this.#bounds = [...new Set(bounds)].toSorted((a, b) => a - b);
  }

  /** A number for all times that lie alike in each of the spans; -1: the time is too near to a bound. */
  classOf({ utc, local, isZoned }: TimeSpan): number {
    return this.#classOf(Math.min(utc[0], local[0]), Math.max(utc[1], local[1]), isZoned);
  }

  /** {@link classOf} a time on a day as it is written, in whatever zone. @param date in days since 1970. */
  classOfDay(date: number, isZoned: boolean): number {
    return this.#classOf((date - 1) * day, (date + 2) * day, isZoned);
  }

  #classOf(from: number, until: number, isZoned: boolean): number {
    const last = this.#last;
    const place =
      last !== undefined && from >= last.after && until <= last.before
        ? last.place
        : this.#placeOf(from, until);
    return place < 0 ? place : 2 * place + (isZoned ? 1 : 0);
  }

  #placeOf(from: number, until: number): number {
    let [low, high] = [0, this.#bounds.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#bounds[middle] ?? 0) <= from) low = middle + 1;
      else high = middle;
    }
    const before = this.#bounds[low] ?? Infinity;
    if (before < until) return -1;
    this.#last = { after: this.#bounds[low - 1] ?? -Infinity, before, place: low };
    return low;
  }
}

/** Answers whether a span includes the time of a request. A bound without a zone is taken as UTC. */
export const includesInstant = ({ utc: [from, until] }: TimeSpan, at: Instant): boolean =>
  at >= from && at < until;

const hour = 3_600_000;
// A day begins at UTC+14 (Kiribati) and ends at UTC-12.
const [eastmost, westmost] = [14 * hour, 12 * hour];

/** Answers whether a span includes the time of a request in some zone, where its bounds name none. */
export const mayIncludeInstant = ({ utc: [from, until], isZoned }: TimeSpan, at: Instant): boolean =>
  isZoned ? at >= from && at < until : at >= from - eastmost && at < until + westmost;

/** The instants at which {@link includesInstant} or {@link mayIncludeInstant} change their answers. */
export const changesOf = ({ utc: [from, until] }: TimeSpan): readonly number[] => [
  from - eastmost,
  from,
  until,
  until + westmost,
];
