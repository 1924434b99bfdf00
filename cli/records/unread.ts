import type { Unread } from "#auditing/ledger-events";
import type { Unopened } from "#auditing/leaf-opener";

const notForThisKey: Unopened = "its key is not wrapped to this auditor";

/**
 * Collects the parts of the ledger that could not be read, and reports them grouped: one line per log and
 * reason.
 */
export class UnreadList {
  readonly #wrong: string[] = [];
  readonly #leaves: { log: string; keyEpoch: number; why: Unopened; from: number; count: number }[] = [];
  readonly #foreign = { logs: new Set<string>(), count: 0 }; // leaves that no given key opens

  add(unread: Unread): void {
    if ("wrong" in unread) {
      this.#wrong.push(`${unread.log}: WRONG: ${unread.wrong}`);
      return;
    }
    const { log, index, keyEpoch, why } = unread;
    if (why === notForThisKey) {
      this.#foreign.logs.add(log);
      this.#foreign.count += 1;
      return;
    }
    const last = this.#leaves.at(-1);
    if (last?.log === log && last.keyEpoch === keyEpoch && last.why === why) last.count += 1;
    else this.#leaves.push({ log, keyEpoch, why, from: index, count: 1 });
  }

  /** Adds the missing parts of an event that was read in part. */
  addParts(log: string, missing: number): void {
    this.#wrong.push(`${log}: ${missing} parts of an event could not be read`);
  }

  get count(): number {
    const failed = this.#leaves.reduce((sum, { count }) => sum + count, 0);
    return this.#wrong.length + failed + this.#foreign.count;
  }

  /** A line for each failure; no line contains data of a record. */
  get lines(): readonly string[] {
    const leaves = this.#leaves.map(({ log, keyEpoch, why, from, count }) =>
      count === 1
        ? `${log}: leaf ${from} (key epoch ${keyEpoch}) could not be opened: ${why}`
        : `${log}: ${count} leaves from ${from} on (key epoch ${keyEpoch}) could not be opened: ${why}`,
    );
    return [...this.#wrong, ...leaves, ...this.#foreignLine()];
  }

  /** A single line for all logs and epochs: a wrong key opens no leaf of a ledger. */
  #foreignLine(): readonly string[] {
    const { logs, count } = this.#foreign;
    if (count === 0) return [];
    return [
      `${count} ${count === 1 ? "leaf" : "leaves"} of ${[...logs].join(", ")} could not be opened: ` +
        "their keys are not wrapped to the auditor of --key. " +
        "Add the key of an auditor who was configured then",
    ];
  }
}
