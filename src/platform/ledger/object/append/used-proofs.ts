import type { Instant } from "#kernel/clock";
import { concat, sameBytes } from "#ledger/bytes/bytes";
import { RecentEntries } from "./recent-entries.ts";
import { RECENT_MS } from "./recent.ts";
import { hasTable } from "#platform/ask-sql";

/**
 * A DPoP proof that an event used up. `hash`: SHA-256 over `jkt` and `jti` in base64url, so that no text of
 * a client is stored.
 */
export interface UsedProof {
  readonly hash: string;
  readonly event: string; // its id
}

const HASH_BYTES = 32;
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
  readonly #entries = new RecentEntries<true>({ key: HASH_BYTES, entry: ENTRY_BYTES });
  #swept = 0;

  constructor(sql: SqlStorage, now: Instant) {
    this.#sql = sql;
    if (!hasTable(sql, "proofs")) return;
    const since = secondsOf(now) - RECENT_MS / 1000;
    const rows = sql
      .exec("SELECT seconds, used FROM proofs WHERE seconds >= ? ORDER BY rowid", since)
      .raw<[number, ArrayBuffer]>();
    for (const [seconds, used] of rows)
      this.#entries.add(new Uint8Array(used), true, (seconds + 1) * 1000 + RECENT_MS);
  }

  /**
   * Takes a proof for an event; false when a different event has it. The proof is taken at once, although it
   * is not stored yet.
   */
  take(proof: UsedProof, now: Instant): boolean {
    const { hash, event } = proof;
    if (!/^[A-Za-z0-9_-]{43}$/.test(hash) || !/^[0-9a-f]{32}$/.test(event))
      throw new TypeError("ledger: not a proof and an event");
    this.#entries.prune(now);
    const packed = pack([proof]);
    const taken = this.#entries.find(packed);
    if (taken === undefined) this.#entries.add(packed, true, now + RECENT_MS);
    return taken === undefined || sameBytes(taken.entry, packed);
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

const secondsOf = (at: Instant): number => Math.floor(at / 1000);
