import { resourceId } from "#fhir/r4/names";
import { isArray, isObject, type Json } from "#fhir/json/json";

/**
 * The fault of a primitive value: its JSON type (FHIR R4 §2.6.2.2), or its grammar (FHIR R4 §2.24.0.1).
 */
export type PrimitiveFault = "json_type" | "grammar";

/** Checks a value of an R4 primitive type by that type's grammar. `xhtml` is only a text here. */
export function primitiveFault(type: string, value: Json): PrimitiveFault | undefined {
  if (type === "boolean") return typeof value === "boolean" ? undefined : "json_type";
  const asNumber = numbers.get(type);
  if (asNumber !== undefined) {
    // A number is its own text.
    if (typeof value !== "object" || value === null || isArray(value) || isObject(value)) return "json_type";
    return asNumber(value.rawJSON) ? undefined : "grammar";
  }
  if (typeof value !== "string") return "json_type";
  return value !== "" && (texts.get(type) ?? isString)(value) ? undefined : "grammar";
}

const integer = /^-?(?:0|[1-9][0-9]{0,9})$/u;
const inRange = (text: string, min: number) =>
  integer.test(text) && Number(text) >= min && Number(text) <= 2_147_483_647;

const numbers: ReadonlyMap<string, (text: string) => boolean> = new Map([
  ["decimal", () => true], // the grammar of JSON equals R4's grammar
  ["integer", (text: string) => inRange(text, -2_147_483_648)],
  ["unsignedInt", (text: string) => inRange(text, 0) && text !== "-0"],
  ["positiveInt", (text: string) => inRange(text, 1)],
]);

// Each pattern searches for forbidden characters, or is anchored and short. The engine would remember each
// turn of a repeated group: megabytes of turns overflow its stack, and it throws.
const isString = (text: string) =>
  // 1,048,576: FHIR R4 §2.24.0.1, string.
  text.length <= 1_048_576 && isText(text);
const isText = (text: string) =>
  // oxlint-disable-next-line no-control-regex -- R4 refuses these characters
  !/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/u.test(text) && text.isWellFormed();
const isUri = (text: string) => isText(text) && !/\s/u.test(text);

const texts: ReadonlyMap<string, (text: string) => boolean> = new Map([
  ["base64Binary", isBase64],
  ["canonical", isUri],
  ["code", (text: string) => isString(text) && !/^\s|\s$|\s\s/u.test(text)],
  ["date", isDate],
  ["dateTime", (text: string) => isDate(text) || isInstant(text)],
  ["id", (text: string) => resourceId.test(text)],
  ["instant", isInstant],
  ["markdown", isString],
  [
    "oid",
    (text: string) =>
      /^urn:oid:[0-2]\./u.test(text) && !/[^0-9.]|\.\.|\.0[0-9]|\.$/u.test(text.slice("urn:oid:".length)),
  ],
  ["time", (text: string) => /^(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?$/u.test(text)],
  ["uri", isUri],
  ["url", isUri],
  ["uuid", (text: string) => /^urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u.test(text)],
  ["xhtml", isText],
]);

/** Groups of four with white space between them, as in R4; the padding last (RFC 4648 §4). */
function isBase64(text: string): boolean {
  const signs = text.replaceAll(/\s/gu, ""); // no repetition: on megabytes of spaces its stack overflowed, rarely
  const unpadded = signs.replace(/={1,2}$/u, "");
  return signs.length > 0 && signs.length % 4 === 0 && !/[^A-Za-z0-9+/]/u.test(unpadded);
}

/** A year, a month or a day that exists in the calendar. */
function isDate(text: string): boolean {
  const { year, month, day } =
    /^(?<year>[0-9]{4})(?:-(?<month>[0-9]{2})(?:-(?<day>[0-9]{2}))?)?$/u.exec(text)?.groups ?? {};
  if (year === undefined || year === "0000") return false;
  if (month === undefined) return true;
  const most = daysIn(Number(year), Number(month));
  return most > 0 && (day === undefined || (Number(day) >= 1 && Number(day) <= most));
}

function daysIn(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
}

const clock =
  /^T(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))$/u;

/** A day, a time to the second and a zone: R4 has no hour without a zone. */
function isInstant(text: string): boolean {
  return text.charAt(10) === "T" && isDate(text.slice(0, 10)) && clock.test(text.slice(10));
}
