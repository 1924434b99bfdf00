import * as fc from "fast-check";
import { test } from "vitest";
import { toBase64url } from "#kernel/encoded";
import { decodeBase64, isBase64url } from "#identity/jose/base64url";

const sign = fc.constantFrom(
  ...Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
);
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
      expect(toBase64url(decodeBase64(one)) === one).toBe(isBase64url(one));
    }),
  );
});
