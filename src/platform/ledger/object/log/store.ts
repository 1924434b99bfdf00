import type { Commit } from "#ledger/commit";
import type { LogExtent } from "#ledger/flush";
import { fullTiles, TILE_WIDTH } from "#ledger/tlog/tile";
import { CopiedRanges } from "./copied-ranges.ts";
import type { LineBox } from "./key-epoch.ts";
import { hasTable } from "#platform/ask-sql";

export interface StoredFrame {
  readonly number: number;
  readonly size: number;
  readonly hash: Uint8Array;
  readonly body: Uint8Array;
}

// oxlint-disable-next-line typescript/consistent-type-definitions -- SqlStorage wants an index signature
type FrameSize = { readonly number: number; readonly size: number; readonly bytes: number };

/** The last signed checkpoint text, and its time (ms). */
export interface Signed {
  readonly size: number;
  readonly text: string;
  readonly at: number;
}

/**
 * The tables of a shard. Small columns come first: SQLite then reads them without the overflow pages of a long
 * blob.
 */
export const shardTables = `
  CREATE TABLE IF NOT EXISTS frames (number INTEGER PRIMARY KEY, size INTEGER NOT NULL,
    seconds INTEGER NOT NULL, hash BLOB NOT NULL, recent BLOB NOT NULL, body BLOB NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS lines (frame INTEGER PRIMARY KEY, epoch INTEGER NOT NULL,
    counter INTEGER NOT NULL, salt BLOB NOT NULL, box BLOB NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS tiles (level INTEGER NOT NULL, number INTEGER NOT NULL, root BLOB NOT NULL,
    hashes BLOB NOT NULL, PRIMARY KEY (level, number)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS signed (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL,
    text TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS tally (reason TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

const FRAMES_A_STEP = 10_000; // counting them takes about a millisecond

/**
 * A shard's rows. It creates nothing until the first commit: reading a log that does not exist leaves no
 * trace.
 */
export class LedgerStore {
  readonly copied: CopiedRanges;
  readonly #sql: SqlStorage;
  #exists: boolean;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.copied = new CopiedRanges(sql);
    this.#exists = hasTable(sql, "frames");
  }

  /**
   * Call inside a transaction: the frame, the tiles it filled and its lines are stored together or not at
   * all.
   */
  insert(commit: Commit, recent: Uint8Array, lines: LineBox | undefined): void {
    if (!this.#exists) this.#sql.exec(shardTables);
    const { number, head, seconds, frameHash, frame } = commit;
    this.#sql.exec(
      "INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?)",
      number,
      head.size,
      seconds,
      frameHash,
      recent,
      frame,
    );
    if (lines !== undefined)
      this.#sql.exec(
        "INSERT INTO lines VALUES (?, ?, ?, ?, ?)",
        number,
        lines.epoch,
        lines.counter,
        lines.salt,
        lines.box,
      );
    for (const tile of commit.tiles)
      this.#sql.exec("INSERT INTO tiles VALUES (?, ?, ?, ?)", tile.level, tile.index, tile.root, tile.hashes);
  }

  /** Call after the transaction of the first `insert` succeeded. */
  created(): void {
    this.#exists = true;
  }

  /** Adds to the counts of anonymous refusals without a record. */
  addTally(counts: ReadonlyMap<string, number>): void {
    if (!this.#exists) this.#sql.exec(shardTables);
    for (const [reason, n] of counts) {
      this.#sql.exec(
        "INSERT INTO tally VALUES (?, ?) ON CONFLICT (reason) DO UPDATE SET n = n + excluded.n",
        reason,
        n,
      );
    }
  }

  tally(): Record<string, number> {
    if (!this.#exists) return {};
    const rows = this.#sql.exec<{ reason: string; n: number }>("SELECT reason, n FROM tally").toArray();
    return Object.fromEntries(rows.map(({ reason, n }) => [reason, n]));
  }

  /** Call in the transaction that records the counts. */
  clearTally(): void {
    this.#sql.exec("DELETE FROM tally");
  }

  lastFrame(): StoredFrame | undefined {
    return this.#frame("ORDER BY number DESC LIMIT 1");
  }

  frame(number: number): StoredFrame | undefined {
    return this.#frame("WHERE number = ?", number);
  }

  /** Frames beginning with a number, in order, without their bytes. */
  *framesFrom(number: number): Generator<FrameSize> {
    if (!this.#exists) return;
    const query = "SELECT number, size, length(body) AS bytes FROM frames WHERE number >= ? ORDER BY number";
    yield* this.#sql.exec<FrameSize>(query, number);
  }

  /** The end and the bytes of the frames from a number on, in one step; undefined for none, and for too many. */
  allFrom(number: number): FrameSize | undefined {
    if (!this.#exists) return undefined;
    const query = `SELECT count(*) AS frames, max(number) AS number, max(size) AS size, sum(bytes) AS bytes FROM
      (SELECT number, size, length(body) AS bytes FROM frames WHERE number >= ? ORDER BY number LIMIT ?)`;
    const all = this.#sql
      .exec<{ frames: number; number: number; size: number; bytes: number }>(query, number, FRAMES_A_STEP)
      .one();
    return all.frames === 0 || all.frames === FRAMES_A_STEP ? undefined : all;
  }

  /** The bytes of the frames between two numbers, both included, in order: of those that have rows. */
  *bodies(first: number, last: number): Generator<{ readonly number: number; readonly body: Uint8Array }> {
    if (!this.#exists) return;
    const query = "SELECT number, body FROM frames WHERE number BETWEEN ? AND ? ORDER BY number";
    for (const { number, body } of this.#sql.exec<{ number: number; body: ArrayBuffer }>(query, first, last))
      yield { number, body: new Uint8Array(body) };
  }

  /** Frames before a number, backwards. */
  *framesBefore(number: number): Generator<FrameSize> {
    const query =
      "SELECT number, size, length(body) AS bytes FROM frames WHERE number < ? ORDER BY number DESC";
    yield* this.#sql.exec<FrameSize>(query, number);
  }

  /** Bytes of the frames between two numbers, both included. */
  bytesOfFrames(first: number, last: number): number {
    const query = "SELECT sum(length(body)) AS bytes FROM frames WHERE number BETWEEN ? AND ?";
    return this.#sql.exec<{ bytes: number | null }>(query, first, last).one().bytes ?? 0;
  }

  /**
   * Call inside a transaction. Deletes the frames before an extent, and on each level the tiles before it
   * whose roots are in a full tile of the level above. A restart needs the remaining tiles (`tileRoots`),
   * and so do proofs about retained frames.
   */
  deleteUpTo(to: LogExtent): void {
    this.#sql.exec("DELETE FROM frames WHERE number < ?", to.frames);
    for (let level = 0; fullTiles(level + 1, to.size) > 0; level++)
      this.#sql.exec(
        "DELETE FROM tiles WHERE level = ? AND number < ?",
        level,
        fullTiles(level + 1, to.size) * TILE_WIDTH,
      );
    this.copied.setDeleted(to);
  }

  /** The time of a frame in seconds since 1970, or undefined when the frame does not exist. */
  frameSeconds(number: number): number | undefined {
    if (!this.#exists) return undefined;
    return this.#sql
      .exec<{ seconds: number }>("SELECT seconds FROM frames WHERE number = ?", number)
      .toArray()[0]?.seconds;
  }

  /**
   * The number of the frame that holds a leaf and has a row. It is a binary search, since an index by size
   * would add a row to every commit.
   */
  frameHolding(index: number, last: number): number {
    let [low, high] = [this.copied.deleted.frames, last];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const { size } = this.#sql
        .exec<{ size: number }>("SELECT size FROM frames WHERE number = ?", middle)
        .one();
      if (size > index) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  tile(level: number, index: number): Uint8Array | undefined {
    if (!this.#exists) return undefined;
    const [row] = this.#sql
      .exec<{ hashes: ArrayBuffer }>("SELECT hashes FROM tiles WHERE level = ? AND number = ?", level, index)
      .toArray();
    return row && new Uint8Array(row.hashes);
  }

  /** The roots of a level's full tiles, beginning with `first`: the hashes of the level above. */
  tileRoots(level: number, first: number): Uint8Array[] {
    const rows = this.#sql.exec<{ root: ArrayBuffer }>(
      "SELECT root FROM tiles WHERE level = ? AND number >= ? ORDER BY number",
      level,
      first,
    );
    return rows.toArray().map(({ root }) => new Uint8Array(root));
  }

  /** The facts that commits since then packed about their appends, oldest first. */
  recent(sinceSeconds: number): {
    readonly number: number;
    readonly seconds: number;
    readonly hash: Uint8Array;
    readonly recent: Uint8Array;
  }[] {
    const found = [];
    const query = "SELECT number, seconds, hash, recent FROM frames ORDER BY number DESC";
    const rows = this.#sql.exec(query).raw<[number, number, ArrayBuffer, ArrayBuffer]>();
    for (const [number, seconds, hash, recent] of rows) {
      if (seconds < sinceSeconds) break;
      found.push({ number, seconds, hash: new Uint8Array(hash), recent: new Uint8Array(recent) });
    }
    return found.reverse();
  }

  signed(): Signed | undefined {
    return this.#exists
      ? this.#sql
          .exec<{ size: number; text: string; at: number }>("SELECT size, text, at FROM signed")
          .toArray()[0]
      : undefined;
  }

  setSigned({ size, text, at }: Signed): void {
    this.#sql.exec("INSERT OR REPLACE INTO signed VALUES (1, ?, ?, ?)", size, text, at);
  }

  #frame(where: string, ...values: readonly number[]): StoredFrame | undefined {
    if (!this.#exists) return undefined;
    const query = `SELECT number, size, hash, body FROM frames ${where}`;
    const [row] = this.#sql
      .exec<{ number: number; size: number; hash: ArrayBuffer; body: ArrayBuffer }>(query, ...values)
      .toArray();
    return (
      row && {
        number: row.number,
        size: row.size,
        hash: new Uint8Array(row.hash),
        body: new Uint8Array(row.body),
      }
    );
  }
}
