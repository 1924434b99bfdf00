import type { AppendName } from "./events.ts";

/** The peers that take an append, side by side. */
export const appendPeers = ["ledger", "row", "bare", "r2"] as const;
export type AppendPeer = (typeof appendPeers)[number];

/** The parts of the ledger that every reader gets. */
export const served = ["checkpoint", "proof", "tile", "entries"] as const;
export type Served = (typeof served)[number];

/**
 * A task for the driver; it does one task at a time. `run`: hex digits that no earlier run has, so that no
 * event is recorded twice.
 */
export type Ask =
  | {
      readonly kind: "append";
      readonly peer: AppendPeer;
      readonly append: AppendName;
      readonly log: string;
      readonly run: string;
      readonly callers: number;
      readonly milliseconds: number;
    }
  | {
      readonly kind: "serve";
      readonly what: Served;
      readonly log: string;
      readonly size: number;
      readonly callers: number;
      readonly milliseconds: number;
    }
  | { readonly kind: "status"; readonly log: string }
  | { readonly kind: "settle"; readonly log: string }
  | { readonly kind: "count-shelf"; readonly lines: number }
  | {
      readonly kind: "count";
      readonly append: AppendName;
      readonly log: string;
      readonly run: string;
      readonly perFrame: number;
      readonly frames: number;
    };

export interface AskOutcome {
  readonly answers: number;
  /** Answers that differ from the expected answers. */
  readonly wrong: number;
  readonly seconds: number;
  /** Whole milliseconds: the runtime's clock is no finer. */
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
}

/**
 * The rows written and calls made by frames of reads and by the work after them: for example `shard.rows`,
 * `bucket.put`, `shelf.put`.
 */
export interface Counted {
  readonly perFrame: number;
  readonly frames: number;
  readonly appended: Readonly<Record<string, number>>;
  /** The work of one alarm. */
  readonly settled: Readonly<Record<string, number>>;
  /** One hand-over at the root log. */
  readonly rooted: Readonly<Record<string, number>>;
}

/** The cost of one accounting line in a store with many lines. */
export interface ShelfCounted {
  readonly rowsPerLine: number;
  /** Size of the line store's database, as Cloudflare bills storage. */
  readonly storedBytesPerLine: number;
}
