import type { AppendName } from "./events.ts";

/** Those that take an append, side by side. */
export const appendPeers = ["ledger", "row", "bare", "r2"] as const;
export type AppendPeer = (typeof appendPeers)[number];

/** What the ledger shows to anybody. */
export const served = ["checkpoint", "proof", "tile", "entries"] as const;
export type Served = (typeof served)[number];

/** What the driver is asked to do, one thing at a time. `run`: hex digits that no other run has, so that no event comes twice. */
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
  /** Answers that were not the ones expected. */
  readonly wrong: number;
  readonly seconds: number;
  /** Whole milliseconds: the runtime's clock has no finer ones. */
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
}

/** What frames of reads, and what follows them, wrote and called: for example `shard.rows`, `bucket.put`, `shelf.put`. */
export interface Counted {
  readonly perFrame: number;
  readonly frames: number;
  readonly appended: Readonly<Record<string, number>>;
  /** One alarm's work. */
  readonly settled: Readonly<Record<string, number>>;
  /** One hand-over at the root log. */
  readonly rooted: Readonly<Record<string, number>>;
}

/** What one accounting line costs on a shelf that has many. */
export interface ShelfCounted {
  readonly rowsPerLine: number;
  /** Of the shelf's database, as Cloudflare bills storage. */
  readonly storedBytesPerLine: number;
}
