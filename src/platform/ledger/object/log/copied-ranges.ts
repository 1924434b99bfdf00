import { emptyExtent, type LogExtent } from "#ledger/flush";

/** The frames of one object of the second copy. */
export interface CopiedRange {
  readonly first: number;
  readonly last: number;
  readonly size: number; // of the log after its last frame
  readonly bytes: number; // of the frames
}

const schema = `
  CREATE TABLE IF NOT EXISTS copied (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, size INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS freed (id INTEGER PRIMARY KEY CHECK (id = 1), frames INTEGER NOT NULL, size INTEGER NOT NULL) STRICT;
`;

// oxlint-disable-next-line typescript/consistent-type-definitions -- SqlStorage wants an index signature, which an interface has not
type RangeRow = { first: number; last: number; size: number; bytes: number };

/** Which object of the second copy has which frames, one row for each flush; and how far the rows of frames are gone from here. */
export class CopiedRanges {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Frames before this reach have no rows here any more, nor has what is only about leaves before it. */
  get freed(): LogExtent {
    if (!this.#exists()) return emptyExtent;
    return (
      this.#sql.exec<{ frames: number; size: number }>("SELECT frames, size FROM freed").toArray()[0] ??
      emptyExtent
    );
  }

  /** Call in the change that deletes the rows. */
  setFreed({ frames, size }: LogExtent): void {
    this.#sql.exec("INSERT OR REPLACE INTO freed VALUES (1, ?, ?)", frames, size);
  }

  /** Call in the change that ends a flush. */
  add({ first, last, size, bytes }: CopiedRange): void {
    this.#sql.exec(schema);
    this.#sql.exec("INSERT OR REPLACE INTO copied VALUES (?, ?, ?, ?)", first, last, size, bytes);
  }

  /** Call in the change that says that the second copy reaches no further: what is beyond is copied again, in other objects maybe. */
  forgetFrom(frame: number): void {
    if (this.#exists()) this.#sql.exec("DELETE FROM copied WHERE first >= ?", frame);
  }

  /** The object that has a frame. */
  holding(frame: number): CopiedRange | undefined {
    const [row] = this.#rows("WHERE first <= ? ORDER BY first DESC LIMIT 1", frame);
    return row !== undefined && row.last >= frame ? row : undefined;
  }

  /** The oldest ones whose frames have rows here still. */
  oldestKept(limit: number): CopiedRange[] {
    return this.#rows("WHERE first >= ? ORDER BY first LIMIT ?", this.freed.frames, limit);
  }

  /** Bytes of all copied frames that have rows here still. */
  keptBytes(): number {
    if (!this.#exists()) return 0;
    const query = "SELECT sum(bytes) AS bytes FROM copied WHERE first >= ?";
    return this.#sql.exec<{ bytes: number | null }>(query, this.freed.frames).one().bytes ?? 0;
  }

  #rows(where: string, ...values: readonly number[]): RangeRow[] {
    return this.#exists()
      ? this.#sql.exec<RangeRow>(`SELECT first, last, size, bytes FROM copied ${where}`, ...values).toArray()
      : [];
  }

  #exists(): boolean {
    return this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'freed'").toArray().length > 0;
  }
}
