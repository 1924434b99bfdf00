import type { Configuration } from "#audit/event";
import type { Known, Recorded } from "#audit/ports";
import type { Instant } from "#kernel/clock";

type Named = Pick<Configuration, "worker" | "digest">;

const AGAIN_MS = 3_600_000;
// While a deployment spreads from place to place, isolates of both versions start by turns.
const CHANGED_BACK_MS = 60_000;
const schema = `
  CREATE TABLE IF NOT EXISTS configurations (worker TEXT NOT NULL, digest TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (worker, digest)) STRICT
`;

/**
 * The configurations that a log recorded in the last hour. Thousands of isolates with one configuration
 * cause only 24 records a day. A configuration that returns to force is recorded again after a minute. A row
 * is written in the transaction of its record.
 */
export class RecordedConfigurations {
  readonly #sql: SqlStorage;
  /** Configurations whose records are being committed. */
  readonly #coming = new Map<string, Promise<Known>>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /**
   * Tells if the configuration is recorded already: at once, or when the pending record is durable.
   * Undefined: it must be recorded.
   */
  find(named: Named, now: Instant): Known | Promise<Known> | undefined {
    if (this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'configurations'").toArray().length > 0) {
      const [last] = this.#sql.exec<Named & { at: number }>(
        // A rewritten row becomes the last row.
        "SELECT worker, digest, at FROM configurations WHERE worker = ? ORDER BY rowid DESC LIMIT 1",
        named.worker,
      );
      const [same] = this.#sql.exec<{ at: number }>(
        "SELECT at FROM configurations WHERE worker = ? AND digest = ?",
        named.worker,
        named.digest,
      );
      const age = now - (same?.at ?? 0);
      if (age >= 0 && age < (last?.digest === named.digest ? AGAIN_MS : CHANGED_BACK_MS)) return "known";
    }
    return this.#coming.get(name(named));
  }

  /** The configuration is about to be recorded. */
  expect(named: Named, recorded: Promise<Recorded>): void {
    const done = recorded.then((): Known => "known");
    this.#coming.set(name(named), done);
    const forget = (): void => void this.#coming.delete(name(named));
    done.then(forget, forget);
  }

  /** Call inside the transaction of the records. */
  store(recorded: readonly Named[], now: Instant): void {
    if (recorded.length === 0) return;
    this.#sql.exec(schema);
    this.#sql.exec("DELETE FROM configurations WHERE at < ?", now - AGAIN_MS);
    for (const { worker, digest } of recorded)
      this.#sql.exec("INSERT OR REPLACE INTO configurations VALUES (?, ?, ?)", worker, digest, now);
  }
}

const name = ({ worker, digest }: Named): string => `${worker} ${digest}`;
