import { runInDurableObject } from "cloudflare:test";
import { test } from "vitest";
import { instant } from "#kernel/clock";
import { concat } from "#ledger/bytes/bytes";
import { checkpointOf, commit, type Head } from "#ledger/commit";
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  nodeHash,
  rangeRoot,
  verifyConsistency,
  verifyInclusion,
} from "#ledger/tlog/merkle";
import { TILE_WIDTH } from "#ledger/tlog/tile";
import { LedgerBucket } from "#platform/ledger/object/log/bucket";
import { LedgerObjects } from "#platform/ledger/object/log/objects";
import { LedgerStore } from "#platform/ledger/object/log/store";
import { restoreHead } from "#platform/ledger/object/log/stored-log";
import { originOf } from "./bucket.ts";
import { ownLog, shard } from "./worker.ts";

// A log of equal leaves: all perfect subtrees of a height are equal, so 2^24 leaves need not be made.
const leaf = new Uint8Array(100);
const trees = [leafHash(leaf)];
for (let height = 1; height <= 24; height++) trees.push(nodeHash(tree(height - 1), tree(height - 1)));
function tree(height: number): Uint8Array {
  return trees[height] ?? new Uint8Array();
}

const hashesOf = (level: number, count: number) => Array.from({ length: count }, () => tree(8 * level));
const tileOf = (level: number) => concat(hashesOf(level, TILE_WIDTH));

/** A log of equal leaves right before its last two tiles of a tree of 256^levels leaves. */
function headBefore(origin: string, levels: number): Head {
  const size = TILE_WIDTH ** levels - 2 * TILE_WIDTH;
  const heights = Array.from({ length: 24 }, (_, i) => 23 - i).filter(
    (height) => Math.floor(size / 2 ** height) % 2 === 1,
  );
  const edge = Array.from({ length: levels }, (_, level) =>
    hashesOf(level, Math.floor(size / TILE_WIDTH ** level) % TILE_WIDTH),
  );
  return {
    origin,
    size,
    range: heights.map(tree),
    edge,
    frame: { number: 999, hash: new Uint8Array(32), seconds: 0 },
  };
}

/** Its second copy: any full tile. */
const copies = {
  get: async (key: string) => {
    const [, level = ""] = /\/tile\/(\d)\/[x/\d]+$/.exec(key) ?? [];
    return { etag: "x", bytes: async () => tileOf(Number(level)) };
  },
} as unknown as R2Bucket; // all that reading needs

test.for([2, 3])(
  "a log that grows over 256^%i leaves and is pruned up to there starts, and proves every leaf and every earlier size",
  async (levels, { expect }) => {
    const log = ownLog();
    await runInDurableObject(shard(log), async (_, { storage }) => {
      const store = new LedgerStore(storage.sql);
      let head = headBefore(originOf(log), levels);
      const { size: from } = head;
      const earlier = [];
      for (const count of [256, 256, 256, 200, 100]) {
        const done = commit(
          head,
          Array.from({ length: count }, () => leaf),
          instant(Date.now()),
        );
        storage.transactionSync(() => store.insert(done, new Uint8Array(), undefined));
        store.created();
        head = done.head;
        earlier.push(checkpointOf(head));
        if (earlier.length > 1) continue;
        // The tiles that were full before and whose roots are in no full tile. A start needs them, and so
        // does a later deletion.
        for (let level = 0; level < levels - 1; level++) {
          const full = from / TILE_WIDTH ** (level + 1);
          for (let number = Math.floor(full / TILE_WIDTH) * TILE_WIDTH; number < Math.floor(full); number++)
            storage.sql.exec(
              "INSERT INTO tiles VALUES (?, ?, ?, ?)",
              level,
              number,
              tree(8 * (level + 1)),
              tileOf(level),
            );
        }
        storage.transactionSync(() => {
          store.copied.add({ first: 0, last: 999, size: from, bytes: 1 });
          store.deleteUpTo({ frames: 1000, size: from });
        });
        expect(restoreHead(store, head.origin)).toEqual(head);
      }
      const boundary = TILE_WIDTH ** levels;
      storage.transactionSync(() => store.deleteUpTo({ frames: 1002, size: boundary }));
      const tiles = storage.sql
        .exec<{ level: number; number: number }>("SELECT level, number FROM tiles ORDER BY level")
        .toArray();
      expect(tiles).toEqual([
        { level: 0, number: boundary / TILE_WIDTH },
        { level: 0, number: boundary / TILE_WIDTH + 1 },
        { level: levels - 1, number: 0 },
      ]);
      expect(restoreHead(store, head.origin)).toEqual(head);

      const { size } = head;
      const root = rangeRoot(head.range);
      const objects = new LedgerObjects(store, new LedgerBucket(copies), () => head);
      for (const index of [0, 255, 256, 65_535, from, boundary - 1, boundary, size - 1]) {
        const proof = inclusionProof(index, size, await objects.hashesAbout(head, [index, size]));
        expect(verifyInclusion(index, size, tree(0), proof, root), String(index)).toBe(true);
      }
      for (const checkpoint of earlier.slice(2)) expect(await objects.extends(checkpoint)).toBe(true);
      for (const { size: old, root: oldRoot } of earlier) {
        const proof = consistencyProof(old, size, await objects.hashesAbout(head, [old]));
        expect(old === size || verifyConsistency(old, size, proof, oldRoot, root), String(old)).toBe(true);
      }
      for (const height of [0, 8, 15, 16]) {
        const proof = consistencyProof(2 ** height, size, await objects.hashesAbout(head, [2 ** height]));
        expect(verifyConsistency(2 ** height, size, proof, tree(height), root), `2^${height}`).toBe(true);
      }
    });
  },
);
