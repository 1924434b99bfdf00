import { DurableObject } from "cloudflare:workers";
import { instant, type Instant } from "#kernel/clock";
import { sha256Form } from "#kernel/encoded";
import { takeLease } from "#limits/row-lease";
import { type AskSql, askSql } from "#platform/ask-sql";

/**
 * The storage and clock around limits/row-lease. An object has the leases of a part of an origin's rows, each by
 * the hash of its address, for less than a minute.
 */
export class RowLeaseBook extends DurableObject {
  readonly #ask: AskSql;

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as Cloudflare.Env); // this object reads nothing of its environment
    state.storage.sql.exec(schema);
    this.#ask = askSql(state.storage.sql);
  }

  /** `rowHash`: SHA-256 in base64url. False if a further holder has the row. */
  take(rowHash: string, holder: string): boolean {
    if (!sha256Form.test(rowHash)) throw new Error("not the hash of a row's address");
    const at = now();
    this.#ask`DELETE FROM row_leases WHERE until <= ${at}`;
    const [row] = this.#ask<{ holder: string; until: Instant }>`
      SELECT holder, until FROM row_leases WHERE row_hash = ${rowHash}`;
    const lease = takeLease(row, holder, at);
    if (lease === undefined) return false;
    this.#ask`INSERT OR REPLACE INTO row_leases (row_hash, holder, until)
      VALUES (${rowHash}, ${lease.holder}, ${lease.until})`;
    return true;
  }

  release(rowHash: string, holder: string): void {
    this.#ask`DELETE FROM row_leases WHERE row_hash = ${rowHash} AND holder = ${holder}`;
  }
}

const schema = `
  CREATE TABLE IF NOT EXISTS row_leases (row_hash TEXT PRIMARY KEY, holder TEXT NOT NULL,
    until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

const now = (): Instant => instant(Date.now());
