// TypeScript's library does not know the source text of JSON numbers yet (ECMA-262 §25.5).
type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
const source = JSON as unknown as {
  parse(text: string, reviver: Reviver): unknown;
  rawJSON(text: string): { readonly rawJSON: string };
  isRawJSON(value: unknown): value is { readonly rawJSON: string };
};

/**
 * Parses JSON so that `JSON.stringify` returns every number in its written form: `1.10`, which FHIR
 * distinguishes from `1.1` (R4 §2.24.0.1, decimal), and digits beyond a double. Only such numbers become raw
 * values; every other number is plain. Throws SyntaxError.
 */
export function parseExact(text: string): unknown {
  return source.parse(text, (_key, value, context) =>
    typeof value === "number" && context.source !== undefined && String(value) !== context.source
      ? source.rawJSON(context.source)
      : value,
  );
}

/** The number in a value of `parseExact`, plain or raw. */
export function numberOf(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  return source.isRawJSON(value) ? Number(value.rawJSON) : undefined;
}

/** A mutable copy, by JSON text: every other way to clone loses raw values. */
export const copied = <T>(value: T): T => parseExact(JSON.stringify(value)) as T;

/** A JSON object, and not a raw number, which is an object to JavaScript. */
export function isExactObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !source.isRawJSON(value);
}

/**
 * A number to be written with just these digits: `7.10`. To the types a number, to `JSON.stringify` its text;
 * arithmetic needs `numberOf`.
 */
export function exactText(digits: string): number {
  const plain = Number(digits);
  // JSON.stringify accepts it as a number
  return String(plain) === digits ? plain : (source.rawJSON(digits) as unknown as number);
}
