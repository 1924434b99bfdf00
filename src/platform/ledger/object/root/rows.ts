import { fromBase64, toBase64 } from "#ledger/bytes/base64";
import type { Remembered } from "#ledger/tlog/witness";
import { type AskSql, askSql } from "#platform/ask-sql";

/** The last checkpoint of a log that the root log took; `waiting` until it is a leaf. */
export interface RootEntry extends Remembered {
  readonly log: string;
  readonly frame: number; // −1 when the log is empty
  readonly note: string;
  readonly waiting: boolean;
}

/** The root log's published checkpoint, with its cosignatures. */
export interface Published {
  readonly size: number;
  readonly note: string;
  readonly whole: boolean; // every witness cosigned it
  readonly at: number; // ms
}

const schema = `
  CREATE TABLE IF NOT EXISTS root_logs (log TEXT PRIMARY KEY, size INTEGER NOT NULL, root TEXT NOT NULL,
    frame INTEGER NOT NULL, note TEXT NOT NULL, waiting INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS root_published (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL,
    note TEXT NOT NULL, whole INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS root_layouts (half_year TEXT PRIMARY KEY, layout TEXT NOT NULL) STRICT,
    WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS root_witnesses (name TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT,
    WITHOUT ROWID;
`;

// oxlint-disable-next-line typescript/consistent-type-definitions -- SqlStorage wants an index signature
type EntryRow = { log: string; size: number; root: string; frame: number; note: string; waiting: number };

/** A root log's state in addition to its leaves. */
export class RootRows {
  readonly #sql: SqlStorage;
  readonly #ask: AskSql;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#ask = askSql(sql);
    sql.exec(schema);
  }

  entry(log: string): RootEntry | undefined {
    return this.#entries("WHERE log = ?", log)[0];
  }

  /** The names of the logs of a half-year. */
  logsOf(halfYear: string): string[] {
    const rows = this.#ask<{ log: string }>`
      SELECT log FROM root_logs WHERE substr(log, instr(log, '-') + 1) = ${halfYear}`;
    return rows.map(({ log }) => log);
  }

  /** The layout of keys with which a half-year began; undefined before its first log was opened. */
  layout(halfYear: string): string | undefined {
    return this.#ask<{ layout: string }>`
      SELECT layout FROM root_layouts WHERE half_year = ${halfYear}`[0]?.layout;
  }

  /** Stores the layout of a half-year for good. */
  keepLayout(halfYear: string, layout: string): void {
    this.#ask`INSERT INTO root_layouts VALUES (${halfYear}, ${layout})`;
  }

  /**
   * Checkpoints that are not leaves yet, at most as many as a frame holds, in the order of their logs'
   * names.
   */
  waiting(limit: number): RootEntry[] {
    return this.#entries("WHERE waiting = 1 ORDER BY log LIMIT ?", limit);
  }

  save({ log, size, root, frame, note, waiting }: RootEntry): void {
    this.#ask`INSERT OR REPLACE INTO root_logs
      VALUES (${log}, ${size}, ${toBase64(root)}, ${frame}, ${note}, ${Number(waiting)})`;
  }

  published(): Published | undefined {
    const [row] = this.#ask<Omit<Published, "whole"> & { readonly whole: number }>`
      SELECT size, note, whole, at FROM root_published`;
    return row && { ...row, whole: row.whole === 1 };
  }

  publish({ size, note, whole, at }: Published): void {
    this.#ask`INSERT OR REPLACE INTO root_published VALUES (1, ${size}, ${note}, ${Number(whole)}, ${at})`;
  }

  /** The size of the last checkpoint that a witness is known to have cosigned; 0 for none. */
  cosigned(witness: string): number {
    return this.#ask<{ size: number }>`SELECT size FROM root_witnesses WHERE name = ${witness}`[0]?.size ?? 0;
  }

  setCosigned(witness: string, size: number): void {
    this.#ask`INSERT OR REPLACE INTO root_witnesses VALUES (${witness}, ${size})`;
  }

  #entries(where: string, value: string | number): RootEntry[] {
    const rows = this.#sql.exec<EntryRow>(`SELECT * FROM root_logs ${where}`, value).toArray();
    return rows.map(({ log, size, root, frame, note, waiting }) => {
      const bytes = fromBase64(root);
      if (bytes === undefined) throw new Error("root log: a stored root does not read back");
      return { log, size, root: bytes, frame, note, waiting: waiting === 1 };
    });
  }
}
