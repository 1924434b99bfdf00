import { createHmac, hash } from "node:crypto";
import * as fc from "fast-check";
import { test } from "vitest";
import { hmacSha256, sha256 } from "#ledger/bytes/hash";
import { SHORT_BYTES_MAX, shortHmac, shortSha256 } from "#ledger/bytes/short-sha256";
import { utf8 } from "#kernel/encoded";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("the digests of FIPS 180-4's examples", ({ expect }) => {
  for (const [message, digest] of [
    ["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    [
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ],
  ] as const)
    expect(hex(shortSha256([utf8(message)]))).toBe(digest);
});

// `sha256` and `hmacSha256` take the library in Node. The ledger's tests in workerd run the short form.
test("a message of any length has the library's digest, in whatever parts it comes", ({ expect }) => {
  for (let length = 0; length <= SHORT_BYTES_MAX + 100; length++) {
    const message = crypto.getRandomValues(new Uint8Array(length));
    expect(hex(sha256(message)), String(length)).toBe(hash("sha256", message));
    if (length <= SHORT_BYTES_MAX) expect(hex(shortSha256([message]))).toBe(hash("sha256", message));
  }
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 4 }), (parts) => {
      expect(hex(shortSha256(parts))).toBe(hash("sha256", Buffer.concat(parts)));
    }),
  );
});

test("a MAC is the library's, for keys and messages of any length", ({ expect }) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.uint8Array({ maxLength: 300 }), (key, message) => {
      const mac = createHmac("sha256", key).update(message).digest("hex");
      expect(hex(hmacSha256(key, message))).toBe(mac);
      if (key.length <= 64) expect(hex(shortHmac(key, message))).toBe(mac);
    }),
  );
});

test("a message or key that is too long for the short form is an error, never a wrong digest", ({
  expect,
}) => {
  expect(() => shortSha256([new Uint8Array(SHORT_BYTES_MAX + 1)])).toThrow(RangeError);
  expect(() => shortSha256([new Uint8Array(SHORT_BYTES_MAX), new Uint8Array(1)])).toThrow(RangeError);
  expect(() => shortHmac(new Uint8Array(65), new Uint8Array(1))).toThrow(RangeError);
  expect(() => shortHmac(new Uint8Array(32), new Uint8Array(SHORT_BYTES_MAX - 63))).toThrow(RangeError);
});
