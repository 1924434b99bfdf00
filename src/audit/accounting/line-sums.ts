import { readLine } from "./line.ts";
import type { LineSum } from "./disclosures.ts";
import type { Counts } from "#audit/event";
import type { LinePlace } from "./line-place.ts";

interface Group<L> {
  first: { readonly at: number; readonly line: L };
  last: LineSum["last"];
  number: number;
  counts: Record<string, number>;
}

/**
 * Sums up disclosures of a patient to the same recipient for the same purpose under the same agreement: the
 * first, the number, and the date of the last (45 CFR 164.528(b)(3)).
 */
export class LineSums<L extends LinePlace & { readonly patient: string; readonly content: Uint8Array }> {
  readonly #groups = new Map<string, Group<L>>();
  readonly #max: number;

  /** @param max the most sums. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Returns whether there was room for the line. */
  add(line: L): boolean {
    const says = readLine(line.content);
    if (says === undefined) throw new Error("accounting: a line that this version cannot read");
    const { at, recipient, purposes, agreement, counts, form } = says;
    const { log, index, line: number } = line;
    const last = { log, index, line: number, at };
    const key = JSON.stringify([line.patient, recipient, purposes, agreement ?? null, form ?? null]);
    const group = this.#groups.get(key);
    if (group === undefined) {
      if (this.#groups.size >= this.#max) return false;
      this.#groups.set(key, { first: { at, line }, last, number: 1, counts: { ...counts } });
      return true;
    }
    group.number += 1;
    if (at < group.first.at) group.first = { at, line };
    if (at >= group.last.at) group.last = last;
    group.counts = added(group.counts, counts);
    return true;
  }

  /** The first line of each group, with its sum if the group has more lines. */
  get all(): readonly (L & { readonly sum: LineSum | undefined })[] {
    return [...this.#groups.values()].map(({ first, last, number, counts }) =>
      Object.assign({}, first.line, { sum: number === 1 ? undefined : { number, last, counts } }),
    );
  }
}

function added(counts: Readonly<Record<string, number>>, more: Counts): Record<string, number> {
  const sum: Record<string, number> = { ...counts };
  for (const [type, count] of Object.entries(more)) sum[type] = (sum[type] ?? 0) + count;
  return sum;
}
