import { sameBytes } from "#ledger/bytes/bytes";
import { sha256 } from "#ledger/bytes/hash";

/** RFC 6962 §2.1: the byte before an entry in its hash. */
export const LEAF_PREFIX: Uint8Array = Uint8Array.of(0);
const nodePrefix = Uint8Array.of(1);

export const HASH_BYTES = 32;

/** RFC 6962 §2.1: the hash of the empty list. */
export const emptyRoot: Uint8Array = sha256();

/** RFC 6962 §2.1: SHA-256(0x00 ‖ entry). */
export const leafHash = (entry: Uint8Array): Uint8Array => sha256(LEAF_PREFIX, entry);

/** RFC 6962 §2.1: SHA-256(0x01 ‖ left ‖ right). */
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => sha256(nodePrefix, left, right);

/**
 * The roots of the perfect subtrees that a tree of some size falls into, the largest (leftmost) first: a
 * root for each set bit of the size.
 */
export type CompactRange = readonly Uint8Array[];

// Sizes go up to 2^53; JavaScript's bit operators end at 32 bits.
const half = (n: number): number => Math.floor(n / 2);
const odd = (n: number): boolean => n % 2 === 1;

/** How many subtrees a compact range of this size has: the number of its set bits. */
export function rangeWidth(size: number): number {
  let width = 0;
  for (let rest = size; rest > 0; rest = half(rest)) if (odd(rest)) width++;
  return width;
}

/** The compact range of `size` leaves after more leaf hashes. */
export function extendRange(range: CompactRange, size: number, leaves: readonly Uint8Array[]): CompactRange {
  const nodes = [...range];
  leaves.forEach((leaf, i) => {
    let node = leaf;
    for (let rest = size + i; odd(rest); rest = half(rest)) node = nodeHash(nodes.pop() ?? missing(), node);
    nodes.push(node);
  });
  return nodes;
}

/** RFC 6962 §2.1: the Merkle tree hash of the leaves behind a compact range. */
export const rangeRoot = (range: CompactRange): Uint8Array =>
  range.length === 0 ? emptyRoot : range.reduceRight((right, left) => nodeHash(left, right));

/** The Merkle tree hash of a list of leaf hashes. */
export const rootOf = (leaves: readonly Uint8Array[]): Uint8Array => rangeRoot(extendRange([], 0, leaves));

/** The hash of the perfect subtree `index` of 2^level leaves. */
export type HashAt = (level: number, index: number) => Uint8Array;

/** The Merkle tree hash of the first `size` leaves. */
export const rootAt = (size: number, at: HashAt): Uint8Array => (size === 0 ? emptyRoot : mth(0, size, at));

/**
 * RFC 6962 §2.1.1: the audit path of a leaf in the tree of `size` leaves, from its sibling up. Needs index <
 * size.
 */
export function inclusionProof(index: number, size: number, at: HashAt): Uint8Array[] {
  const path = (start: number, end: number): Uint8Array[] => {
    if (end - start === 1) return [];
    const middle = start + 2 ** levelBelow(end - start);
    return index < middle
      ? [...path(start, middle), mth(middle, end, at)]
      : [...path(middle, end), mth(start, middle, at)];
  };
  return path(0, size);
}

/**
 * RFC 6962 §2.1.2: the proof that the tree of `size1` leaves is the beginning of the tree of `size2` leaves.
 * Needs 0 < size1 ≤ size2.
 */
export function consistencyProof(size1: number, size2: number, at: HashAt): Uint8Array[] {
  const proof = (start: number, end: number, whole: boolean): Uint8Array[] => {
    if (size1 === end) return whole ? [] : [mth(start, end, at)];
    const middle = start + 2 ** levelBelow(end - start);
    return size1 <= middle
      ? [...proof(start, middle, whole), mth(middle, end, at)]
      : [...proof(middle, end, false), mth(start, middle, at)];
  };
  return proof(0, size2, true);
}

/** RFC 9162 §2.1.3.2: true when the leaf is at `index` of the tree with this size and root. */
export function verifyInclusion(
  index: number,
  size: number,
  leaf: Uint8Array,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!isSize(index) || !isSize(size) || index >= size) return false;
  let [fn, sn, hash] = [index, size - 1, leaf];
  for (const sibling of proof) {
    if (sn === 0) return false;
    if (odd(fn) || fn === sn) {
      hash = nodeHash(sibling, hash);
      for (; !odd(fn) && fn !== 0; sn = half(sn)) fn = half(fn);
    } else {
      hash = nodeHash(hash, sibling);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && sameBytes(hash, root);
}

/**
 * RFC 9162 §2.1.4.2: true when the tree (size1, root1) is the beginning of (size2, root2). An empty tree
 * proves nothing: false.
 */
export function verifyConsistency(
  size1: number,
  size2: number,
  proof: readonly Uint8Array[],
  root1: Uint8Array,
  root2: Uint8Array,
): boolean {
  if (!isSize(size1) || !isSize(size2) || size1 === 0 || size1 > size2) return false;
  if (size1 === size2) return proof.length === 0 && sameBytes(root1, root2);
  let [fn, sn] = [size1 - 1, size2 - 1];
  for (; odd(fn); sn = half(sn)) fn = half(fn);
  const whole = fn === 0; // size1 is a power of two: its root is a node of the larger tree
  const [seed = root1, ...rest] = whole ? [root1, ...proof] : proof;
  if (proof.length === 0) return false;
  let [first, second] = [seed, seed];
  for (const node of rest) {
    if (sn === 0) return false;
    if (odd(fn) || fn === sn) {
      first = nodeHash(node, first);
      second = nodeHash(node, second);
      for (; !odd(fn) && fn !== 0; sn = half(sn)) fn = half(fn);
    } else {
      second = nodeHash(second, node);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && sameBytes(first, root1) && sameBytes(second, root2);
}

const isSize = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;

/** The largest power of two smaller than n (n > 1), as its exponent. */
function levelBelow(n: number): number {
  let level = 0;
  while (2 ** (level + 1) < n) level++;
  return level;
}

/**
 * MTH(D[start:end]). `start` is a multiple of the width of every subtree that is needed; the recursions
 * above guarantee it.
 */
function mth(start: number, end: number, at: HashAt): Uint8Array {
  if (end - start === 1) return at(0, start);
  const level = levelBelow(end - start);
  const middle = start + 2 ** level;
  if (end === middle + 2 ** level) return at(level + 1, start / 2 ** (level + 1));
  return nodeHash(mth(start, middle, at), mth(middle, end, at));
}

function missing(): never {
  throw new Error("the compact range does not fit its size");
}
