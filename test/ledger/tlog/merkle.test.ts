import * as fc from "fast-check";
import { test } from "vitest";
import {
  consistencyProof,
  emptyRoot,
  extendRange,
  inclusionProof,
  leafHash,
  nodeHash,
  rangeRoot,
  rangeWidth,
  rootAt,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from "#ledger/tlog/merkle";
import { growTree, hashAtTiles, splitHashes, TILE_WIDTH, type TreeEdge } from "#ledger/tlog/tile";
import { vectors, vectorsAreAbsent } from "../merkle-vectors.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

// The eight leaves and roots of RFC 6962's reference implementation (certificate-transparency
// merkletree/merkle_tree_test).
const leaves = [
  "",
  "00",
  "10",
  "2021",
  "3031",
  "40414243",
  "5051525354555657",
  "606162636465666768696a6b6c6d6e6f",
].map(bytes);
const roots = [
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

test("roots of one to eight leaves equal the roots of the reference implementation of RFC 6962", ({
  expect,
}) => {
  expect(hex(emptyRoot)).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const hashes = leaves.map(leafHash);
  for (const [i, root] of roots.entries()) expect(hex(rootOf(hashes.slice(0, i + 1)))).toBe(root);
});

/** RFC 6962 §2.1, written literally. */
function mth(hashes: readonly Uint8Array[]): Uint8Array {
  const [only] = hashes;
  if (only === undefined) return emptyRoot;
  if (hashes.length === 1) return only;
  let k = 1;
  while (k * 2 < hashes.length) k *= 2;
  return nodeHash(mth(hashes.slice(0, k)), mth(hashes.slice(k)));
}

const many = Array.from({ length: 700 }, (_, i) => leafHash(Uint8Array.of(i >> 8, i & 255)));

test("a tree grown in any pieces has the root that RFC 6962 defines, by compact range and by tiles", ({
  expect,
}) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 6 }), (pieces) => {
      let [tree, size]: [TreeEdge, number] = [{ range: [], edge: [] }, 0];
      const tiles = new Map<string, readonly Uint8Array[]>();
      for (const piece of pieces) {
        const added = many.slice(size, size + piece);
        const grown = growTree(tree, size, added);
        expect(grown.range, "the compact range by itself").toEqual(extendRange(tree.range, size, added));
        for (const tile of grown.full) {
          expect(tile.root, "the root of a tile by itself").toEqual(rootOf(splitHashes(tile.hashes)));
          tiles.set(`${tile.level}/${tile.index}`, splitHashes(tile.hashes));
        }
        tree = grown;
        size += added.length;
      }
      for (const [level, hashes] of tree.edge.entries())
        tiles.set(`${level}/${Math.floor(size / TILE_WIDTH ** (level + 1))}`, hashes);
      const root = hex(mth(many.slice(0, size)));
      expect(hex(rangeRoot(tree.range))).toBe(root);
      expect(tree.range.length).toBe(rangeWidth(size));
      expect(
        hex(
          rootAt(
            size,
            hashAtTiles((level, index) => tiles.get(`${level}/${index}`) ?? []),
          ),
        ),
      ).toBe(root);
    }),
    { numRuns: 50 },
  );
});

const { full, edge } = growTree({ range: [], edge: [] }, 0, many);
const at = hashAtTiles((level, index) => {
  const tile = full.find((one) => one.level === level && one.index === index);
  return tile === undefined ? (edge[level] ?? []) : splitHashes(tile.hashes);
});
const rootsOfFirst = new Map<number, Uint8Array>();
function rootOfFirst(size: number): Uint8Array {
  const root = rootsOfFirst.get(size) ?? rootOf(many.slice(0, size));
  rootsOfFirst.set(size, root);
  return root;
}

test("a proof from tiles verifies only for its leaf, index, size and root", ({ expect }) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 700 }), fc.nat(), fc.nat(), (size, pick, flip) => {
      const index = pick % size;
      const [leaf, root] = [many[index] ?? emptyRoot, rootOfFirst(size)];
      const proof = inclusionProof(index, size, at);
      expect(verifyInclusion(index, size, leaf, proof, root)).toBe(true);
      expect(verifyInclusion(index + 1, size, leaf, proof, root)).toBe(false);
      expect(verifyInclusion(index, size, emptyRoot, proof, root)).toBe(false);
      expect(verifyInclusion(index, size, leaf, [...proof, root], root)).toBe(false);
      const bent = proof.map((node, i) =>
        i === flip % proof.length ? Uint8Array.from(node, (b, j) => (j === flip % 32 ? b ^ 1 : b)) : node,
      );
      if (proof.length > 0) expect(verifyInclusion(index, size, leaf, bent, root)).toBe(false);
    }),
    { numRuns: 300 },
  );
});

test("a consistency proof from tiles verifies between its two sizes, and not with another root", ({
  expect,
}) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 700 }), fc.integer({ min: 1, max: 700 }), (one, two) => {
      const [size1, size2] = [Math.min(one, two), Math.max(one, two)];
      const proof = consistencyProof(size1, size2, at);
      const [root1, root2] = [rootOfFirst(size1), rootOfFirst(size2)];
      expect(verifyConsistency(size1, size2, proof, root1, root2)).toBe(true);
      expect(verifyConsistency(size1, size2, proof, emptyRoot, root2)).toBe(false);
      expect(verifyConsistency(size1, size2, proof, root1, emptyRoot)).toBe(false);
      expect(verifyConsistency(size1, size2, [...proof, root1], root1, root2)).toBe(false);
    }),
    { numRuns: 300 },
  );
});

const decode = (text: string | null): Uint8Array => new Uint8Array(Buffer.from(text ?? "", "base64"));

test.skipIf(vectorsAreAbsent)(
  "the inclusion vectors of transparency-dev/merkle (skipped without ../shared/data)",
  ({ expect }) => {
    const all = vectors("inclusion");
    expect(all.length).toBeGreaterThan(50);
    for (const [file, v] of all) {
      const holds = verifyInclusion(
        v.leafIdx,
        v.treeSize,
        decode(v.leafHash),
        (v.proof ?? []).map(decode),
        decode(v.root),
      );
      expect(holds, file).toBe(!v.wantErr);
    }
  },
);

test.skipIf(vectorsAreAbsent)(
  "the consistency vectors of transparency-dev/merkle (skipped without ../shared/data)",
  ({ expect }) => {
    const all = vectors("consistency");
    expect(all.length).toBeGreaterThan(50);
    for (const [file, v] of all) {
      const holds = verifyConsistency(
        v.size1,
        v.size2,
        (v.proof ?? []).map(decode),
        decode(v.root1),
        decode(v.root2),
      );
      expect(holds, file).toBe(!v.wantErr);
    }
  },
);
