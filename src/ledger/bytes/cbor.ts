import { decode, encode, rfc8949EncodeOptions, type Token, Tokenizer } from "cborg";
import { err, ok, type Result } from "#kernel/result";
import { fromUtf8, plain, sameBytes } from "./bytes.ts";
import { NotPlain, writeCbor } from "./cbor-writer.ts";

/**
 * Deterministic CBOR (RFC 8949 §4.2.1): the same value always gives the same bytes. Plain data and `Map`s
 * with integer keys.
 */
export function toCbor(value: unknown): Uint8Array {
  try {
    return writeCbor(value);
  } catch (fault) {
    if (fault instanceof NotPlain) return encode(value, rfc8949EncodeOptions);
    throw fault;
  }
}

export type CborProblem =
  | "cbor_malformed"
  | "cbor_value_not_allowed"
  | "cbor_not_deterministic"
  | "number_too_large";

/**
 * Reads bytes that are exactly one CBOR item, as docs/ledger-format.md allows it: integers within ±(2^53 −
 * 1), byte strings, text, arrays, maps with unsigned integer keys or text keys (as `Map`), true, false,
 * null. Nesting is at most 16 deep. Each value has a single deterministic spelling.
 */
export function readCbor(bytes: Uint8Array): Result<unknown, CborProblem> {
  let value: unknown;
  try {
    value = decode(bytes, { ...options, tokenizer: new StrictText(plain(bytes), options) });
  } catch {
    // cborg throws for malformed input, for forbidden options, and for nesting beyond its stack
    return err("cbor_malformed");
  }
  const problem = notAllowed(value, DEPTH_MAX);
  if (problem !== undefined) return err(problem);
  return sameBytes(toCbor(value), bytes) ? ok(value) : err("cbor_not_deterministic");
}

/** A CBOR map with unsigned integer keys: the outermost form of every body and record. */
export function readCborMap(bytes: Uint8Array): Result<ReadonlyMap<number, unknown>, CborProblem> {
  const value = readCbor(bytes);
  if (!value.ok) return value;
  return value.value instanceof Map && [...value.value.keys()].every(isUnsigned)
    ? ok(value.value)
    : err("cbor_value_not_allowed");
}

/** The value of `readCbor`, or undefined. */
export function fromCbor(bytes: Uint8Array): unknown {
  const value = readCbor(bytes);
  return value.ok ? value.value : undefined;
}

/** The value of `readCborMap`, or undefined. */
export function fromCborMap(bytes: Uint8Array): ReadonlyMap<number, unknown> | undefined {
  const map = readCborMap(bytes);
  return map.ok ? map.value : undefined;
}

const DEPTH_MAX = 16;
const options = {
  useMaps: true,
  strict: true,
  rejectDuplicateMapKeys: true,
  retainStringBytes: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: true, // read, so that the refusal can name it
};

/**
 * cborg decodes text leniently and drops a leading byte order mark. Strict decoding keeps two byte strings
 * from reading as the same text.
 */
class StrictText extends Tokenizer {
  override next(): Token {
    const token = super.next();
    if (token.byteValue === undefined) return token;
    const text = fromUtf8(token.byteValue);
    if (text === undefined) throw new Error("text that is not UTF-8");
    return Object.assign(token, { value: text });
  }
}

function notAllowed(value: unknown, depth: number): CborProblem | undefined {
  // cborg gives a number for every integer within ±(2^53 − 1)
  if (typeof value === "bigint") return "number_too_large";
  if (typeof value === "number") return Number.isSafeInteger(value) ? undefined : "cbor_value_not_allowed";
  if (
    typeof value === "string" ||
    typeof value === "boolean" ||
    value === null ||
    value instanceof Uint8Array
  )
    return undefined;
  if (depth === 0) return "cbor_value_not_allowed";
  if (Array.isArray(value)) return firstOf(value, depth - 1);
  if (!(value instanceof Map)) return "cbor_value_not_allowed";
  const keys = [...value.keys()];
  if (keys.some((key) => typeof key === "bigint")) return "number_too_large";
  const oneKind = keys.every(isUnsigned) || keys.every((key) => typeof key === "string");
  return oneKind ? firstOf([...value.values()], depth - 1) : "cbor_value_not_allowed";
}

function firstOf(values: readonly unknown[], depth: number): CborProblem | undefined {
  for (const value of values) {
    const problem = notAllowed(value, depth);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

const isUnsigned = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
