import type { Recorded } from "#audit/ports";
import type { Instant } from "#kernel/clock";
import { sameBytes } from "#ledger/bytes/bytes";
import { fromCbor, toCbor } from "#ledger/bytes/cbor";
import { hasTable } from "#platform/ask-sql";
import type { Draft } from "./draft.ts";

type Named = Pick<Draft, "id" | "step" | "digest">;

// No authority lives longer than 90 days, and no job repeats a step of an authority that has ended.
const REPEATED_MS = 91 * 86_400_000;
const schema = `
  CREATE TABLE IF NOT EXISTS authority_steps (name TEXT PRIMARY KEY, at INTEGER NOT NULL, digest BLOB NOT NULL,
    place BLOB NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS authority_steps_by_time ON authority_steps (at);
`;

/**
 * The appends under stored authorities. A job repeats a step after a crash of any length, so the 130 s of a request's
 * repeat do not suffice: each step has a row, written in the transaction of its record.
 */
export class RecordedSteps {
  readonly #sql: SqlStorage;
  readonly #log: string;

  constructor(sql: SqlStorage, log: string) {
    this.#sql = sql;
    this.#log = log;
  }

  /** The position of a step's record. Throws when different events came under this id. */
  find(draft: Named): Recorded | undefined {
    if (!hasTable(this.#sql, "authority_steps")) return undefined;
    const [row] = this.#sql.exec<{ digest: ArrayBuffer; place: ArrayBuffer }>(
      "SELECT digest, place FROM authority_steps WHERE name = ?",
      nameOf(draft),
    );
    if (row === undefined) return undefined;
    if (!sameBytes(new Uint8Array(row.digest), draft.digest))
      throw new TypeError("ledger: bad event: another event has this id and step");
    // `store` wrote it
    const [index, count, frame, leafHash, frameHash] = fromCbor(new Uint8Array(row.place)) as [
      number,
      number,
      number,
      Uint8Array,
      Uint8Array,
    ];
    return { log: this.#log, index, count, frame, leafHash, frameHash };
  }

  /** Call inside the transaction of the records. */
  store(steps: readonly { readonly draft: Named; readonly recorded: Recorded }[], now: Instant): void {
    if (steps.length === 0) return;
    this.#sql.exec(schema);
    this.#sql.exec("DELETE FROM authority_steps WHERE at < ?", now - REPEATED_MS);
    for (const { draft, recorded } of steps) {
      const { index, count, frame, leafHash, frameHash } = recorded;
      this.#sql.exec(
        "INSERT INTO authority_steps VALUES (?, ?, ?, ?)",
        nameOf(draft),
        now,
        draft.digest,
        toCbor([index, count, frame, leafHash, frameHash]),
      );
    }
  }
}

const nameOf = ({ id, step }: Named): string => `${id}.${step}`;
