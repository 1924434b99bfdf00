import { jsonNumber, type Json, type JsonObject } from "#fhir/json/json";
import { asciiText } from "./ascii-text.ts";
import { isSame } from "./words.ts";
import { unusual } from "./unusual.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

// Used between two awaits only, by one value at a time.
let bytes = new Uint8Array() as Uint8Array;
let at = 0;
/** The names of the members that are read, at any depth; undefined: all. */
let wanted: ReadonlySet<string> | undefined;

/**
 * Makes a value from a range of a text that the scanner has read: it is known to be JSON, and no name repeats.
 * A fact is a small part of a resource, and `JSON.parse` would need it as a string first.
 *
 * @param start where the value begins. @param names of the members to read, at any depth, for a reader that asks
 * for no other: a text that nobody reads is not made.
 */
export function capturedValue(text: Uint8Array, start: number, names?: ReadonlySet<string>): Json {
  bytes = text;
  at = start;
  wanted = names;
  return value();
}

/**
 * Makes an object with some members of an object. Only the range of a text that the engine wrote, or has read,
 * is known to be JSON.
 *
 * @param start where the object begins.
 */
export function capturedMembers(text: Uint8Array, start: number, names: ReadonlySet<string>): JsonObject {
  bytes = text;
  at = start + 1;
  wanted = undefined;
  const members: Record<string, Json> = {};
  while (next() !== 0x7d) {
    const own = name();
    if (names.has(own) && own !== "__proto__") members[own] = value();
    else skip();
  }
  return members;
}

/** Past a value. */
function skip(): void {
  let depth = 0;
  do {
    const sign = next();
    at += 1;
    if (sign === 0x22) {
      while (bytes[at] !== 0x22) at += bytes[at] === 0x5c ? 2 : 1;
      at += 1;
    } else if (sign === 0x7b || sign === 0x5b) depth += 1;
    else if (sign === 0x7d || sign === 0x5d) depth -= 1;
    else while (isLetterOrNumberSign(bytes[at] ?? 0)) at += 1;
  } while (depth > 0);
}

function value(): Json {
  const sign = next();
  if (sign === 0x22) return string();
  if (sign === 0x7b) return object();
  if (sign === 0x5b) return list();
  const start = at;
  if (sign === 0x74) return pass(4, true);
  if (sign === 0x66) return pass(5, false);
  if (sign === 0x6e) return pass(4, null);
  while (isNumberSign(bytes[at] ?? 0)) at += 1;
  return jsonNumber(asciiText(bytes, start, at));
}

function pass<T>(length: number, value: T): T {
  at += length;
  return value;
}

/** Past white space, commas and colons. */
function next(): number {
  for (;;) {
    const sign = bytes[at] ?? 0;
    if (sign > 0x20 && sign !== 0x2c && sign !== 0x3a) return sign;
    if (sign === 0) throw unusual;
    at += 1;
  }
}

function object(): Json {
  const members: Record<string, Json> = {};
  at += 1;
  while (next() !== 0x7d) {
    const own = name();
    if (own === "__proto__") throw unusual; // an assignment would set the prototype
    if (wanted !== undefined && !wanted.has(own)) skip();
    else members[own] = value();
  }
  at += 1;
  return members;
}

function list(): Json {
  const items: Json[] = [];
  at += 1;
  while (next() !== 0x5d) items.push(value());
  at += 1;
  return items;
}

interface Name {
  readonly bytes: Uint8Array;
  readonly text: string;
}

// A name that was met before is not made again.
const names: (Name | undefined)[] = Array.from({ length: 256 });
const nameBytesMax = 32;

/** At a name, whose bytes are plain. */
function name(): string {
  const start = at + 1;
  let end = start;
  let hash = 0;
  for (let sign = bytes[end] ?? 0; sign !== 0x22; sign = bytes[end] ?? 0) {
    if (sign === 0) throw unusual;
    hash = (Math.imul(hash, 31) + sign) | 0;
    end += 1;
  }
  at = end + 1;
  const slot = (hash ^ (hash >>> 8)) & 0xff;
  const known = names[slot];
  if (known !== undefined && isSame(known.bytes, bytes, start, end)) return known.text;
  const text = asciiText(bytes, start, end);
  if (text.length <= nameBytesMax) names[slot] = { bytes: bytes.slice(start, end), text };
  return text;
}

function string(): string {
  const start = at;
  let end = start + 1;
  let isPlain = true;
  for (let sign = bytes[end] ?? 0; sign !== 0x22; sign = bytes[end] ?? 0) {
    if (sign === 0) throw unusual;
    if (sign === 0x5c) end += 1;
    if (sign === 0x5c || sign >= 0x80) isPlain = false;
    end += 1;
  }
  at = end + 1;
  if (isPlain) return asciiText(bytes, start + 1, end);
  const text: unknown = JSON.parse(decoder.decode(bytes.subarray(start, end + 1)));
  if (typeof text !== "string") throw unusual;
  return text;
}

// - + . 0-9 e E
const isNumberSign = (sign: number): boolean =>
  (sign >= 0x30 && sign <= 0x39) || sign === 0x2e || sign === 0x2d || sign === 0x2b || (sign | 0x20) === 0x65;

const isLetterOrNumberSign = (sign: number): boolean =>
  isNumberSign(sign) || ((sign | 0x20) >= 0x61 && (sign | 0x20) <= 0x7a);
