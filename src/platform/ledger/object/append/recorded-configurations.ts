import type { Configuration } from "#audit/event";
import type { Recorded } from "#audit/ports";
import type { Instant } from "#kernel/clock";
import { fromCbor, toCbor } from "#ledger/bytes/cbor";
import { hasTable } from "#platform/ask-sql";

type Named = Pick<Configuration, "worker" | "digest">;

const AGAIN_MS = 3_600_000;
// While a deployment spreads from place to place, isolates of both versions start by turns.
const CHANGED_BACK_MS = 60_000;
const schema = `
  CREATE TABLE IF NOT EXISTS configurations (worker TEXT NOT NULL, digest TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (worker, digest)) STRICT;
  CREATE TABLE IF NOT EXISTS configuration_places (worker TEXT NOT NULL, digest TEXT NOT NULL,
    place BLOB NOT NULL, PRIMARY KEY (worker, digest)) STRICT;
`;

/**
 * The configurations that a log recorded in the last hour. Thousands of isolates with one configuration
 * cause only 24 records a day: each gets the position of the recent record. A configuration that returns to
 * force is recorded again after a minute. A row is written in the transaction of its record.
 */
export class RecordedConfigurations {
  readonly #sql: SqlStorage;
  readonly #log: string;
  /** Configurations whose records are being committed. */
  readonly #coming = new Map<string, Promise<Recorded>>();

  constructor(sql: SqlStorage, log: string) {
    this.#sql = sql;
    this.#log = log;
  }

  /**
   * The position of the configuration's recent record, at once or when the pending record is durable.
   * Undefined: it must be recorded.
   */
  find(named: Named, now: Instant): Recorded | Promise<Recorded> | undefined {
    return this.#recent(named, now) ?? this.#coming.get(name(named));
  }

  /** The configuration is about to be recorded. */
  expect(named: Named, recorded: Promise<Recorded>): void {
    this.#coming.set(name(named), recorded);
    const forget = (): void => void this.#coming.delete(name(named));
    recorded.then(forget, forget);
  }

  /** Call inside the transaction of the records. */
  store(recorded: readonly { readonly named: Named; readonly at: Recorded }[], now: Instant): void {
    if (recorded.length === 0) return;
    this.#sql.exec(schema);
    this.#sql.exec("DELETE FROM configurations WHERE at < ?", now - AGAIN_MS);
    this.#sql.exec(
      "DELETE FROM configuration_places WHERE (worker, digest) NOT IN (SELECT worker, digest FROM configurations)",
    );
    for (const { named, at } of recorded) {
      const { worker, digest } = named;
      this.#sql.exec("INSERT OR REPLACE INTO configurations VALUES (?, ?, ?)", worker, digest, now);
      this.#sql.exec(
        "INSERT OR REPLACE INTO configuration_places VALUES (?, ?, ?)",
        worker,
        digest,
        toCbor([at.index, at.frame, at.leafHash, at.frameHash]),
      );
    }
  }

  #recent(named: Named, now: Instant): Recorded | undefined {
    // A log of the version before has no places, and records a configuration once more.
    if (!hasTable(this.#sql, "configuration_places")) return undefined;
    const [last] = this.#sql.exec<{ digest: string }>(
      // A rewritten row becomes the last row.
      "SELECT digest FROM configurations WHERE worker = ? ORDER BY rowid DESC LIMIT 1",
      named.worker,
    );
    const [same] = this.#sql.exec<{ at: number; place: ArrayBuffer }>(
      "SELECT at, place FROM configurations JOIN configuration_places USING (worker, digest) WHERE worker = ? AND digest = ?",
      named.worker,
      named.digest,
    );
    if (same === undefined) return undefined;
    const age = now - same.at;
    const isRecent = age >= 0 && age < (last?.digest === named.digest ? AGAIN_MS : CHANGED_BACK_MS);
    return isRecent ? this.#placeIn(new Uint8Array(same.place)) : undefined;
  }

  #placeIn(place: Uint8Array): Recorded {
    const [index, frame, leafHash, frameHash] = fromCbor(place) as [number, number, Uint8Array, Uint8Array]; // `store` wrote it
    return { log: this.#log, index, count: 1, frame, leafHash, frameHash };
  }
}

const name = ({ worker, digest }: Named): string => `${worker} ${digest}`;
