import { err, ok, type Result } from "#kernel/result";
import { sameBytes } from "./bytes.ts";
import { CborTooDeep, parseCbor } from "./cbor-reader.ts";
import { writeCbor } from "./cbor-writer.ts";

/**
 * Deterministic CBOR (RFC 8949 §4.2.1): the same value always gives the same bytes. Throws `NotPlain` for a
 * value that docs/ledger-format.md does not allow, such as a fraction or undefined.
 */
export const toCbor = writeCbor;

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
    value = parseCbor(bytes);
  } catch (fault) {
    return err(fault instanceof CborTooDeep ? "cbor_value_not_allowed" : "cbor_malformed");
  }
  const problem = notAllowed(value);
  if (problem !== undefined) return err(problem);
  // The writer has one spelling of each value, so that equal bytes also prove that they were read aright.
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

/**
 * The value of bytes that this ledger wrote and whose seal proves that: byte strings are views into them, and
 * the one spelling of each value is not checked. Undefined when they are not a single CBOR item.
 */
export function viewCbor(bytes: Uint8Array): unknown {
  try {
    return parseCbor(bytes, "views");
  } catch {
    return undefined; // the reader throws for malformed CBOR only
  }
}

function notAllowed(value: unknown): CborProblem | undefined {
  if (typeof value === "bigint") return "number_too_large";
  if (typeof value === "number") return Number.isSafeInteger(value) ? undefined : "cbor_value_not_allowed";
  if (
    typeof value === "string" ||
    typeof value === "boolean" ||
    value === null ||
    value instanceof Uint8Array
  )
    return undefined;
  if (Array.isArray(value)) return firstOf(value);
  if (!(value instanceof Map)) return "cbor_value_not_allowed";
  const keys = [...value.keys()];
  if (keys.some((key) => typeof key === "bigint")) return "number_too_large";
  const oneKind = keys.every(isUnsigned) || keys.every((key) => typeof key === "string");
  return oneKind ? firstOf([...value.values()]) : "cbor_value_not_allowed";
}

function firstOf(values: readonly unknown[]): CborProblem | undefined {
  for (const value of values) {
    const problem = notAllowed(value);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

const isUnsigned = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
