import type { Instant } from "#kernel/clock";
import { encodeFrame, firstPrevious, FRAME_TIME_STEP_SECONDS, frameHash } from "#ledger/leaf/frame";
import { sameBytes } from "#ledger/bytes/bytes";
import { consistencyProof, type HashAt, leafHash, rangeRoot, verifyConsistency } from "#ledger/tlog/merkle";
import type { Checkpoint } from "#ledger/tlog/checkpoint";
import { growTree, type Tile, type TreeEdge } from "#ledger/tlog/tile";

/** Everything that the next commit of a log depends on. */
export interface Head extends TreeEdge {
  readonly origin: string;
  readonly size: number;
  readonly frame?: { readonly number: number; readonly hash: Uint8Array; readonly seconds: number };
}

/** The rows that a commit stores and the facts that it answers. */
export interface Commit {
  readonly number: number;
  readonly first: number;
  readonly seconds: number;
  readonly frame: Uint8Array;
  readonly frameHash: Uint8Array;
  readonly leafHashes: readonly Uint8Array[];
  readonly tiles: readonly Tile[]; // the tiles that this commit filled
  readonly head: Head; // after the commit
}

export const emptyHead = (origin: string): Head => ({ origin, size: 0, range: [], edge: [] });

/** Puts leaves (1 to 256) at the end of a log. The frame's clock is coarse and never runs backwards. */
export function commit(head: Head, leaves: readonly Uint8Array[], now: Instant): Commit {
  const number = head.frame === undefined ? 0 : head.frame.number + 1;
  const coarse = Math.floor(now / 1000 / FRAME_TIME_STEP_SECONDS) * FRAME_TIME_STEP_SECONDS;
  const seconds = Math.max(coarse, head.frame?.seconds ?? 0);
  const leafHashes = leaves.map(leafHash);
  const { range, edge, full } = growTree(head, head.size, leafHashes);
  const size = head.size + leaves.length;
  const previous = head.frame?.hash ?? firstPrevious;
  const frame = encodeFrame({
    origin: head.origin,
    number,
    first: head.size,
    previous,
    size,
    range,
    seconds,
    leaves,
  });
  const hash = frameHash(frame);
  const after: Head = { origin: head.origin, size, range, edge, frame: { number, hash, seconds } };
  return { number, first: head.size, seconds, frame, frameHash: hash, leafHashes, tiles: full, head: after };
}

/** The checkpoint that a log can sign at this head. */
export function checkpointOf(head: Head): Checkpoint {
  const { origin, size, range, frame } = head;
  const base = { origin, size, root: rangeRoot(range) };
  return frame === undefined ? base : { ...base, frame: { number: frame.number, hash: frame.hash } };
}

/**
 * True when an earlier checkpoint is in the past of a log at this head. `frame` is the log's present frame
 * under the number that the checkpoint names. `at` gives its hashes on the path of leaf `earlier.size`.
 */
export function hasInPast(
  head: Head,
  earlier: Checkpoint,
  frame: { readonly size: number; readonly hash: Uint8Array } | undefined,
  at: HashAt,
): boolean {
  if (earlier.origin !== head.origin || earlier.size > head.size) return false;
  if (earlier.size === 0) return true;
  if (
    frame === undefined ||
    earlier.frame === undefined ||
    frame.size !== earlier.size ||
    !sameBytes(frame.hash, earlier.frame.hash)
  )
    return false;
  const proof = consistencyProof(earlier.size, head.size, at);
  return verifyConsistency(earlier.size, head.size, proof, earlier.root, checkpointOf(head).root);
}
