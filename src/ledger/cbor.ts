import { decode, encode, rfc8949EncodeOptions } from "cborg";

/** Deterministic CBOR (RFC 8949 §4.2.1): the same value always gives the same bytes. Plain data and `Map`s with integer keys. */
export const toCbor = (value: unknown): Uint8Array => encode(value, rfc8949EncodeOptions);

/** One CBOR item that fills the bytes, maps as `Map`; undefined for anything else, also for a second spelling of the same value. */
export function fromCbor(bytes: Uint8Array): unknown {
  try {
    return decode(bytes, {
      useMaps: true,
      strict: true,
      rejectDuplicateMapKeys: true,
      allowIndefinite: false,
      allowUndefined: false,
      allowInfinity: false,
      allowNaN: false,
      allowBigInt: false,
    });
  } catch {
    return undefined; // cborg throws for every malformed input, and only for that
  }
}

/** A CBOR map with integer keys, or undefined. */
export function fromCborMap(bytes: Uint8Array): ReadonlyMap<number, unknown> | undefined {
  const value = fromCbor(bytes);
  return value instanceof Map && [...value.keys()].every((key) => Number.isSafeInteger(key)) ? value : undefined;
}
