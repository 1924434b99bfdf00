import { instant } from "#kernel/clock";
import type { StoredWindow } from "#limits/window";

/** A guard's table of windows: the granted shares, written ahead. */
export class GuardWindows {
  readonly #sql: SqlStorage;
  readonly #table: string;

  constructor(sql: SqlStorage, table: "windows" | "subject_windows") {
    this.#sql = sql;
    this.#table = table;
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS ${table} (
      key TEXT PRIMARY KEY, requests INTEGER NOT NULL, window_seconds INTEGER NOT NULL,
      revision INTEGER NOT NULL,
      start INTEGER NOT NULL, reserved INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`);
  }

  all(): readonly StoredWindow[] {
    return this.#sql.exec<Row>(`SELECT * FROM ${this.#table}`).toArray().map(windowOf);
  }

  put({ key, quota, start, reserved }: StoredWindow): void {
    this.#sql.exec(
      `INSERT OR REPLACE INTO ${this.#table} (key, requests, window_seconds, revision, start, reserved)
        VALUES (?, ?, ?, ?, ?, ?)`,
      key,
      quota.requests,
      quota.windowSeconds,
      quota.revision,
      start,
      reserved,
    );
  }

  drop(key: string): void {
    this.#sql.exec(`DELETE FROM ${this.#table} WHERE key = ?`, key);
  }
}

interface Row extends Record<string, SqlStorageValue> {
  key: string;
  requests: number;
  window_seconds: number;
  revision: number;
  start: number;
  reserved: number;
}

function windowOf({ key, requests, window_seconds, revision, start, reserved }: Row): StoredWindow {
  return {
    key,
    quota: { requests, windowSeconds: window_seconds, revision },
    start: instant(start),
    reserved,
  };
}
