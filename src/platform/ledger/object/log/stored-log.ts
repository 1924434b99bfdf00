import { concat, sameBytes } from "#ledger/bytes/bytes";
import type { Checkpoint } from "#ledger/tlog/checkpoint";
import { emptyHead, type Head } from "#ledger/commit";
import type { CopiedObject } from "#ledger/flush";
import { LongSha256, sha256 } from "#ledger/bytes/hash";
import { FrameJoiner } from "#ledger/frame-copies";
import { entry, type Frame, frameHash, parseFrame } from "#ledger/leaf/frame";
import { type HashAt, leafHash, rangeRoot, rootAt } from "#ledger/tlog/merkle";
import { leafKinds, parseLeaf } from "#ledger/leaf/leaf";
import { type Edge, fullTiles, hashAtTiles, splitHashes, TILE_WIDTH } from "#ledger/tlog/tile";
import type { LedgerStore } from "./store.ts";
import { turn } from "#platform/paced-calls";

const BYTES_A_TURN = 524_288; // about a millisecond to read, join and hash

/** A shard's state after a restart. */
export interface Restored {
  readonly head: Head;
  readonly keyEpoch: number; // the last epoch in use
  readonly isSealed: boolean; // it ended (docs/ledger-format.md §3)
}

/** Rebuilds the head of a log of records from its rows, and its key epoch. Throws like `restoreHead`. */
export function restore(store: LedgerStore, origin: string): Restored {
  const head = restoreHead(store, origin);
  const last = store.lastFrame();
  if (last === undefined) return { head, keyEpoch: 0, isSealed: false };
  const lastLeaf = parseLeaf(readStored(last.body).leaves.at(-1) ?? new Uint8Array());
  if (!lastLeaf.ok) throw new Error("ledger: the last leaf is not valid");
  return { head, keyEpoch: lastLeaf.value.keyEpoch, isSealed: lastLeaf.value.kind === leafKinds.shardSeal };
}

/** Rebuilds the head of any log. Throws when its rows contradict each other: such a log must not go on. */
export function restoreHead(store: LedgerStore, origin: string): Head {
  const last = store.lastFrame();
  if (last === undefined) return emptyHead(origin);
  const frame = readStored(last.body);
  const hash = frameHash(last.body);
  if (!sameBytes(hash, last.hash) || frame.origin !== origin || frame.number !== last.number)
    throw new Error("ledger: the last frame is not what was stored");
  const { size, range, seconds, number } = frame;
  const from = fullTiles(0, size) * TILE_WIDTH;
  const edge: Edge[number][] = [leavesOf(store, from, size, number).map(leafHash)];
  for (let level = 1; fullTiles(level - 1, size) > 0; level++) {
    edge.push(store.tileRoots(level - 1, fullTiles(level, size) * TILE_WIDTH));
  }
  const head: Head = { origin, size, range, edge, frame: { number, hash, seconds } };
  if (!sameBytes(rootAt(size, hashAt(store, head)), rangeRoot(range)))
    throw new Error("ledger: tiles and last frame do not agree");
  return head;
}

/** The present hashes of a tile; an unfinished tile comes from the head. Empty when there is none. */
export function tileHashes(
  store: LedgerStore,
  head: Head,
  level: number,
  index: number,
): readonly Uint8Array[] {
  const full = fullTiles(level, head.size);
  if (index === full) return head.edge[level] ?? [];
  const bytes = index < full ? store.tile(level, index) : undefined;
  return bytes === undefined ? [] : splitHashes(bytes);
}

export const hashAt = (store: LedgerStore, head: Head): HashAt =>
  hashAtTiles((level, index) => tileHashes(store, head, level, index));

/** An entry bundle, or undefined when the log is shorter. */
export function entryBundle(
  store: LedgerStore,
  head: Head,
  index: number,
  width: number,
): Uint8Array | undefined {
  const from = index * TILE_WIDTH;
  if (head.frame === undefined || from + width > head.size) return undefined;
  return concat(leavesOf(store, from, from + width, head.frame.number).flatMap(entry));
}

/** The checkpoint that the log could have signed right after that frame. */
export function checkpointAt(store: LedgerStore, origin: string, number: number): Checkpoint {
  const body = bodyOf(store, number);
  const { size, range } = readStored(body);
  return { origin, size, root: rangeRoot(range), frame: { number, hash: frameHash(body) } };
}

/** An object of the second copy. */
interface PreparedCopy {
  readonly bytes: Uint8Array;
  readonly digest: Uint8Array; // SHA-256
}

/**
 * An object of the second copy, made from committed frames. An object of frames has up to 8 MiB: it is made in
 * turns, between which appends go on.
 */
export async function copyOf(store: LedgerStore, head: Head, object: CopiedObject): Promise<PreparedCopy> {
  switch (object.kind) {
    case "entries":
      return hashed(entryBundle(store, head, object.index, TILE_WIDTH) ?? missing());
    case "tile":
      return hashed(store.tile(object.level, object.index) ?? missing());
    case "frames":
      return framesCopy(store, object.first, object.last);
  }
}

const hashed = (bytes: Uint8Array): PreparedCopy => ({ bytes, digest: sha256(bytes) });

async function framesCopy(store: LedgerStore, first: number, last: number): Promise<PreparedCopy> {
  const joiner = new FrameJoiner(last - first + 1, store.bytesOfFrames(first, last));
  const digest = new LongSha256();
  let from = 0; // bytes that are hashed
  for (let next = first; ;) {
    for (const { number, body } of store.bodies(next, last)) {
      if (number !== next) missing();
      joiner.add(body);
      next += 1;
      if (joiner.length - from >= BYTES_A_TURN) break;
    }
    const { bytes, length } = joiner;
    digest.update(bytes.subarray(from, length));
    if (next > last) return { bytes, digest: digest.digest() };
    if (length - from < BYTES_A_TURN) missing(); // rows were deleted
    from = length;
    await turn();
  }
}

function leavesOf(store: LedgerStore, from: number, to: number, last: number): Uint8Array[] {
  const leaves: Uint8Array[] = [];
  if (from === to) return leaves;
  for (const { body } of store.bodies(store.frameHolding(from, last), last)) {
    const frame = readStored(body);
    if (frame.first > from + leaves.length) missing(); // its row was deleted
    for (const leaf of frame.leaves.slice(Math.max(0, from - frame.first), to - frame.first))
      leaves.push(leaf);
    if (leaves.length >= to - from) return leaves;
  }
  return missing();
}

const bodyOf = (store: LedgerStore, number: number): Uint8Array => store.frame(number)?.body ?? missing();

function missing(): never {
  throw new Error("ledger: a frame or a tile is missing");
}

function readStored(body: Uint8Array): Frame {
  const frame = parseFrame(body);
  if (!frame.ok) throw new Error("ledger: a stored frame does not read back");
  return frame.value;
}
