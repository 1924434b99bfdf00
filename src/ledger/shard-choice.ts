import { addressPrefix } from "#kernel/address-prefix";
import type { Instant } from "#kernel/clock";
import { memo } from "#kernel/memo";
import type { Region } from "#kernel/region";
import { utf8 } from "#kernel/encoded";
import { sha256 } from "#ledger/bytes/hash";
import { type LedgerLayout, regionsIn, shardsIn, type ShardRange } from "./layout.ts";
import { halfYearOf, logName } from "./log-name.ts";
import { nearestRegions } from "./nearest-regions.ts";

/**
 * The sender of a record, which decides its log.
 * - key: a DPoP sender always uses the same log, wherever it sends from, which makes the check of its `jti`s
 *   exact (RFC 9449 §11.1): a log of its client's home region;
 * - client: an mTLS sender uses the shard of its isolate's turn if that is among its client's own `spread`
 *   shards, otherwise one of the client's shards by chance (ADR 72). All are in the region where the request
 *   arrived;
 * - address: an anonymous refusal stays with its address prefix, so that a flood meets one log and its cap.
 *
 * `home`: the client's region in the registry. `continent`: `cf.continent` of the request. `turn`: random hex
 * digits, at least eight: the same for all requests of an isolate's turn.
 */
export type Sender =
  | { readonly kind: "key"; readonly jkt: string; readonly home?: Region | undefined }
  | {
      readonly kind: "client";
      readonly client: string;
      readonly turn: string;
      readonly spread: number;
      readonly home?: Region | undefined;
      readonly continent?: string | undefined;
    }
  | { readonly kind: "address"; readonly address: string; readonly continent?: string | undefined };

/** The log for a sender at an instant. It depends only on the arguments, so it is the same everywhere. */
export const chooseLog = (sender: Sender, layout: LedgerLayout, at: Instant): string =>
  logOf(sender, layout, halfYearOf(at));

/** The log for a sender in a half-year: the shards of a region may change with it. */
export const logOf = (sender: Sender, layout: LedgerLayout, halfYear: string): string =>
  logName({ shard: chooseShard(sender, layout, halfYear), halfYear });

function chooseShard(sender: Sender, layout: LedgerLayout, halfYear: string): number {
  const regions = regionsIn(layout, halfYear);
  const near = regions.length === 0 ? [] : nearestRegions(regions, sender);
  // A ledger without regions has all its shards in reach.
  const ranges: readonly ShardRange[] =
    near.length === 0 ? [{ first: 0, count: shardsIn(layout, halfYear) }] : near;
  const shards = ranges.reduce((sum, { count }) => sum + count, 0);
  return shardAt(ranges, placeAmong(sender, shards));
}

/** A place from 0 to `shards` - 1. */
function placeAmong(sender: Sender, shards: number): number {
  switch (sender.kind) {
    case "key":
      return spread("key", sender.jkt) % shards;
    case "client": {
      const clientShards = Math.max(1, Math.min(sender.spread, shards));
      const first = spreadOfClient(sender.client) % shards;
      const turn = randomOf(sender.turn);
      const ofTurn = turn % shards;
      return (ofTurn - first + shards) % shards < clientShards
        ? ofTurn
        : (first + (Math.floor(turn / shards) % clientShards)) % shards;
    }
    case "address":
      return spread("address", addressPrefix(sender.address)) % shards;
  }
}

function shardAt(ranges: readonly ShardRange[], place: number): number {
  let before = 0;
  for (const { first, count } of ranges) {
    if (place < before + count) return first + place - before;
    before += count;
  }
  throw new Error("ledger: no such place among the shards");
}

// 1,024: a client's first log never changes, and an isolate serves few clients at a time.
const spreadOfClient = memo(1_024, (client) => spread("client", client));

/** A turn is random already: its first four bytes spread a client's requests as evenly as a hash of it. */
const randomOf = memo(16, (turn) => {
  const first = /^[0-9a-f]{8}/u.exec(turn)?.[0];
  if (first === undefined) throw new Error("ledger: a turn is random hex digits");
  return Number.parseInt(first, 16);
});

/** The first four bytes of SHA-256(label ‖ 0x00 ‖ value) as a number. */
function spread(label: string, value: string): number {
  const hash = sha256(utf8(label), Uint8Array.of(0), utf8(value));
  return new DataView(hash.buffer, hash.byteOffset).getUint32(0);
}
