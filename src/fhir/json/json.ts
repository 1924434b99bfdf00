import { err, ok, type Result } from "#kernel/result";
import { isJson } from "./scanner.ts";

/**
 * A JSON value as FHIR needs it: a number is its own text, so that `1.10` stays `1.10` (FHIR R4 datatypes,
 * decimal).
 */
export type Json = string | boolean | null | JsonNumber | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json;
}
export interface JsonNumber {
  readonly rawJSON: string;
}

export type JsonRefusal = {
  readonly reason: "too_large" | "not_utf8" | "too_deep" | "duplicate_key" | "not_json";
};

/**
 * The limit for a resource or entry, in and out. The plain engine has its text, tree and output in memory
 * at once: up to ten times as much, of an isolate's 128 MB.
 */
export const resourceBytesMax = 8_388_608;
// A Questionnaire with twenty levels of items is 45 deep. Deeper trees would overflow the stack before they
// reach the size limit.
export const depthMax = 100;

/**
 * True if an unreadable text certainly ends where it seems to end, so that the text behind it can still be
 * read.
 */
export const endsForCertain = (reason: string): reason is "too_large" | "too_deep" | "duplicate_key" =>
  reason === "too_large" || reason === "too_deep" || reason === "duplicate_key";

interface JsonWithRaw {
  parse(text: string): Fresh;
  rawJSON(text: string): JsonNumber;
  isRawJSON(value: unknown): value is JsonNumber;
}
// "JSON.parse source text access" (ES2026) is in Node 24 and workerd, not yet in TypeScript's lib
const json = JSON as unknown as JsonWithRaw;

/** @param text a JSON number. Throws for a further text. */
export const jsonNumber = (text: string): JsonNumber => json.rawJSON(text);

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads RFC 8259 JSON strictly. Text that two readers could understand differently (duplicate keys, bad
 * UTF-8, a byte-order mark) is refused.
 */
export function readJson(bytes: Uint8Array): Result<Json, JsonRefusal> {
  if (bytes.length > resourceBytesMax) return err({ reason: "too_large" });
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return err({ reason: "not_utf8" });
  }
  const outline = outlineOf(text);
  if (outline === undefined) return err({ reason: isJson(bytes) ? "too_deep" : "not_json" });
  try {
    // throws for text that is no JSON number, like `01`
    const numbers = outline.numbers.map((number) => json.rawJSON(number));
    const found = { members: 0 };
    const value = settle(json.parse(outline.numbered), numbers, found);
    // The parser keeps a single member of each name. If it kept as many members as the text has, no name
    // was repeated. This also detects a defect of V8 (13.6), which loses a member next to names like `"`
    // and `\\`; no FHIR element has such a name.
    return found.members === outline.members ? ok(value) : err({ reason: "duplicate_key" });
  } catch {
    return err({ reason: "not_json" });
  }
}

/** Reads a JSON object. `undefined`: the text is none. */
export function readObject(bytes: Uint8Array): JsonObject | undefined {
  const read = readJson(bytes);
  return read.ok && isObject(read.value) ? read.value : undefined;
}

export const isArray = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);

/** True for the JSON of a resource of this type. */
export const isResource = (value: Json | undefined, type: string): value is JsonObject =>
  isObject(value) && property(value, "resourceType") === type;

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !isArray(value) && !json.isRawJSON(value);

/** The object's own property: inherited names like `constructor` do not count. */
export const property = (object: JsonObject, name: string): Json | undefined =>
  Object.hasOwn(object, name) ? object[name] : undefined;

/** A member that is an object. */
export const objectAt = (object: JsonObject, name: string): JsonObject | undefined => {
  const value = property(object, name);
  return isObject(value) ? value : undefined;
};

export const textAt = (object: JsonObject, name: string): string | undefined => {
  const value = property(object, name);
  return typeof value === "string" ? value : undefined;
};

/** The nesting depth of objects and lists. */
export function depthOf(value: Json): number {
  if (isArray(value)) return 1 + value.reduce((deepest: number, item) => Math.max(deepest, depthOf(item)), 0);
  return isObject(value)
    ? 1 + Object.values(value).reduce((deepest: number, member) => Math.max(deepest, depthOf(member)), 0)
    : 0;
}

/** Every value at a path of element names, arrays flattened. */
export function valuesAt(value: Json | undefined, path: readonly string[]): readonly Json[] {
  if (value === undefined || value === null) return [];
  if (isArray(value)) return value.flatMap((item) => valuesAt(item, path));
  const [first, ...rest] = path;
  if (first === undefined) return [value];
  return isObject(value) ? valuesAt(property(value, first), rest) : [];
}

/**
 * A value fresh from the parser, with the index of each number in place of the number. No further code has
 * it yet, so it is changed in place.
 */
type Fresh = string | number | boolean | null | (Fresh | Json)[] | { [name: string]: Fresh | Json };

/** Puts each number's own text at its index, and counts the members of all objects. */
function settle(value: Fresh, numbers: readonly JsonNumber[], found: { members: number }): Json {
  if (typeof value === "number") return numbers[value] ?? null;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    for (const [at, item] of value.entries())
      if (mayHoldNumbers(item)) value[at] = settle(item, numbers, found);
    return value as readonly Json[]; // by the line above
  }
  const names = Object.keys(value);
  found.members += names.length;
  for (const name of names) {
    const member = value[name];
    if (mayHoldNumbers(member)) value[name] = settle(member, numbers, found);
  }
  return value as JsonObject; // by the loop above
}

const mayHoldNumbers = (value: Fresh | Json | undefined): value is Fresh =>
  typeof value === "number" || typeof value === "object";

/** Facts about a text before it is parsed. */
interface Outline {
  /** The number of members in all its objects. */
  readonly members: number;
  /** Its numbers, as written. */
  readonly numbers: readonly string[];
  /**
   * The text with each number replaced by its index: the index identifies the number, whatever order the
   * parser gives the names.
   */
  readonly numbered: string;
}

const [quote, backslash, colon, minus, zero, nine] = [0x22, 0x5c, 0x3a, 0x2d, 0x30, 0x39];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];

/** Undefined if the text is too deep. The parser refuses malformed text. */
function outlineOf(text: string): Outline | undefined {
  let [depth, members, copied] = [0, 0, 0];
  const numbers: string[] = [];
  const pieces: string[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const sign = text.charCodeAt(at);
    if (sign === quote) at = closingQuote(text, at);
    else if (sign === colon) members += 1;
    else if (sign === openBrace || sign === openBracket) {
      depth += 1;
      if (depth > depthMax) return undefined;
    } else if (sign === closeBrace || sign === closeBracket) depth -= 1;
    else if (sign === minus || (sign >= zero && sign <= nine)) {
      const end = endOfNumber(text, at);
      pieces.push(text.slice(copied, at), String(numbers.length));
      numbers.push(text.slice(at, end));
      copied = end;
      at = end - 1;
    }
  }
  return { members, numbers, numbered: pieces.join("") + text.slice(copied) };
}

/** The position after all characters that a number may have; the parser decides if they form a number. */
function endOfNumber(text: string, beginning: number): number {
  numberSigns.lastIndex = beginning;
  numberSigns.test(text);
  return numberSigns.lastIndex;
}

const numberSigns = /[-+.0-9eE]+/y;

/** An even number of backslashes before a quote does not escape it. */
function closingQuote(text: string, opening: number): number {
  for (let at = text.indexOf('"', opening + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let before = at - 1;
    while (text.charCodeAt(before) === backslash) before -= 1;
    if ((at - before) % 2 === 1) return at;
  }
  return text.length;
}
