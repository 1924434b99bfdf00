import { encode, rfc8949EncodeOptions } from "cborg";
import * as fc from "fast-check";
import { test } from "vitest";
import { writeCbor } from "#ledger/bytes/cbor-writer";
import { fromCbor, readCbor, readCborMap, toCbor } from "#ledger/bytes/cbor";
import { inLane } from "../../support/lane.ts";

// the library may give a Buffer
const byTheLibrary = (value: unknown): Uint8Array => new Uint8Array(encode(value, rfc8949EncodeOptions));
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));

test("every value that docs/ledger-format.md allows reads back as it was written, text to the last byte", ({
  expect,
}) => {
  const { value } = fc.letrec((tie) => ({
    leaf: fc.oneof(
      fc.maxSafeInteger().map((n) => (Object.is(n, -0) ? 0 : n)),
      fc.string({ unit: "binary" }),
      fc.string({ unit: "binary" }).map((text) => `\ufeff${text}`),
      fc.uint8Array(),
      fc.constantFrom(true, false, null),
    ),
    value: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      tie("leaf"),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.array(fc.tuple(fc.maxSafeNat(), tie("value")), { maxLength: 4 }).map((pairs) => new Map(pairs)),
      fc.array(fc.tuple(fc.string(), tie("value")), { maxLength: 4 }).map((pairs) => new Map(pairs)),
    ),
  }));
  fc.assert(
    fc.property(value, (one) => {
      expect(readCbor(toCbor(one))).toEqual({ ok: true, value: one });
    }),
  );
});

test("the ledger's own writer writes the library's bytes for any value, and leaves all remaining types to the library", ({
  expect,
}) => {
  const numbers = fc.oneof(
    fc.maxSafeInteger(),
    fc.nat(70_000),
    fc.constantFrom(23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, -24, -25, -0),
  );
  const texts = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string(),
    fc.string({ minLength: 250, maxLength: 300 }),
  );
  const leaf = fc.oneof(
    numbers,
    texts,
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom(true, false, null),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      leaf,
      fc.array(tie("value"), { maxLength: 30 }),
      fc.dictionary(texts, tie("value"), { noNullPrototype: true }),
      fc.array(fc.tuple(fc.nat(), tie("value"))).map((pairs) => new Map(pairs)),
      fc.array(fc.tuple(texts, tie("value"))).map((pairs) => new Map(pairs)),
    ),
  }));
  fc.assert(
    fc.property(value, (one) => {
      expect(writeCbor(one)).toEqual(byTheLibrary(one));
    }),
    { numRuns: inLane({ fast: 120, slow: 300, long: 300 }) },
  );
  const rest = fc.anything({
    withBigInt: true,
    withMap: true,
    withTypedArray: true,
    withNullPrototype: true,
  });
  const outcome = (write: () => Uint8Array) => {
    try {
      return write();
    } catch {
      return "refused";
    }
  };
  fc.assert(
    fc.property(rest, (one) => {
      expect(outcome(() => new Uint8Array(toCbor(one)))).toEqual(outcome(() => byTheLibrary(one)));
    }),
    { numRuns: inLane({ fast: 120, slow: 300, long: 300 }) },
  );
});

test("two different byte strings never read as the same value, and no bytes make the reader throw", ({
  expect,
}) => {
  fc.assert(
    fc.property(fc.uint8Array(), (some) => {
      const read = readCbor(some);
      if (read.ok) expect(toCbor(read.value)).toEqual(some);
    }),
  );
});

test("each thing that the format does not allow is refused by its name", ({ expect }) => {
  // RFC 8949 appendix A has the encodings of the numbers, appendix F malformed items.
  const refused: Record<string, readonly string[]> = {
    cbor_malformed: [
      "", // nothing
      "0101", // two items
      "a101", // cut
      "1801", // an integer longer than needed
      "9fff", // indefinite length
      "bf0101ff",
      "7f6161ff",
      "a201010102", // a repeated key
      "c101", // a tag
      "c24101",
      "f7", // undefined
      "e0", // simple values
      "f8ff",
      "f97c00", // Infinity
      "f97e00", // NaN
      "61ff", // text that is not UTF-8
      "63eda080", // a surrogate
      "62c080", // an overlong zero
      "81".repeat(60_000),
    ],
    cbor_not_deterministic: ["a202010101", "a2190100010101", "f93c00", "f98000", "a262616201616101"],
    cbor_value_not_allowed: [
      "f93e00", // 1.5
      "fb3ff199999999999a",
      "a12001", // a negative key
      "a1410101", // a byte string as key
      "a1f501",
      "a18001",
      "a20101616101", // integers and text as keys of a single map
      "81".repeat(17) + "01",
    ],
    number_too_large: [
      "1b0020000000000000",
      "1bffffffffffffffff",
      "3b001fffffffffffff",
      "a11b002000000000000001",
      "a1011b0020000000000000",
    ],
  };
  for (const [error, items] of Object.entries(refused)) {
    for (const item of items) expect(readCbor(bytes(item)), item.slice(0, 40)).toEqual({ ok: false, error });
  }
  expect(readCbor(bytes("81".repeat(16) + "01")).ok).toBe(true);
  expect(fromCbor(bytes("1b001fffffffffffff"))).toBe(2 ** 53 - 1);
});

test("a body is a map with unsigned integer keys, and maps in it have integers or texts as keys", ({
  expect,
}) => {
  expect(readCborMap(toCbor(new Map<number, unknown>([[1, new Map([["Patient", 1]])]]))).ok).toBe(true);
  for (const item of ["01", "80", "a1616101", "f6"]) {
    expect(readCborMap(bytes(item)), item).toEqual({ ok: false, error: "cbor_value_not_allowed" });
  }
});
