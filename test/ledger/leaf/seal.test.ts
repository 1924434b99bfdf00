import { randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { test } from "vitest";
import { Secret } from "#kernel/secret";
import { encodeLeaf, LEAF_BYTES_MAX, leafKinds, parseLeaf } from "#ledger/leaf/leaf";
import { pad, PLAINTEXT_BYTES_MAX, sizeClasses, unpad } from "#ledger/leaf/padding";
import { isCommittedKey, keyCommitment, LeafSealer, nonceOf, openLeaf, sealBox } from "#ledger/leaf/seal";

const random32 = (): Uint8Array => new Uint8Array(randomBytes(32));
const key = new Secret(random32());
const origin = "ledger.test/s0-2026h2";
const [counter, linesRoot] = [2 ** 40 + 1, random32()];
const sealer = await LeafSealer.of(key, origin, 7);

function leafOf(bytes: Uint8Array) {
  const leaf = parseLeaf(bytes);
  if (!leaf.ok) throw new Error(leaf.error);
  return leaf.value;
}

test("the bytes of a leaf are the bytes that docs/ledger-format.md lists", ({ expect }) => {
  const bytes = encodeLeaf({
    kind: leafKinds.shardOpen,
    keyEpoch: 0x01020304,
    counter: 0x05060708,
    linesRoot: new Uint8Array(32).fill(0xaa),
    body: Uint8Array.of(0xa0, 0xf6),
  });
  expect(Buffer.from(bytes).toString("hex")).toBe(
    `0102010203040000000005060708${"aa".repeat(32)}00000002a0f6`,
  );
});

test("padding is reversible, hides the length in one of ten classes, and unpadding refuses all remaining bytes", ({
  expect,
}) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), (plaintext) => {
      const padded = pad(plaintext);
      expect(sizeClasses).toContain(padded.length);
      expect(unpad(padded)).toEqual(plaintext);
      expect(unpad(padded.subarray(0, -1))).toBeUndefined();
    }),
  );
  for (const size of sizeClasses) {
    expect(pad(new Uint8Array(size - 1)).length).toBe(size);
    expect(unpad(new Uint8Array(size))).toBeUndefined();
  }
  const tooWide = new Uint8Array(512);
  tooWide[10] = 0x80; // belongs in the class of 256
  expect(unpad(tooWide)).toBeUndefined();
  expect(() => pad(new Uint8Array(PLAINTEXT_BYTES_MAX + 1))).toThrow(RangeError);
});

test("the longest record makes a leaf of exactly 65,535 bytes", async ({ expect }) => {
  const longest = await sealer.seal(counter, linesRoot, new Uint8Array(PLAINTEXT_BYTES_MAX));
  expect(longest.length).toBe(LEAF_BYTES_MAX);
  await expect(sealer.seal(counter, linesRoot, new Uint8Array(PLAINTEXT_BYTES_MAX + 1))).rejects.toThrow(
    RangeError,
  );
});

test("leaves that are sealed at once are the leaves that a second implementation seals one by one", async ({
  expect,
}) => {
  const plaintexts = [0, 1, 255, 256, 1_000, 40_000].map((length) => new Uint8Array(length).fill(7));
  const sealed = await Promise.all(
    plaintexts.map((plaintext, i) => sealer.seal(counter + i, linesRoot, plaintext)),
  );
  for (const [i, plaintext] of plaintexts.entries()) {
    const padded = pad(plaintext);
    const head = { kind: leafKinds.sealed, keyEpoch: 7, counter: counter + i, linesRoot };
    const header = encodeLeaf({ ...head, body: new Uint8Array(padded.length + 16) }).subarray(0, 50);
    const aad = Buffer.concat([Uint8Array.of(0, origin.length), Buffer.from(origin), header]);
    const nonce = nonceOf(head);
    expect(sealed[i]).toEqual(encodeLeaf({ ...head, body: sealBox(key, nonce, aad, padded) }));
  }
});

test("a leaf opens only with its key, log and unchanged bytes", async ({ expect }) => {
  const plaintext = new TextEncoder().encode("record");
  const bytes = await sealer.seal(counter, linesRoot, plaintext);
  expect(await openLeaf(key, origin, leafOf(bytes))).toEqual({ ok: true, value: plaintext });
  expect((await openLeaf(new Secret(random32()), origin, leafOf(bytes))).ok).toBe(false);
  expect((await openLeaf(key, `${origin}x`, leafOf(bytes))).ok).toBe(false);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Uint8Array.from(bytes, (byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
    const leaf = parseLeaf(flipped);
    if (leaf.ok) expect((await openLeaf(key, origin, leaf.value)).ok, `bit ${bit}`).toBe(false);
  }
});

test("a key commitment fits a single key, log and epoch", ({ expect }) => {
  const commitment = keyCommitment(key, origin, 7);
  expect(isCommittedKey(key, origin, 7, commitment)).toBe(true);
  expect(isCommittedKey(key, origin, 8, commitment)).toBe(false);
  expect(isCommittedKey(key, `${origin}0`, 7, commitment)).toBe(false);
  expect(isCommittedKey(new Secret(random32()), origin, 7, commitment)).toBe(false);
  expect(isCommittedKey(key, origin, 7, commitment.subarray(1))).toBe(false);
});

test("reading a leaf never throws, and a leaf that was read is written back unchanged", ({ expect }) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const leaf = parseLeaf(bytes);
      if (leaf.ok) expect(encodeLeaf(leaf.value)).toEqual(bytes);
    }),
  );
});
