import * as fc from "fast-check";
import { test } from "vitest";
import { decodeBase64, isBase64url } from "#identity/jose/base64url";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const sign = fc.constantFrom(...Array.from(alphabet));
/** RFC 4648 §3.5: the bits of the last sign that no byte takes are zero. */
const hasZeros = (one: string) => {
  const unused = [0, 0, 0b1111, 0b11][one.length % 4] ?? 0;
  return (alphabet.indexOf(one.at(-1) ?? "") & unused) === 0;
};
const text = fc.string({ unit: sign, minLength: 1, maxLength: 50 }).filter(({ length }) => length % 4 !== 1);

test("bytes are read as atob reads them, stray last bits and padding too, and only the canonical text is written again", ({
  expect,
}) => {
  fc.assert(
    fc.property(text, (one) => {
      const base64 = one
        .replaceAll("-", "+")
        .replaceAll("_", "/")
        .padEnd(Math.ceil(one.length / 4) * 4, "=");
      const expected = Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0));
      expect(decodeBase64(one)).toEqual(expected);
      expect(decodeBase64(base64)).toEqual(expected);
      expect(isBase64url(one)).toBe(hasZeros(one));
      expect(isBase64url(base64)).toBe(base64 === one && hasZeros(one));
      expect(isBase64url(`${one.slice(0, one.length - (one.length % 4))}A`), "a sign too many").toBe(false);
    }),
  );
  for (const other of ["", " AA", "AA\n", "AAAA="]) expect(isBase64url(other), other).toBe(false);
});
