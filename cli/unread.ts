import type { Unread } from "./ledger-events.ts";

/** Collects what could not be read, and tells it: leaves one after another that fail alike are told as one. */
export class UnreadList {
  readonly #wrong: string[] = [];
  readonly #leaves: { log: string; keyEpoch: number; why: string; from: number; count: number }[] = [];

  add(unread: Unread): void {
    if ("wrong" in unread) {
      this.#wrong.push(`${unread.log}: WRONG: ${unread.wrong}`);
      return;
    }
    const { log, index, keyEpoch, why } = unread;
    const last = this.#leaves.at(-1);
    if (last?.log === log && last.keyEpoch === keyEpoch && last.why === why) last.count += 1;
    else this.#leaves.push({ log, keyEpoch, why, from: index, count: 1 });
  }

  /** Parts of one event that are missing beside those that were read. */
  addParts(log: string, missing: number): void {
    this.#wrong.push(`${log}: ${missing} parts of an event could not be read`);
  }

  get count(): number {
    return this.#wrong.length + this.#leaves.reduce((sum, { count }) => sum + count, 0);
  }

  /** One a line; no line has anything of a record in it. */
  get lines(): readonly string[] {
    const leaves = this.#leaves.map(({ log, keyEpoch, why, from, count }) =>
      count === 1
        ? `${log}: leaf ${from} (key epoch ${keyEpoch}) could not be opened: ${why}`
        : `${log}: ${count} leaves from ${from} on (key epoch ${keyEpoch}) could not be opened: ${why}`,
    );
    return [...this.#wrong, ...leaves];
  }
}
