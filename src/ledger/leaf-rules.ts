import { instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { type CborProblem, readCborMap } from "#ledger/bytes/cbor";
import { readKeyEpoch, readShardOpen, readShardSeal } from "#ledger/leaf/clear-body";
import { FRAME_TIME_STEP_SECONDS } from "#ledger/leaf/frame";
import { type Leaf, type LeafKind, leafKinds } from "#ledger/leaf/leaf";
import { openHalfYears, parseLogName } from "./log-name.ts";
import { sizeClasses, TAG_BYTES } from "#ledger/leaf/padding";
import { TILE_WIDTH } from "#ledger/tlog/tile";
import { wrappedKeyAad } from "#ledger/leaf/wrapped-key";

/** The state of a log's leaf sequence: it decides which leaf may come next. */
export interface LeafOrder {
  readonly index: number; // of the next leaf
  readonly keyEpoch: number; // 0 before the first key-epoch leaf
  readonly counter: number;
  readonly sealedAt?: number;
  readonly last?: LeafKind;
  readonly recordInFrame?: true; // a kind 0 leaf came since the last `endFrame`
}

export type LeafOrderProblem =
  | "first_leaf_is_not_shard_open"
  | "shard_open_again"
  | "shard_open_body"
  | "shard_open_of_another_log"
  | "key_epoch_body"
  | "key_epoch_wrapped_for_another_leaf"
  | "key_epoch_without_a_record"
  | "key_epoch_not_increasing"
  | "key_epoch_not_introduced"
  | "counter_not_increasing"
  | "sealed_body_length"
  | "shard_seal_body"
  | "clear_leaf_header"
  | "leaf_after_seal"
  | CborProblem;

export const beforeFirstLeaf: LeafOrder = { index: 0, keyEpoch: 0, counter: 0 };

/** Checks that a leaf may stand here, by the rules of docs/ledger-format.md that need no key. */
export function follow(order: LeafOrder, leaf: Leaf, origin: string): Result<LeafOrder, LeafOrderProblem> {
  const next = { ...order, index: order.index + 1, last: leaf.kind };
  if (order.index === 0 && leaf.kind !== leafKinds.shardOpen) return err("first_leaf_is_not_shard_open");
  if (order.sealedAt !== undefined && (leaf.kind !== leafKinds.shardSeal || order.index % TILE_WIDTH === 0))
    return err("leaf_after_seal");
  if (order.last === leafKinds.keyEpoch && leaf.kind !== leafKinds.sealed)
    return err("key_epoch_without_a_record");
  if (leaf.kind !== leafKinds.sealed) {
    const body = readCborMap(leaf.body);
    if (!body.ok) return body;
  }
  switch (leaf.kind) {
    case leafKinds.sealed: {
      if (leaf.keyEpoch !== order.keyEpoch || order.keyEpoch === 0) return err("key_epoch_not_introduced");
      if (leaf.counter <= order.counter) return err("counter_not_increasing");
      if (!sizeClasses.includes(leaf.body.length - TAG_BYTES)) return err("sealed_body_length");
      return ok({ ...next, counter: leaf.counter, recordInFrame: true });
    }
    case leafKinds.keyEpoch: {
      if (leaf.keyEpoch <= order.keyEpoch) return err("key_epoch_not_increasing");
      if (leaf.counter !== 0) return err("clear_leaf_header");
      const body = readKeyEpoch(leaf.body);
      if (body === undefined) return err("key_epoch_body");
      if (body.aad !== wrappedKeyAad(origin, leaf.keyEpoch)) return err("key_epoch_wrapped_for_another_leaf");
      return ok({ ...next, keyEpoch: leaf.keyEpoch, counter: 0 });
    }
    case leafKinds.shardOpen: {
      if (order.index !== 0) return err("shard_open_again");
      if (leaf.keyEpoch !== 0 || leaf.counter !== 0) return err("clear_leaf_header");
      const body = readShardOpen(leaf.body);
      if (body === undefined) return err("shard_open_body");
      const name = parseLogName(origin.slice(origin.lastIndexOf("/") + 1));
      return body.origin === origin && name?.halfYear === body.halfYear
        ? ok(next)
        : err("shard_open_of_another_log");
    }
    case leafKinds.shardSeal: {
      if (leaf.keyEpoch !== order.keyEpoch || leaf.counter !== 0) return err("clear_leaf_header");
      const sealedAt = order.sealedAt ?? order.index;
      return readShardSeal(leaf.body)?.size === sealedAt ? ok({ ...next, sealedAt }) : err("shard_seal_body");
    }
  }
}

export type FrameEndProblem =
  | "key_epoch_without_a_record"
  | "shard_seal_does_not_end_a_bundle"
  | "record_outside_the_half_year";

/** Checks that a frame of this time (seconds since 1970) may end after the leaves so far. */
export function endFrame(
  order: LeafOrder,
  seconds: number,
  origin: string,
): Result<LeafOrder, FrameEndProblem> {
  const { recordInFrame, ...next } = order;
  if (order.last === leafKinds.keyEpoch) return err("key_epoch_without_a_record");
  if (order.last === leafKinds.shardSeal && order.index % TILE_WIDTH !== 0)
    return err("shard_seal_does_not_end_a_bundle");
  return recordInFrame && !takesRecords(origin, seconds) ? err("record_outside_the_half_year") : ok(next);
}

/**
 * A record that arrives as its log closes may be committed a moment later. The rounding of the frame's clock
 * allows for that moment.
 */
function takesRecords(origin: string, seconds: number): boolean {
  const name = parseLogName(origin.slice(origin.lastIndexOf("/") + 1));
  const times = [seconds, seconds - FRAME_TIME_STEP_SECONDS].map((at) => instant(at * 1000));
  return name !== undefined && times.some((at) => openHalfYears(at).includes(name.halfYear));
}
