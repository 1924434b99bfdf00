import type { Configuration } from "#audit/event";
import type { Known, Recorded } from "#audit/ports";
import type { Instant } from "#kernel/clock";

type Named = Pick<Configuration, "worker" | "digest">;

const AGAIN_MS = 3_600_000;
// While a deployment reaches one place after another, isolates of both versions start by turns.
const CHANGED_BACK_MS = 60_000;
const schema =
  "CREATE TABLE IF NOT EXISTS configurations (worker TEXT NOT NULL, digest TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (worker, digest)) STRICT";

/**
 * The configurations that a log took down in the last hour, so that of thousands of isolates with one configuration a day 24 are on record;
 * the one before the last that is in force again is new after a minute. A row is written in the transaction of its record.
 */
export class RecordedConfigurations {
  readonly #sql: SqlStorage;
  /** On their way into the log. */
  readonly #coming = new Map<string, Promise<Known>>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Whether it need not be recorded again: at once, or once the record that is being made is durable. Undefined: it has to be. */
  find(named: Named, now: Instant): Known | Promise<Known> | undefined {
    if (this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'configurations'").toArray().length > 0) {
      const [last] = this.#sql.exec<Named & { at: number }>(
        // A row that is written again becomes the last one.
        "SELECT worker, digest, at FROM configurations WHERE worker = ? ORDER BY rowid DESC LIMIT 1",
        named.worker,
      );
      const [own] = this.#sql.exec<{ at: number }>(
        "SELECT at FROM configurations WHERE worker = ? AND digest = ?",
        named.worker,
        named.digest,
      );
      const age = now - (own?.at ?? 0);
      if (age >= 0 && age < (last?.digest === named.digest ? AGAIN_MS : CHANGED_BACK_MS)) return "known";
    }
    return this.#coming.get(name(named));
  }

  /** It is about to be recorded. */
  expect(named: Named, recorded: Promise<Recorded>): void {
    const done = recorded.then((): Known => "known");
    this.#coming.set(name(named), done);
    const forget = (): void => void this.#coming.delete(name(named));
    done.then(forget, forget);
  }

  /** Call inside the transaction of their records. */
  store(recorded: readonly Named[], now: Instant): void {
    if (recorded.length === 0) return;
    this.#sql.exec(schema);
    this.#sql.exec("DELETE FROM configurations WHERE at < ?", now - AGAIN_MS);
    for (const { worker, digest } of recorded)
      this.#sql.exec("INSERT OR REPLACE INTO configurations VALUES (?, ?, ?)", worker, digest, now);
  }
}

const name = ({ worker, digest }: Named): string => `${worker} ${digest}`;
