import { createHash, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { test } from "vitest";
import { blockwiseHmac, blockwiseSha256 } from "#ledger/bytes/short-sha256";
import * as inBrowser from "#console/browser/node-crypto";
import { Buffer as BrowserBuffer } from "#console/browser/buffer";

const lengths = [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1_000, 70_001];

test("the hash of the browser's script is SHA-256 for every length and split of the message", ({
  expect,
}) => {
  for (const length of lengths) {
    const bytes = new Uint8Array(randomBytes(length));
    const right = createHash("sha256").update(bytes).digest("hex");
    const at = Math.floor(length / 3);
    for (const parts of [[bytes], [bytes.subarray(0, at), bytes.subarray(at)]])
      expect(Buffer.from(blockwiseSha256(parts)).toString("hex"), String(length)).toBe(right);
  }
});

test("HMAC and HKDF of the browser's script are Node's", ({ expect }) => {
  for (const [keyLength, length] of [
    [0, 3],
    [32, 70],
    [64, 1],
    [65, 200],
  ] as const) {
    const [key, message] = [new Uint8Array(randomBytes(keyLength)), new Uint8Array(randomBytes(length))];
    expect(Buffer.from(blockwiseHmac(key, [message]))).toEqual(
      createHmac("sha256", key).update(message).digest(),
    );
    expect(new Uint8Array(inBrowser.hkdfSync("sha256", key, new Uint8Array(), message, 32))).toEqual(
      new Uint8Array(hkdfSync("sha256", key, new Uint8Array(), message, 32)),
    );
  }
});

test("the texts of bytes are Node's, and a broken text does not read as other bytes", ({ expect }) => {
  for (const length of [0, 1, 2, 3, 40]) {
    const bytes = new Uint8Array(randomBytes(length));
    for (const encoding of ["base64", "base64url", "hex"] as const) {
      const text = Buffer.from(bytes).toString(encoding);
      expect(BrowserBuffer.from(bytes).toString(encoding)).toBe(text);
      expect(new Uint8Array(BrowserBuffer.from(text, encoding))).toEqual(bytes);
    }
  }
  expect(BrowserBuffer.from("A?==", "base64").length).toBe(0);
  expect(BrowserBuffer.compare(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(-1);
  expect(BrowserBuffer.byteLength("é")).toBe(2);
});
