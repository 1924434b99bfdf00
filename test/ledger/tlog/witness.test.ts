import { generateKeyPairSync, sign } from "node:crypto";
import * as fc from "fast-check";
import { test } from "vitest";
import { toBase64 } from "#ledger/bytes/base64";
import { utf8 } from "#kernel/encoded";
import { consistencyProof, emptyRoot, leafHash, rootAt, rootOf } from "#ledger/tlog/merkle";
import { type FurtherKey, keyId, noteOf, type Verifier, verifierOfKeys } from "#ledger/tlog/signed-note";
import { judge, nothingYet, type Remembered } from "#ledger/tlog/witness";
import { readAddCheckpoint, REQUEST_BYTES_MAX, writeAddCheckpoint } from "#ledger/tlog/witness-request";

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const raw = new Uint8Array(publicKey.export({ format: "der", type: "spki" }).subarray(-32));
const log: Verifier = { name: "log.test/root", id: keyId("log.test/root", raw), publicKey: raw };

/** The tree of these leaves. */
const tree = (leaves: readonly string[]) => {
  const hashes = leaves.map((leaf) => leafHash(utf8(leaf)));
  const at = (level: number, index: number) =>
    rootOf(hashes.slice(index * 2 ** level, (index + 1) * 2 ** level));
  const root = (size: number) => rootAt(size, at);
  return {
    root,
    proof: (from: number, to: number) => (from === 0 || from >= to ? [] : consistencyProof(from, to, at)),
  };
};
const checkpoint = (size: number, root: Uint8Array, { origin = log.name, key = privateKey } = {}) => {
  const text = `${origin}\n${size}\n${toBase64(root)}\n`;
  return utf8(
    noteOf(
      text,
      { ...log, name: origin, id: keyId(origin, raw) },
      new Uint8Array(sign(null, utf8(text), key)),
    ),
  );
};
const leaves = Array.from({ length: 20 }, (_, i) => `leaf ${i}`);
const good = tree(leaves);
const forked = tree([...leaves.slice(0, 5), "another", ...leaves.slice(6)]);
const seen = (size: number): Remembered => ({ size, root: good.root(size) });

test("a witness cosigns a log's first checkpoint, a checkpoint that extends the last, and the last checkpoint again", ({
  expect,
}) => {
  const ask = (last: Remembered, to: number) =>
    judge(
      { oldSize: last.size, proof: good.proof(last.size, to), checkpoint: checkpoint(to, good.root(to)) },
      last,
      [log],
    );
  expect(ask(nothingYet, 7)).toMatchObject({ verdict: "cosign", head: { origin: log.name, size: 7 } });
  expect(ask(seen(7), 20)).toMatchObject({ verdict: "cosign" });
  expect(ask(seen(7), 7)).toMatchObject({ verdict: "cosign" });
  expect(ask(nothingYet, 0)).toMatchObject({ verdict: "cosign" });
});

test("a witness cosigns nothing that only a key that ended signed", ({ expect }) => {
  const inUse = new Uint8Array(32).fill(7);
  const ask = (further: FurtherKey) =>
    judge({ oldSize: 7, proof: good.proof(7, 20), checkpoint: checkpoint(20, good.root(20)) }, seen(7), [
      verifierOfKeys(log.name, inUse, [further]),
    ]).verdict;
  expect(ask({ publicKey: raw })).toBe("cosign");
  expect(ask({ publicKey: raw, end: 21 })).toBe("not_signed");
});

test.for([
  ["unknown_log", { origin: "other.test/root" }],
  ["not_signed", { key: generateKeyPairSync("ed25519").privateKey }],
  ["old_size_beyond_the_checkpoint", { oldSize: 13 }],
  ["old_size_is_not_the_last", { oldSize: 6 }],
  ["proof_wrong", { proof: good.proof(6, 12) }],
  ["proof_wrong", { proof: [] }],
  ["proof_wrong", { root: forked.root(12) }],
  ["proof_wrong", { root: forked.root(12), proof: forked.proof(7, 12) }],
  ["another_root_at_this_size", { size: 7, root: forked.root(7), proof: [] }],
  ["proof_wrong", { size: 7, root: good.root(7), proof: good.proof(6, 7) }],
  ["old_size_beyond_the_checkpoint", { size: 5, root: good.root(5) }],
  ["proof_wrong", { last: nothingYet, oldSize: 0, proof: good.proof(7, 12) }],
  ["root_not_of_the_empty_tree", { last: nothingYet, oldSize: 0, proof: [], size: 0, root: good.root(1) }],
  ["old_size_is_not_the_last", { oldSize: 0, proof: [], size: 0, root: good.root(1) }],
] as const)("%s: %o", ([verdict, change], { expect }) => {
  const {
    size = 12,
    oldSize = 7,
    last = seen(7),
    ...rest
  } = { ...change } as {
    size?: number;
    oldSize?: number;
    last?: Remembered;
    root?: Uint8Array;
    proof?: Uint8Array[];
    origin?: string;
  };
  const { root = good.root(size), proof = good.proof(7, size), ...key } = rest;
  expect(judge({ oldSize, proof, checkpoint: checkpoint(size, root, key) }, last, [log])).toEqual({
    verdict,
  });
});

test("a witness shows a checkpoint with only the log's own signatures", ({ expect }) => {
  const given = new TextDecoder().decode(checkpoint(7, good.root(7)));
  const stranger = `— somebody.test/else ${Buffer.alloc(72).toString("base64")}\n`;
  const judged = judge({ oldSize: 0, proof: [], checkpoint: utf8(given + stranger) }, nothingYet, [log]);
  expect(judged).toMatchObject({ verdict: "cosign", note: given });
});

test("a request is written as it was read; an invalid or too long request is not read", ({ expect }) => {
  const request = { oldSize: 7, proof: good.proof(7, 12), checkpoint: checkpoint(12, good.root(12)) };
  const body = writeAddCheckpoint(request);
  expect(readAddCheckpoint(body)).toEqual(request);
  expect(new TextDecoder().decode(body)).toMatch(/^old 7\n(?:[A-Za-z0-9+/]{43}=\n)+\nlog\.test\/root\n12\n/);
  const hash = toBase64(emptyRoot);
  for (const bad of [
    "",
    "old 7",
    "old 07\n\nx",
    "old -1\n\nx",
    "new 7\n\nx",
    `old 7\n${hash}x\n\nx`,
    "old 7\nAAAA\n\nx",
    "old 9007199254740993\n\nx",
  ])
    expect(readAddCheckpoint(utf8(bad)), bad).toBeUndefined();
  expect(readAddCheckpoint(utf8(`old 7\n${`${hash}\n`.repeat(63)}\nx`))?.proof.length).toBe(63);
  expect(readAddCheckpoint(utf8(`old 7\n${`${hash}\n`.repeat(64)}\nx`))).toBeUndefined();
  expect(readAddCheckpoint(utf8(`old 7\n\n${"x".repeat(REQUEST_BYTES_MAX)}`))).toBeUndefined();
  expect(readAddCheckpoint(Uint8Array.of(...utf8("old 7\n\n"), 0xff))).toBeUndefined();
});

test("a forked log may ask anything in any order: all checkpoints that a witness cosigns form one growing history", ({
  expect,
}) => {
  const step = fc.record({
    fork: fc.boolean(),
    to: fc.nat(20),
    lie: fc.option(fc.nat(20), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      let last = nothingYet;
      for (const { fork, to, lie } of steps) {
        const own = fork ? forked : good;
        const oldSize = lie ?? last.size;
        const proof = oldSize <= to ? own.proof(oldSize, to) : [];
        const judged = judge({ oldSize, proof, checkpoint: checkpoint(to, own.root(to)) }, last, [log]);
        if (judged.verdict !== "cosign") continue;
        expect(judged.head.size).toBeGreaterThanOrEqual(last.size);
        const history = [good, forked].filter(({ root }) => Buffer.compare(root(last.size), last.root) === 0);
        expect(history.some(({ root }) => Buffer.compare(root(to), judged.head.root) === 0)).toBe(true);
        last = judged.head;
      }
    }),
  );
});
