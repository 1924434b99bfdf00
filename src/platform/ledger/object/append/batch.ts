import { encodeShardOpen, encodeShardSeal } from "#ledger/leaf/clear-body";
import type { Head } from "#ledger/commit";
import { FRAME_LEAF_BYTES_MAX, FRAME_LEAVES_MAX } from "#ledger/leaf/frame";
import { encodeLeaf, leafKinds } from "#ledger/leaf/leaf";
import { leafLength } from "#ledger/leaf/padding";
import { parseLogName } from "#ledger/log-name";
import { TILE_WIDTH } from "#ledger/tlog/tile";
import type { LedgerConfig } from "#platform/ledger/config";
import type { SizedDefinition } from "./definitions.ts";
import { APPEND_LEAF_BYTES_MAX, LINE_BYTES_MAX, RECORDS_MAX } from "#audit/append-size";
import type { Draft } from "./draft.ts";
import { type Epoch, type LeafLines, type LineBox, random32 } from "#platform/ledger/object/log/key-epoch";

/** The leaves of a commit, the offset of each append's first leaf, and the accounting lines. */
export interface SealedBatch {
  readonly leaves: readonly Uint8Array[];
  readonly offsets: readonly number[];
  readonly lines: readonly LeafLines[];
  /** The lines as their row; undefined without lines. */
  readonly box: LineBox | undefined;
}

const FIRST_LEAF_BYTES_MAX = 16_384; // shard-open and key-epoch, of sixteen auditors
const TALLY_BYTES_MAX = 16_384; // 200 reasons of 64 characters

/** An append that waits for its frame, and the definitions that it names. */
export interface Sealable {
  readonly draft: Draft;
  readonly definitions: readonly SizedDefinition[];
}

/** The bytes of an append's leaves, with all its definitions. Throws a RangeError when no frame holds them. */
export function leafBytesOf({ draft, definitions }: Sealable): number {
  const leaves = definitions.reduce((sum, one) => sum + one.leaves, draft.records.length);
  const bytes = definitions.reduce((sum, one) => sum + one.leafBytes, draft.leafBytes);
  if (leaves > RECORDS_MAX || bytes > APPEND_LEAF_BYTES_MAX)
    throw new RangeError("ledger: an append and its definitions fit no frame");
  return bytes;
}

/**
 * How many of the oldest waiting appends fit a frame and a row of lines; at least 1. `isWritten`: the key
 * epoch has the definition with this digest.
 */
export function howManyFit(waiting: Iterable<Sealable>, isWritten: (digest: string) => boolean): number {
  let [leaves, leafBytes, lineBytes, fit] = [2, 32_768, 0, 0]; // shard-open and key-epoch may come first
  const counted = new Set<string>();
  for (const { draft, definitions } of waiting) {
    for (const definition of definitions) {
      if (counted.has(definition.digest) || isWritten(definition.digest)) continue;
      counted.add(definition.digest);
      leaves += definition.leaves;
      leafBytes += definition.leafBytes;
    }
    leaves += draft.records.length;
    leafBytes += draft.leafBytes;
    lineBytes += draft.lineBytes;
    if (leaves > FRAME_LEAVES_MAX || leafBytes > FRAME_LEAF_BYTES_MAX || lineBytes > LINE_BYTES_MAX) break;
    fit++;
  }
  return Math.max(fit, 1);
}

/**
 * True when a frame of these records has room for a record of counted refusals too. A full frame is followed
 * by a further frame at once.
 */
export function hasRoomForTally(
  { size }: Head,
  keyEpoch: number,
  epoch: Epoch,
  drafts: readonly Pick<Draft, "records">[],
): boolean {
  const first = (size === 0 ? 1 : 0) + (epoch.number > keyEpoch ? 1 : 0);
  const records = drafts.flatMap((draft) => draft.records);
  const bytes = records.reduce((sum, { plaintext }) => sum + leafLength(plaintext.length), 0);
  return (
    first + records.length < FRAME_LEAVES_MAX &&
    first * FIRST_LEAF_BYTES_MAX + bytes + TALLY_BYTES_MAX < FRAME_LEAF_BYTES_MAX
  );
}

/**
 * Seals appends for the end of a log, after the leaves that the log or its epoch must begin with, all at
 * once. `keyEpoch`: the last key epoch that the log introduced. The epoch's counters are taken before the
 * first await.
 */
export async function sealBatch(
  config: LedgerConfig,
  head: Head,
  keyEpoch: number,
  epoch: Epoch,
  drafts: readonly Pick<Draft, "records">[],
): Promise<SealedBatch> {
  const leaves: Promise<Uint8Array>[] = [];
  const lines: LeafLines[] = [];
  if (head.size === 0) leaves.push(Promise.resolve(shardOpen(config, head.origin)));
  if (epoch.number > keyEpoch) leaves.push(Promise.resolve(epoch.leaf));
  const offsets = drafts.map((draft) => {
    const offset = leaves.length;
    for (const record of draft.records) {
      if (record.lines.length > 0)
        lines.push({
          index: head.size + leaves.length,
          seed: record.seed,
          contents: record.lines,
          consents: record.consents,
        });
      leaves.push(epoch.seal(record.plaintext, record.linesRoot));
    }
    return offset;
  });
  const frame = head.frame === undefined ? 0 : head.frame.number + 1;
  const box = lines.length === 0 ? Promise.resolve(undefined) : epoch.sealLines(frame, lines);
  const [sealed, lineBox] = await Promise.all([Promise.all(leaves), box]);
  return { leaves: sealed, offsets, lines, box: lineBox };
}

function shardOpen(config: LedgerConfig, origin: string): Uint8Array {
  const halfYear = parseLogName(origin.slice(origin.lastIndexOf("/") + 1))?.halfYear ?? "";
  const body = encodeShardOpen({ origin, halfYear, auditors: config.auditors.map(({ kid }) => kid) });
  return encodeLeaf({ kind: leafKinds.shardOpen, keyEpoch: 0, counter: 0, linesRoot: random32(), body });
}

/** The leaves that end a log: as many as fill its last bundle, at least 1. */
export function sealLeaves({ size }: Head, keyEpoch: number): Uint8Array[] {
  const body = encodeShardSeal({ size });
  return Array.from({ length: TILE_WIDTH - (size % TILE_WIDTH) }, () =>
    encodeLeaf({ kind: leafKinds.shardSeal, keyEpoch, counter: 0, linesRoot: random32(), body }),
  );
}
