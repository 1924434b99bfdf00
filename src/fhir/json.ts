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
  const fault = structureFault(text);
  if (fault !== undefined) return err({ reason: fault });
  try {
    return ok(
      json.parse(text, (_key, value, { source }) => (typeof value === "number" && source !== undefined ? json.rawJSON(source) : value)),
    );
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

/** Depth and duplicate keys of a text that may not be JSON at all: what is malformed is left for the parser to refuse. */
function structureFault(text: string): "too_deep" | "duplicate_key" | undefined {
  const open: (Set<string> | undefined)[] = []; // the keys of each open object; nothing for an array
  let keyNext = false;
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    if (sign === "{" || sign === "[") {
      if (open.length === depthMax) return "too_deep";
      open.push(sign === "{" ? new Set() : undefined);
      keyNext = sign === "{";
    } else if (sign === "}" || sign === "]") {
      open.pop();
      keyNext = false;
    } else if (sign === ",") {
      keyNext = open.at(-1) !== undefined;
    } else if (sign === '"') {
      const end = closingQuote(text, at);
      if (end === undefined) return undefined;
      if (keyNext) {
        const key = unescaped(text.slice(at, end + 1));
        if (key === undefined) return undefined;
        if (open.at(-1)?.has(key) === true) return "duplicate_key";
        open.at(-1)?.add(key);
        keyNext = false;
      }
      at = end;
    }
  }
  return undefined;
}

function closingQuote(text: string, opening: number): number | undefined {
  for (let at = opening + 1; at < text.length; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === '"') return at;
  }
  return undefined;
}

/** `"\u0061"` and `"a"` are one key. */
function unescaped(quoted: string): string | undefined {
  if (!quoted.includes("\\")) return quoted.slice(1, -1);
  try {
    return String(JSON.parse(quoted));
  } catch {
    return undefined;
  }
}
