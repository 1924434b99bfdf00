import * as fc from "fast-check";
import { expect, test } from "vitest";
import { CODED_BYTES_MAX, shortFromBase64, shortToBase64 } from "#ledger/bytes/short-base64";
import { fromBase64, toBase64 } from "#ledger/bytes/base64";

const byLibrary = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

test("bytes have the library's text, and the text has these bytes again, on both sides of the longest short length", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: CODED_BYTES_MAX + 8 }), (bytes) => {
      expect(shortToBase64(bytes)).toBe(byLibrary(bytes));
      expect(toBase64(bytes)).toBe(byLibrary(bytes));
      expect(shortFromBase64(byLibrary(bytes))).toEqual(bytes);
      expect(fromBase64(byLibrary(bytes))).toEqual(bytes);
    }),
  );
});

test("a text has bytes only if it is the library's text of these bytes", () => {
  const nearBase64 = fc.string({
    unit: fc.constantFrom("A", "B", "a", "b", "0", "1", "+", "/", "=", "-", "_", " ", "\n", "é"),
    maxLength: 12,
  });
  fc.assert(
    fc.property(nearBase64, (text) => {
      const bytes = new Uint8Array(Buffer.from(text, "base64"));
      expect([text, shortFromBase64(text)]).toEqual([text, byLibrary(bytes) === text ? bytes : undefined]);
    }),
    { numRuns: 2_000 },
  );
  for (const text of ["", "QQ==", "QUE=", "QUFB"]) expect(shortFromBase64(text)).toBeDefined();
  for (const text of ["QR==", "QUF=", "Q===", "====", "QQ=", "QQ==QQ==", "Q Q="])
    expect(shortFromBase64(text)).toBeUndefined();
});
