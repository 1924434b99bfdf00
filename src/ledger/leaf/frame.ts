import { err, ok, type Result } from "#kernel/result";
import { utf8 } from "#kernel/encoded";
import { fromUtf8 } from "#ledger/bytes/bytes";
import { Cursor } from "#ledger/bytes/cursor";
import { sha256 } from "#ledger/bytes/hash";
import { type CompactRange, HASH_BYTES, rangeWidth } from "#ledger/tlog/merkle";

/** A group commit: its leaves, and a link to the commit before. */
export interface Frame {
  readonly origin: string;
  readonly number: number; // from 0
  readonly first: number; // index of its first leaf
  readonly previous: Uint8Array; // hash of the frame before; 32 zero bytes in frame 0
  readonly size: number; // leaves in the log after this frame
  readonly range: CompactRange; // of the log after this frame
  readonly seconds: number; // since 1970, a multiple of 10
  readonly leaves: readonly Uint8Array[];
}

export type FrameProblem =
  | "frame_cut_short"
  | "number_too_large"
  | "frame_magic"
  | "frame_origin"
  | "frame_count"
  | "frame_time";

const magic = utf8("PXF1");
export const FRAME_LEAVES_MAX = 256;
/** A commit closes when its leaves reach this many bytes. */
export const FRAME_LEAF_BYTES_MAX = 1_048_576;
/**
 * The longest frame that the format allows: 256 leaves of 65,535 bytes, an origin line of 65,535, a compact
 * range of 53 nodes.
 */
export const FRAME_BYTES_MAX = FRAME_LEAVES_MAX * 65_537 + 65_535 + 53 * HASH_BYTES + 72;
/**
 * The step of the clock in a frame. It is coarse, so that a reader of the log cannot match times with events
 * seen elsewhere.
 */
export const FRAME_TIME_STEP_SECONDS = 10;
export const firstPrevious: Uint8Array = new Uint8Array(HASH_BYTES);

/**
 * "PXF1" | u16 length, origin line | frame_no u64 | first_index u64 | count u16 | prev_frame_hash[32] |
 * tree_size_after u64 | compact range after (32 bytes a node, largest subtree first) | time u64 | (u16
 * length, leaf)*. Big-endian.
 */
export function encodeFrame(frame: Frame): Uint8Array {
  const origin = utf8(frame.origin);
  const fixed = magic.length + 2 + origin.length + 18 + HASH_BYTES + 8 + 8;
  let length = fixed + frame.range.length * HASH_BYTES;
  for (const leaf of frame.leaves) length += 2 + leaf.length;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  const put = (part: Uint8Array): void => {
    bytes.set(part, at);
    at += part.length;
  };
  const u16 = (value: number): void => {
    view.setUint16(at, value);
    at += 2;
  };
  const u64 = (value: number): void => {
    view.setBigUint64(at, BigInt(value));
    at += 8;
  };
  put(magic);
  u16(origin.length);
  put(origin);
  u64(frame.number);
  u64(frame.first);
  u16(frame.leaves.length);
  put(frame.previous);
  u64(frame.size);
  for (const node of frame.range) put(node);
  u64(frame.seconds);
  for (const leaf of frame.leaves) {
    u16(leaf.length);
    put(leaf);
  }
  return bytes;
}

/**
 * Reads a whole frame; leaves are views into `bytes`. Checks the frame alone, not how it joins its
 * neighbours.
 */
export function parseFrame(bytes: Uint8Array): Result<Frame, FrameProblem> {
  const cursor = new Cursor(bytes);
  if (!magic.every((byte) => byte === cursor.u8())) return err("frame_magic");
  const origin = fromUtf8(cursor.bytes(cursor.u16()));
  if (origin === undefined) return err("frame_origin");
  const [number, first, count] = [cursor.u64(), cursor.u64(), cursor.u16()];
  const previous = cursor.bytes(HASH_BYTES);
  const size = cursor.u64(); // 0 when too large, and so no long range
  const range = Array.from({ length: rangeWidth(size) }, () => cursor.bytes(HASH_BYTES));
  const seconds = cursor.u64();
  if (cursor.tooLarge) return err("number_too_large");
  if (cursor.short) return err("frame_cut_short");
  if (count === 0 || count > FRAME_LEAVES_MAX || first + count !== size) return err("frame_count");
  if (seconds % FRAME_TIME_STEP_SECONDS !== 0) return err("frame_time");
  const leaves = Array.from({ length: count }, () => cursor.bytes(cursor.u16()));
  return cursor.finished
    ? ok({ origin, number, first, previous, size, range, seconds, leaves })
    : err("frame_cut_short");
}

export const frameHash = (bytes: Uint8Array): Uint8Array => sha256(bytes);

/**
 * A leaf as it stands in frames and entry bundles: big-endian u16 length, then the bytes (tlog-tiles "Log
 * entries").
 */
export const entry = (leaf: Uint8Array): [Uint8Array, Uint8Array] => [
  Uint8Array.of(leaf.length >> 8, leaf.length & 0xff),
  leaf,
];

/** The entries of a bundle, or undefined when the bytes are not whole entries. */
export function splitEntries(bundle: Uint8Array): Uint8Array[] | undefined {
  const cursor = new Cursor(bundle);
  const entries: Uint8Array[] = [];
  while (cursor.remaining > 0) {
    entries.push(cursor.bytes(cursor.u16()));
    if (cursor.short) return undefined;
  }
  return entries;
}
