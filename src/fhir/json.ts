import { err, ok, type Result } from "#kernel/result";

/** A JSON value as FHIR needs it: a number is its own text, so that `1.10` stays `1.10` (FHIR R4 datatypes, decimal). */
export type Json = string | boolean | null | JsonNumber | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json;
}
export interface JsonNumber {
  readonly rawJSON: string;
}

export type JsonRefusal = { readonly reason: "too_large" | "not_utf8" | "too_deep" | "duplicate_key" | "not_json" };

/** Of one resource or entry, in and out. The plain engine holds its text, tree and output at once: up to ten times as much, of an isolate's 128 MB. */
export const resourceBytesMax = 8_388_608;
// A Questionnaire with twenty levels of items is 45 deep. Deeper trees would reach the stack before the size limit.
const depthMax = 100;

interface JsonWithSource {
  parse(text: string, reviver: (key: string, value: Json, context: { readonly source?: string }) => unknown): Json;
  rawJSON(text: string): JsonNumber;
  isRawJSON(value: unknown): value is JsonNumber;
}
const json = JSON as unknown as JsonWithSource; // "JSON.parse source text access" (ES2026) is in Node 24 and workerd, not yet in TypeScript's lib

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads RFC 8259 JSON strictly. What two readers could understand in two ways (duplicate keys, bad UTF-8, a byte-order mark) is refused. */
export function readJson(bytes: Uint8Array): Result<Json, JsonRefusal> {
  if (bytes.length > resourceBytesMax) return err({ reason: "too_large" });
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return err({ reason: "not_utf8" });
  }
  const members = countMembers(text);
  if (members === undefined) return err({ reason: "too_deep" });
  let found = -1; // the root is visited as well, as a member of nothing
  const visit = (_key: string, value: Json, { source }: { readonly source?: string }) => {
    found += isArray(value) ? 1 - value.length : 1; // a list's items are visited, and are no members
    return typeof value === "number" && source !== undefined ? json.rawJSON(source) : value;
  };
  try {
    const value = json.parse(text, visit);
    // The parser keeps one of two members of one name: as many as there are in the text, and no name was there twice. It is also seen here
    // when V8 (13.6) loses a member, as it may beside names like `"` and `\\`, which no FHIR element has.
    return found === members ? ok(value) : err({ reason: "duplicate_key" });
  } catch {
    return err({ reason: "not_json" });
  }
}

export const isArray = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !isArray(value) && !json.isRawJSON(value);

/** The property when it is the object's own: `constructor` and its like are nobody's. */
export const property = (object: JsonObject, name: string): Json | undefined => (Object.hasOwn(object, name) ? object[name] : undefined);

export const textAt = (object: JsonObject, name: string): string | undefined => {
  const value = property(object, name);
  return typeof value === "string" ? value : undefined;
};

/** Every value at a path of element names, arrays flattened. */
export function valuesAt(value: Json | undefined, path: readonly string[]): readonly Json[] {
  if (value === undefined || value === null) return [];
  if (isArray(value)) return value.flatMap((item) => valuesAt(item, path));
  const [first, ...rest] = path;
  if (first === undefined) return [value];
  return isObject(value) ? valuesAt(property(value, first), rest) : [];
}

const [quote, backslash, colon] = [0x22, 0x5c, 0x3a];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];

/** How many members all objects of a text have; nothing when it is too deep. What is malformed is left for the parser to refuse. */
function countMembers(text: string): number | undefined {
  let [depth, members] = [0, 0];
  for (let at = 0; at < text.length; at += 1) {
    const sign = text.charCodeAt(at);
    if (sign === quote) at = closingQuote(text, at);
    else if (sign === colon) members += 1;
    else if (sign === openBrace || sign === openBracket) {
      depth += 1;
      if (depth > depthMax) return undefined;
    } else if (sign === closeBrace || sign === closeBracket) depth -= 1;
  }
  return members;
}

/** An even number of backslashes before a quote are backslashes. */
function closingQuote(text: string, opening: number): number {
  for (let at = text.indexOf('"', opening + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let before = at - 1;
    while (text.charCodeAt(before) === backslash) before -= 1;
    if ((at - before) % 2 === 1) return at;
  }
  return text.length;
}
