import { largest } from "#kernel/largest";
import { items, text, type Value } from "../values.ts";
import type { ComparedSpan } from "./comparator.ts";

const form =
  /^(?<year>\d{4})(?:-(?<month>\d\d)(?:-(?<day>\d\d)(?:T(?<hour>\d\d):(?<minute>\d\d)(?::(?<second>\d\d)(?<fraction>\.\d+)?)?(?<zone>Z|[+-]\d\d:\d\d)?)?)?)?$/u;

// Date.UTC takes the year 99 for 1999
const at = (year: number, month: number, day: number) => new Date(0).setUTCFullYear(year, month, day);

/**
 * The time that a date, dateTime or instant of any precision covers, in ms since 1970; without an offset it
 * is read as UTC.
 */
export function dateSpan(value: string): ComparedSpan | undefined {
  const parts = form.exec(value)?.groups;
  if (parts === undefined) return undefined;
  const { year, month, day, hour, minute, second, fraction, zone } = parts;
  const [y, m, d] = [Number(year), Number(month ?? 1) - 1, Number(day ?? 1)];
  if (
    m > 11 ||
    d < 1 ||
    new Date(at(y, m, d)).getUTCDate() !== d ||
    Number(hour ?? 0) > 23 ||
    Number(minute ?? 0) > 59 ||
    Number(second ?? 0) > 59
  )
    return undefined;

  if (month === undefined) return { low: at(y, 0, 1), high: at(y + 1, 0, 1) };
  if (day === undefined) return { low: at(y, m, 1), high: at(y, m + 1, 1) };
  if (hour === undefined) return { low: at(y, m, d), high: at(y, m, d + 1) };
  const low =
    at(y, m, d) +
    (Number(hour) * 60 + Number(minute)) * 60_000 +
    Number(second ?? 0) * 1_000 +
    Math.floor(Number(fraction ?? 0) * 1_000);
  const width = second === undefined ? 60_000 : fraction === undefined ? 1_000 : 1;
  return { low: low - offset(zone), high: low - offset(zone) + width };
}

function offset(zone: string | undefined): number {
  if (zone === undefined || zone === "Z") return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4));
  return (zone.startsWith("-") ? -minutes : minutes) * 60_000;
}

/**
 * The time span of a resource's value. A Period may be open (R4 §3.1.1.4.7); a Timing counts by its events or
 * its bounds.
 */
export function dateValue({ type, value }: Value): ComparedSpan | undefined {
  switch (type) {
    case "date":
    case "dateTime":
    case "instant":
      return typeof value === "string" ? dateSpan(value) : undefined;
    case "Period":
      return period(value);
    case "Timing":
      return (
        hull((value as { event?: unknown }).event) ??
        period((value as { repeat?: { boundsPeriod?: unknown } }).repeat?.boundsPeriod)
      ); // the shape of the type, R4 §2.24.0.21
    default:
      return undefined; // Age, Range, string: no time to compare (R4 §3.1.1.4.7)
  }
}

function period(value: unknown): ComparedSpan | undefined {
  if (value === undefined) return undefined;
  const [start, end] = [text(value, "start"), text(value, "end")];
  return {
    low: (start === undefined ? undefined : dateSpan(start)?.low) ?? Number.NEGATIVE_INFINITY,
    high: (end === undefined ? undefined : dateSpan(end)?.high) ?? Number.POSITIVE_INFINITY,
  };
}

function hull(events: unknown): ComparedSpan | undefined {
  const spans = items(events).flatMap((event) => (typeof event === "string" ? (dateSpan(event) ?? []) : []));
  return spans.length === 0
    ? undefined
    : { low: -largest(spans.map(({ low }) => -low)), high: largest(spans.map(({ high }) => high)) };
}
