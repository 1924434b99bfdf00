import { isObject, property, textAt, valuesAt, type Json, type JsonObject } from "#fhir/json/json";

/** A span of values: from `low` until `high`, exclusive; times in ms since 1970. */
export interface SearchRange {
  readonly low: number;
  readonly high: number;
  /** How far servers may place it: a time without a zone may be the time of any zone. */
  readonly slack: number;
}

const dateTime =
  /^(?<year>\d{4})(?:-(?<month>\d\d)(?:-(?<day>\d\d)(?:T(?<time>\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(?<zone>Z|[+-]\d\d:\d\d)?)?)?)?$/u;
const zoneSlack = 14 * 3_600_000; // the zones of R4's dateTime reach from -12:00 to +14:00

/** The time that a date, dateTime or instant of any precision covers (R4 §3.1.1.4.7); without a zone in UTC. */
export function dateRange(text: string): SearchRange | undefined {
  const { year, month, day, time, zone } = dateTime.exec(text)?.groups ?? {};
  if (year === undefined) return undefined;
  const [y, m, d] = [Number(year), Number(month ?? 1) - 1, Number(day ?? 1)];
  if (time === undefined) {
    const high =
      day !== undefined ? dayAt(y, m, d + 1) : month !== undefined ? dayAt(y, m + 1, 1) : dayAt(y + 1, 0, 1);
    return { low: dayAt(y, m, d), high, slack: zoneSlack };
  }
  const low = Date.parse(`${year}-${month}-${day}T${time}${zone ?? "Z"}`);
  if (Number.isNaN(low)) return undefined;
  const width = time.includes(".") ? 1 : time.length > 5 ? 1_000 : 60_000;
  return { low, high: low + width, slack: zone === undefined ? zoneSlack : 0 };
}

// `Date.UTC` reads the year 99 as 1999.
const dayAt = (year: number, month: number, day: number): number =>
  new Date(0).setUTCFullYear(year, month, day);

/** The numbers that a decimal stands for: half a unit of its last digit to both sides (R4 §3.1.1.4.6). */
export function numberRange(text: string): SearchRange | undefined {
  const { digits, exponent = "0" } =
    /^-?\d+(?:\.(?<digits>\d+))?(?:[eE](?<exponent>[+-]?\d+))?$/u.exec(text)?.groups ?? {};
  const number = Number(text);
  if (text === "" || !Number.isFinite(number)) return undefined;
  const half = 10 ** (Number(exponent) - (digits?.length ?? 0)) / 2;
  return { low: number - half, high: number + half, slack: half + Math.abs(number) * 1e-9 };
}

/** The span of a value in a row; `undefined` if it is neither a time nor a number. */
export function valueRange(value: Json): SearchRange | undefined {
  if (typeof value === "string") return dateRange(value);
  if (isNumber(value)) return pointOf(value);
  if (!isObject(value)) return undefined;
  const number = property(value, "value");
  if (isNumber(number)) return textAt(value, "comparator") === undefined ? pointOf(number) : undefined;
  return timingSpan(value) ?? periodSpan(value);
}

/** Only the outer limits of a Timing count (R4 §3.1.1.4.7): its events, or else its bounds. */
function timingSpan(value: JsonObject): SearchRange | undefined {
  const events = valuesAt(value, ["event"]).flatMap((event) => spanOf(event) ?? []);
  if (events.length > 0) return events.reduce(around);
  const repeat = property(value, "repeat");
  const bounds = isObject(repeat) ? property(repeat, "boundsPeriod") : undefined;
  return isObject(bounds) ? periodSpan(bounds) : undefined;
}

/** The span from the first to the last of two. */
const around = (a: SearchRange, b: SearchRange): SearchRange => ({
  low: Math.min(a.low, b.low),
  high: Math.max(a.high, b.high),
  slack: Math.max(a.slack, b.slack),
});

function periodSpan(value: JsonObject): SearchRange | undefined {
  const [start, end] = [property(value, "start"), property(value, "end")];
  if (start === undefined && end === undefined) return undefined;
  const [from, until] = [spanOf(start), spanOf(end)];
  if (from === null || until === null) return undefined;
  const low = from?.low ?? Number.NEGATIVE_INFINITY;
  const high = until?.high ?? Number.POSITIVE_INFINITY;
  // a Period that ends before it starts says nothing
  return low < high ? { low, high, slack: Math.max(from?.slack ?? 0, until?.slack ?? 0) } : undefined;
}

/** `null`: present, and no time. */
function spanOf(bound: Json | undefined): SearchRange | undefined | null {
  if (bound === undefined) return undefined;
  return (typeof bound === "string" ? dateRange(bound) : undefined) ?? null;
}

const isNumber = (value: Json | undefined): value is { readonly rawJSON: string } =>
  typeof value === "object" && value !== null && !isObject(value) && "rawJSON" in value;

function pointOf({ rawJSON }: { readonly rawJSON: string }): SearchRange {
  const number = Number(rawJSON);
  return { low: number, high: number, slack: Math.abs(number) * 1e-9 };
}
