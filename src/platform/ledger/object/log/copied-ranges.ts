import type { FrameRange } from "#ledger/frame-copies";
import { emptyExtent, type LogExtent } from "#ledger/flush";
import { hasTable } from "#platform/ask-sql";

/** The frames in an object of the second copy. */
export interface CopiedRange {
  readonly first: number;
  readonly last: number;
  readonly size: number; // of the log after its last frame
  readonly bytes: number; // of the frames
}

const schema = `
  CREATE TABLE IF NOT EXISTS copied (first INTEGER PRIMARY KEY, last INTEGER NOT NULL,
    size INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS freed (id INTEGER PRIMARY KEY CHECK (id = 1), frames INTEGER NOT NULL,
    size INTEGER NOT NULL) STRICT;
`;

// oxlint-disable-next-line typescript/consistent-type-definitions -- SqlStorage wants an index signature
type RangeRow = { first: number; last: number; size: number; bytes: number };

/**
 * The list of frames in each object of the second copy, a row for each flush; and the extent whose rows were
 * deleted here.
 */
export class CopiedRanges {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /**
   * Frames before this extent have no rows here any more, nor have tiles that concern only leaves before it.
   */
  get deleted(): LogExtent {
    if (!this.#exists()) return emptyExtent;
    return (
      this.#sql.exec<{ frames: number; size: number }>("SELECT frames, size FROM freed").toArray()[0] ??
      emptyExtent
    );
  }

  /** Call in the transaction that deletes the rows. */
  setDeleted({ frames, size }: LogExtent): void {
    this.#sql.exec("INSERT OR REPLACE INTO freed VALUES (1, ?, ?)", frames, size);
  }

  /** Call in the transaction that ends a flush. */
  add({ first, last, size, bytes }: CopiedRange): void {
    this.#sql.exec(schema);
    this.#sql.exec("INSERT OR REPLACE INTO copied VALUES (?, ?, ?, ?)", first, last, size, bytes);
  }

  /**
   * Call in the transaction that shortens the second copy: later frames are copied again, perhaps in
   * different objects.
   */
  forgetFrom(frame: number): void {
    if (this.#exists()) this.#sql.exec("DELETE FROM copied WHERE first >= ?", frame);
  }

  /** The object that has a frame. */
  rangeOf(frame: number): CopiedRange | undefined {
    const [row] = this.#rows("WHERE first <= ? ORDER BY first DESC LIMIT 1", frame);
    return row !== undefined && row.last >= frame ? row : undefined;
  }

  /** The first and the last frame of each object from frame `first` on, in order. */
  rangesFrom(first: number, limit: number): FrameRange[] {
    return this.#rows("WHERE first >= ? ORDER BY first LIMIT ?", first, limit).map(({ first, last }) => ({
      first,
      last,
    }));
  }

  /** The oldest objects whose frames still have rows here. */
  oldestRetained(limit: number): CopiedRange[] {
    return this.#rows("WHERE first >= ? ORDER BY first LIMIT ?", this.deleted.frames, limit);
  }

  /** Bytes of all copied frames that still have rows here. */
  retainedBytes(): number {
    if (!this.#exists()) return 0;
    const query = "SELECT sum(bytes) AS bytes FROM copied WHERE first >= ?";
    return this.#sql.exec<{ bytes: number | null }>(query, this.deleted.frames).one().bytes ?? 0;
  }

  #rows(where: string, ...values: readonly number[]): RangeRow[] {
    return this.#exists()
      ? this.#sql.exec<RangeRow>(`SELECT first, last, size, bytes FROM copied ${where}`, ...values).toArray()
      : [];
  }

  #exists(): boolean {
    return hasTable(this.#sql, "freed");
  }
}
