import { decode, encode, rfc8949EncodeOptions, type Token, Tokenizer } from "cborg";
import * as fc from "fast-check";
import { test } from "vitest";
import { NotPlain, writeCbor } from "#ledger/bytes/cbor-writer";
import { fromUtf8 } from "#ledger/bytes/bytes";
import { CborTooDeep, MalformedCbor, parseCbor } from "#ledger/bytes/cbor-reader";
import { fromCbor, readCbor, readCborMap, toCbor, viewCbor } from "#ledger/bytes/cbor";
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
      expect(viewCbor(toCbor(one)), "with views").toEqual(one);
    }),
  );
});

test("the ledger's own writer writes the library's bytes for any value, and refuses every other value", ({
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
  const written = (one: unknown) => {
    try {
      return toCbor(one);
    } catch (fault) {
      expect(fault).toBeInstanceOf(NotPlain);
      return undefined;
    }
  };
  for (const one of [1.5, 2 ** 53, 1n, undefined, [undefined], { a: 0.5 }, new Date(0), new Set([1])])
    expect(written(one)).toBeUndefined();
  fc.assert(
    fc.property(rest, (one) => {
      const some = written(one);
      if (some !== undefined) expect(some).toEqual(byTheLibrary(one));
    }),
    { numRuns: inLane({ fast: 120, slow: 300, long: 300 }) },
  );
});

const strict = {
  useMaps: true,
  strict: true,
  rejectDuplicateMapKeys: true,
  retainStringBytes: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: true,
};

/** The library reads text leniently, and drops a byte order mark. */
class StrictText extends Tokenizer {
  override next(): Token {
    const token = super.next();
    const text = token.byteValue && fromUtf8(token.byteValue);
    if (token.byteValue !== undefined && text === undefined) throw new Error("text that is not UTF-8");
    return text === undefined ? token : Object.assign(token, { value: text });
  }
}

const outcome = (read: () => unknown): unknown => {
  try {
    return { value: read() };
  } catch {
    return "refused";
  }
};

test("the ledger's own reader reads what the library reads, and refuses what the library refuses", ({
  expect,
}) => {
  const both = (item: Uint8Array) => {
    const options = { ...strict, tokenizer: new StrictText(item, strict) };
    expect(outcome(() => parseCbor(item))).toEqual(outcome(() => decode(item, options)));
  };
  const heads = Array.from({ length: 256 }, (_, head) => head);
  for (const head of heads)
    for (const rest of ["", "00", "18", "ff", "0000", "0100", "7bff", "00000000", "00010000", "7f7fffff"])
      for (const more of ["", "00000000", "ffffffff", "f6".repeat(24)])
        both(new Uint8Array([head, ...bytes(rest + more)]));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.oneof(fc.maxSafeInteger(), fc.double(), fc.string({ unit: "binary" }), fc.uint8Array()),
      fc.oneof(fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n - 1n }), fc.constantFrom(true, false, null)),
      fc.array(tie("value"), { maxLength: 30 }),
      fc.array(fc.tuple(fc.oneof(fc.integer(), fc.string()), tie("value"))).map((pairs) => new Map(pairs)),
    ),
  }));
  const damage = fc.tuple(fc.nat(), fc.nat(255), fc.nat(3));
  fc.assert(
    fc.property(value, damage, (one, [place, byte, times]) => {
      const item = new Uint8Array(encode(one, { float64: false }));
      both(item);
      for (let i = 0; i < times; i++) item[(place * (i + 1)) % item.length] = byte + i;
      both(item);
      both(item.subarray(0, place % (item.length + 1)));
    }),
    { numRuns: inLane({ fast: 120, slow: 1_000, long: 10_000 }) },
  );
});

test("nested items that each claim the rest of the bytes are refused at the 17th level, before their content", ({
  expect,
}) => {
  /** Arrays or maps in each other: each claims all bytes, or all pairs, that come after it. */
  const nested = (levels: number, major: 4 | 5, claimed: (left: number) => number): Uint8Array => {
    const size = major === 4 ? 3 : 4; // the head, and the key of the value that is the next level
    const item = new Uint8Array(levels * size).fill(0);
    const view = new DataView(item.buffer);
    for (let level = 0; level < levels; level++) {
      view.setUint8(level * size, (major << 5) | 25);
      view.setUint16(level * size + 1, claimed(item.length - level * size - 3));
    }
    return item;
  };
  const refusalOf = (item: Uint8Array) => {
    expect(outcome(() => decode(item, { ...strict, tokenizer: new StrictText(item, strict) }))).toBe(
      "refused",
    );
    try {
      return parseCbor(item);
    } catch (fault) {
      return fault instanceof MalformedCbor ? fault.constructor : fault;
    }
  };
  for (const [major, claimed] of [
    [4, (left: number) => left],
    [5, (left: number) => left >> 1],
  ] as const) {
    const levels = major === 4 ? 21_800 : 16_300; // 65 KB, the most that a leaf holds
    expect(refusalOf(nested(levels, major, claimed))).toBe(CborTooDeep);
    // A claim above the bytes that are left is refused where it stands, and 16 levels are read to their end.
    expect(refusalOf(nested(levels, major, (left) => claimed(left) + 1))).toBe(MalformedCbor);
    expect(refusalOf(nested(90, major, claimed).subarray(0, 16 * (major === 4 ? 3 : 4)))).toBe(MalformedCbor);
  }
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
      "81".repeat(60_000),
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
