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
  | {
      readonly kind: "key";
      readonly jkt: string;
      /** The client that has the key. The key alone decides the log. */
      readonly client?: string | undefined;
      readonly home?: Region | undefined;
    }
  | {
      readonly kind: "client";
      readonly client: string;
      readonly turn: string;
      readonly spread: number;
      readonly home?: Region | undefined;
      readonly continent?: string | undefined;
    }
  | { readonly kind: "address"; readonly address: string; readonly continent?: string | undefined };

// A ledger of which four logs refuse has a fault of its own.
const OTHER_LOGS_MAX = 3;

/** The log for a sender at an instant. It depends only on the arguments, so it is the same everywhere. */
export const chooseLog = (sender: Sender, layout: LedgerLayout, at: Instant): string =>
  logOf(sender, layout, halfYearOf(at));

/** The log for a sender in a half-year: the shards of a region may change with it. */
export const logOf = (sender: Sender, layout: LedgerLayout, halfYear: string): string => {
  const ranges = rangesOf(sender, layout, halfYear);
  return logName({ shard: shardAt(ranges, placeAmong(sender, sizeOf(ranges))), halfYear });
};

/**
 * The logs that may take a record whose own log refused it, in their order: further logs of the client, then of
 * its region, then of the ledger. A key has none: only its own log knows its used proofs.
 */
export function otherLogs(
  sender: Sender,
  layout: LedgerLayout,
  at: Instant,
  most = OTHER_LOGS_MAX,
): readonly string[] {
  if (sender.kind === "key") return [];
  const halfYear = halfYearOf(at);
  const ranges = rangesOf(sender, layout, halfYear);
  const shards = sizeOf(ranges);
  const [place, own] = [placeAmong(sender, shards), ownPlaces(sender, shards)];
  const near = Array.from({ length: shards }, (_, i) => (place + i) % shards);
  const all = Array.from({ length: shardsIn(layout, halfYear) }, (_, shard) => shard);
  const inOrder = [
    ...near.filter((each) => isAmong(own, each, shards)).map((each) => shardAt(ranges, each)),
    ...near.map((each) => shardAt(ranges, each)),
    ...all,
  ];
  return [...new Set(inOrder)].slice(1, 1 + most).map((shard) => logName({ shard, halfYear }));
}

/** A sender's log, and the logs that take its records while it refuses. */
export const logsFor = (sender: Sender, layout: LedgerLayout, at: Instant): readonly string[] => [
  chooseLog(sender, layout, at),
  ...otherLogs(sender, layout, at),
];

function rangesOf(sender: Sender, layout: LedgerLayout, halfYear: string): readonly ShardRange[] {
  const regions = regionsIn(layout, halfYear);
  const near = regions.length === 0 ? [] : nearestRegions(regions, sender);
  // A ledger without regions has all its shards in reach.
  return near.length === 0 ? [{ first: 0, count: shardsIn(layout, halfYear) }] : near;
}

const sizeOf = (ranges: readonly ShardRange[]): number => ranges.reduce((sum, { count }) => sum + count, 0);

/** A place from 0 to `shards` - 1. */
function placeAmong(sender: Sender, shards: number): number {
  switch (sender.kind) {
    case "key":
      return spread("key", sender.jkt) % shards;
    case "client": {
      const own = ownPlaces(sender, shards);
      const turn = randomOf(sender.turn);
      const ofTurn = turn % shards;
      return isAmong(own, ofTurn, shards)
        ? ofTurn
        : (own.first + (Math.floor(turn / shards) % own.count)) % shards;
    }
    case "address":
      return spread("address", addressPrefix(sender.address)) % shards;
  }
}

/** The places of a client's own logs; of all in reach for a further sender. */
const ownPlaces = (sender: Sender, shards: number): ShardRange =>
  sender.kind === "client"
    ? { first: spreadOfClient(sender.client) % shards, count: Math.max(1, Math.min(sender.spread, shards)) }
    : { first: 0, count: shards };

const isAmong = ({ first, count }: ShardRange, place: number, shards: number): boolean =>
  (place - first + shards) % shards < count;

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
