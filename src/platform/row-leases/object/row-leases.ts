import { DurableObject } from "cloudflare:workers";
import { instant, type Instant } from "#kernel/clock";
import { sha256Form } from "#kernel/encoded";
import { takeLease } from "#limits/row-lease";
import { askSql } from "#platform/ask-sql";

/**
 * The storage and clock around limits/row-lease. An object has the leases of a part of an origin's rows, each by
 * the hash of its address, for less than a minute.
 */
export class RowLeaseBook extends DurableObject {
  readonly #sql: SqlStorage;

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as Cloudflare.Env); // this object reads nothing of its environment
    this.#sql = state.storage.sql;
    this.#sql.exec(schema);
  }

  /** `rowHash`: SHA-256 in base64url. False if a further holder has the row. */
  take(rowHash: string, holder: string): boolean {
    if (!sha256Form.test(rowHash)) throw new Error("not the hash of a row's address");
    const at = now();
    askSql(this.#sql)`DELETE FROM row_leases WHERE until <= ${at}`;
    const [row] = askSql(this.#sql)<{ holder: string; until: Instant }>`
      SELECT holder, until FROM row_leases WHERE row_hash = ${rowHash}`;
    const lease = takeLease(row, holder, at);
    if (lease === undefined) return false;
    askSql(this.#sql)`INSERT OR REPLACE INTO row_leases (row_hash, holder, until)
      VALUES (${rowHash}, ${lease.holder}, ${lease.until})`;
    return true;
  }

  release(rowHash: string, holder: string): void {
    askSql(this.#sql)`DELETE FROM row_leases WHERE row_hash = ${rowHash} AND holder = ${holder}`;
  }
}

const schema = `
  CREATE TABLE IF NOT EXISTS row_leases (row_hash TEXT PRIMARY KEY, holder TEXT NOT NULL,
    until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

const now = (): Instant => instant(Date.now());
