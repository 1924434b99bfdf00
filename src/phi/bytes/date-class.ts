import type { SpanBounds } from "#policy/consent/time-span";
import type { ByteCutter } from "./cutter.ts";
import type { FactLayout } from "./fact-layout.ts";

/** Days before each month of a year that is no leap year. */
const daysBefore = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
// Beyond these years and zones `spanOf` decides, which knows the calendar of JavaScript.
const [yearMin, yearMax, zoneHoursMax] = [1900, 2199, 14];

/** In place of a class: the text decides, or the row states no time. */
export const noClass = -1;
const noTime = -2;

/** The class of the time of the row that was cut last, as {@link dateClass}: the first member with a value decides. */
export function timeClass(
  { times }: Pick<FactLayout, "times">,
  bounds: SpanBounds,
  { factStart, factEnd, scanner }: ByteCutter,
): number {
  for (const { value, sibling, isWhole } of times) {
    const end = value < 0 ? 0 : (factEnd[value] ?? 0);
    if (end === 0 && (sibling < 0 || factEnd[sibling] === 0)) continue;
    return end === 0 || !isWhole ? noClass : dateClass(bounds, scanner.bytes, factStart[value] ?? 0, end);
  }
  return noTime;
}

let bytes = new Uint8Array() as Uint8Array;

/**
 * The class of the dates, dateTimes and instants that lie alike in the spans of Consents; -1: the bytes are no usual
 * date of a known day, or a day too near to a bound, so that the text decides.
 *
 * @param start of the value in the text, with its quotes.
 */
export function dateClass(bounds: SpanBounds, text: Uint8Array, start: number, end: number): number {
  bytes = text;
  const at = start + 1;
  const length = end - start - 2;
  if (bytes[start] !== 0x22 || length < 10 || bytes[at + 4] !== 0x2d || bytes[at + 7] !== 0x2d)
    return noClass;
  const year = 100 * pair(at) + pair(at + 2);
  const month = pair(at + 5);
  const day = pair(at + 8);
  if (!(year >= yearMin && year <= yearMax && month >= 1 && month <= 12 && day >= 1)) return noClass;
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const before = daysBefore[month - 1] ?? 0;
  if (day > (daysBefore[month] ?? 0) - before + (isLeap && month === 2 ? 1 : 0)) return noClass;
  const isZoned = length > 10;
  if (isZoned && !isTime(at + 10, end - 1)) return noClass;
  const leapDays =
    Math.floor((year - 1969) / 4) - Math.floor((year - 1901) / 100) + Math.floor((year - 1601) / 400);
  const date = 365 * (year - 1970) + leapDays + before + (isLeap && month > 2 ? 1 : 0) + day - 1;
  return bounds.classOfDay(date, isZoned);
}

/** Answers whether a range is a time of a day with its zone: `T10:00:00.123+01:00`. */
function isTime(start: number, end: number): boolean {
  if (end - start < 10 || bytes[start] !== 0x54 || bytes[start + 3] !== 0x3a || bytes[start + 6] !== 0x3a)
    return false;
  if (!(pair(start + 1) <= 23 && pair(start + 4) <= 59 && pair(start + 7) <= 59)) return false;
  let at = start + 9;
  if (bytes[at] === 0x2e) {
    const fraction = at + 1;
    for (at = fraction; isDigit(bytes[at] ?? 0); at += 1);
    if (at === fraction || at - fraction > 9) return false;
  }
  if (bytes[at] === 0x5a) return at + 1 === end;
  if ((bytes[at] !== 0x2b && bytes[at] !== 0x2d) || at + 6 !== end || bytes[at + 3] !== 0x3a) return false;
  return pair(at + 1) <= zoneHoursMax && pair(at + 4) <= 59;
}

/** Two digits as a number; a number above each bound: they are none. */
const pair = (at: number): number => 10 * (digitOf[bytes[at] ?? 0] ?? 0) + (digitOf[bytes[at + 1] ?? 0] ?? 0);

const digitOf = new Uint16Array(256).fill(10_000);
for (let digit = 0; digit <= 9; digit += 1) digitOf[0x30 + digit] = digit;

const isDigit = (sign: number): boolean => sign >= 0x30 && sign <= 0x39;
