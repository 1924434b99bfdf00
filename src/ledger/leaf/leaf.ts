import { err, ok, type Result } from "#kernel/result";
import { HASH_BYTES } from "#ledger/tlog/merkle";

/**
 * The kinds of leaves (docs/ledger-format.md). A reader without a key can read only the bodies of kinds 1 to
 * 3.
 */
export const leafKinds = { sealed: 0, keyEpoch: 1, shardOpen: 2, shardSeal: 3 } as const;
export type LeafKind = (typeof leafKinds)[keyof typeof leafKinds];

const LEAF_VERSION = 1;
export const LEAF_HEADER_BYTES = 50;
// Offsets in the header.
export const [COUNTER_AT, LINES_ROOT_AT, LENGTH_AT] = [6, 14, 46] as const;
/** tlog-tiles gives each entry a u16 length. */
export const LEAF_BYTES_MAX = 65_535;
export const BODY_BYTES_MAX = LEAF_BYTES_MAX - LEAF_HEADER_BYTES;

export interface LeafHeader {
  readonly kind: LeafKind;
  readonly keyEpoch: number; // u32
  readonly counter: number; // u64, at most 2^53 − 1, never twice in one epoch
  readonly linesRoot: Uint8Array; // 32 bytes
}

export interface Leaf extends LeafHeader {
  readonly body: Uint8Array;
}

export type LeafProblem =
  | "leaf_cut_short"
  | "number_too_large"
  | "leaf_version"
  | "leaf_kind"
  | "leaf_length";

/**
 * The 50 bytes before the body: ver u8 | kind u8 | key_epoch u32 | ctr u64 | lines_root[32] | len u32,
 * big-endian.
 */
export function encodeLeafHeader(header: LeafHeader, bodyLength: number): Uint8Array {
  if (bodyLength > BODY_BYTES_MAX || header.linesRoot.length !== HASH_BYTES)
    throw new RangeError("not a leaf");
  const bytes = new Uint8Array(LEAF_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, LEAF_VERSION);
  view.setUint8(1, header.kind);
  view.setUint32(2, header.keyEpoch);
  view.setBigUint64(COUNTER_AT, BigInt(header.counter));
  bytes.set(header.linesRoot, LINES_ROOT_AT);
  view.setUint32(LENGTH_AT, bodyLength);
  return bytes;
}

export function encodeLeaf(leaf: Leaf): Uint8Array {
  const bytes = new Uint8Array(LEAF_HEADER_BYTES + leaf.body.length);
  bytes.set(encodeLeafHeader(leaf, leaf.body.length));
  bytes.set(leaf.body, LEAF_HEADER_BYTES);
  return bytes;
}

/**
 * Reads one leaf; fields are views into `bytes`, not copies. An unknown version or kind is a problem and is
 * never skipped.
 */
export function parseLeaf(bytes: Uint8Array): Result<Leaf, LeafProblem> {
  if (bytes.length < LEAF_HEADER_BYTES) return err("leaf_cut_short");
  if (bytes[0] !== LEAF_VERSION) return err("leaf_version");
  const kind = kindsByNumber.get(bytes[1] ?? -1);
  if (kind === undefined) return err("leaf_kind");
  const counter = u32(bytes, COUNTER_AT) * 2 ** 32 + u32(bytes, COUNTER_AT + 4);
  if (!Number.isSafeInteger(counter)) return err("number_too_large");
  const body = bytes.subarray(LEAF_HEADER_BYTES);
  if (u32(bytes, LENGTH_AT) !== body.length || bytes.length > LEAF_BYTES_MAX) return err("leaf_length");
  const linesRoot = bytes.subarray(LINES_ROOT_AT, LINES_ROOT_AT + HASH_BYTES);
  return ok({ kind, keyEpoch: u32(bytes, 2), counter, linesRoot, body });
}

const kindsByNumber: ReadonlyMap<number, LeafKind> = new Map(
  Object.values(leafKinds).map((kind) => [kind, kind]),
);

/** Four bytes, big-endian, of a header that is whole. */
const u32 = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)) >>>
  0;
