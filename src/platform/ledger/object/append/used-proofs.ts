import type { Instant } from "#kernel/clock";
import { concat } from "#ledger/bytes/bytes";
import { Cursor } from "#ledger/bytes/cursor";
import { RECENT_MS } from "./recent.ts";

/**
 * A DPoP proof that an event used up. `hash`: SHA-256 over `jkt` and `jti` in base64url, so that no text of
 * a client is stored.
 */
export interface UsedProof {
  readonly hash: string;
  readonly event: string; // its id
}

const ENTRY_BYTES = 48;
const SWEEP_SECONDS = 30; // a search for old rows reads all rows
const schema = "CREATE TABLE IF NOT EXISTS proofs (seconds INTEGER NOT NULL, used BLOB NOT NULL) STRICT";

/**
 * The proofs of the last 130 s, longer than any proof is valid (identity/proof). They are in memory for the
 * answer, and in rows for the next incarnation. A row is written in the transaction of the records that used
 * its proofs up.
 */
export class UsedProofs {
  readonly #sql: SqlStorage;
  // in order of time
  readonly #entries = new Map<string, { readonly event: string; readonly until: number }>();
  #swept = 0;

  constructor(sql: SqlStorage, now: Instant) {
    this.#sql = sql;
    if (sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'proofs'").toArray().length === 0) return;
    const since = secondsOf(now) - RECENT_MS / 1000;
    const rows = sql.exec<{ seconds: number; used: ArrayBuffer }>(
      "SELECT seconds, used FROM proofs WHERE seconds >= ? ORDER BY rowid",
      since,
    );
    for (const { seconds, used } of rows) {
      const until = (seconds + 1) * 1000 + RECENT_MS;
      for (const { hash, event } of unpack(new Uint8Array(used))) this.#entries.set(hash, { event, until });
    }
  }

  /**
   * Takes a proof for an event; false when a different event has it. The proof is taken at once, although it
   * is not stored yet.
   */
  take({ hash, event }: UsedProof, now: Instant): boolean {
    if (!/^[A-Za-z0-9_-]{43}$/.test(hash) || !/^[0-9a-f]{32}$/.test(event))
      throw new TypeError("ledger: not a proof and an event");
    for (const [old, { until }] of this.#entries) {
      if (until > now) break;
      this.#entries.delete(old);
    }
    const taken = this.#entries.get(hash);
    if (taken === undefined) this.#entries.set(hash, { event, until: now + RECENT_MS });
    return taken === undefined || taken.event === event;
  }

  /** Call inside the transaction of the records that used the proofs. */
  store(used: readonly UsedProof[], now: Instant): void {
    if (used.length === 0) return;
    const seconds = secondsOf(now);
    this.#sql.exec(schema);
    if (seconds >= this.#swept + SWEEP_SECONDS) {
      this.#sql.exec("DELETE FROM proofs WHERE seconds < ?", seconds - RECENT_MS / 1000 - 1);
      this.#swept = seconds;
    }
    this.#sql.exec("INSERT INTO proofs VALUES (?, ?)", seconds, pack(used));
  }
}

/** hash[32] | event id[16]: 48 bytes for each proof. */
function pack(used: readonly UsedProof[]): Uint8Array {
  return concat(
    used.flatMap(({ hash, event }) => [Buffer.from(hash, "base64url"), Buffer.from(event, "hex")]),
  );
}

function* unpack(bytes: Uint8Array): Generator<UsedProof> {
  const cursor = new Cursor(bytes);
  while (cursor.remaining >= ENTRY_BYTES) {
    const hash = Buffer.from(cursor.bytes(32)).toString("base64url");
    yield { hash, event: Buffer.from(cursor.bytes(16)).toString("hex") };
  }
}

const secondsOf = (at: Instant): number => Math.floor(at / 1000);
