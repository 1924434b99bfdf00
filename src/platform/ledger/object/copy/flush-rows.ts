import { emptyExtent, type LogExtent } from "#ledger/flush";
import { askSql, hasTable } from "#platform/ask-sql";

/** The known extent of the second copy, and the pending flush, if there is one. */
export interface FlushState {
  readonly done: LogExtent;
  readonly pending?: { readonly to: LogExtent; readonly note: string }; // the signed checkpoint at `to`
}

const schema = `CREATE TABLE IF NOT EXISTS flush (id INTEGER PRIMARY KEY CHECK (id = 1),
  frames INTEGER NOT NULL, size INTEGER NOT NULL,
  to_frames INTEGER, to_size INTEGER, note TEXT) STRICT`;

interface FlushRow {
  readonly frames: number;
  readonly size: number;
  readonly to_frames: number | null;
  readonly to_size: number | null;
  readonly note: string | null;
}

/**
 * The row with the state of flushing. It is written whole, so that "published" and "no longer pending" are a
 * single change.
 */
export class FlushRows {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  load(): FlushState {
    if (!hasTable(this.#sql, "flush")) return { done: emptyExtent };
    const [row] = askSql(this.#sql)<FlushRow>`SELECT * FROM flush`;
    if (row === undefined) return { done: emptyExtent };
    const done = { frames: row.frames, size: row.size };
    if (row.to_frames === null || row.to_size === null || row.note === null) return { done };
    return { done, pending: { to: { frames: row.to_frames, size: row.to_size }, note: row.note } };
  }

  save({ done, pending }: FlushState): void {
    this.#sql.exec(schema);
    const to =
      pending === undefined ? [null, null, null] : [pending.to.frames, pending.to.size, pending.note];
    this.#sql.exec("INSERT OR REPLACE INTO flush VALUES (1, ?, ?, ?, ?, ?)", done.frames, done.size, ...to);
  }
}
