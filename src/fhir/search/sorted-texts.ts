/** Texts in order: one of them is found for a text without a look at each. */
export class SortedTexts {
  readonly #all: readonly string[];
  /** Without the texts that begin with a further one of them: then the text before a text begins it, or none does. */
  readonly #shortest: readonly string[];

  constructor(texts: Iterable<string>) {
    this.#all = [...new Set(texts)].toSorted(byUnits);
    const shortest: string[] = [];
    for (const text of this.#all) {
      const last = shortest.at(-1);
      if (last === undefined || !text.startsWith(last)) shortest.push(text);
    }
    this.#shortest = shortest;
  }

  /** Answers whether the text begins with one of these. */
  beginsOneOf(text: string): boolean {
    const before = this.#shortest[placeIn(this.#shortest, (each) => each <= text) - 1];
    return before !== undefined && text.startsWith(before);
  }

  /** Answers whether one of these begins with the text. */
  hasOneFrom(text: string): boolean {
    return this.#all[placeIn(this.#all, (each) => each < text)]?.startsWith(text) === true;
  }
}

const byUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The number of items at the start of a list that meet a condition, where no item behind them does. */
export function placeIn<Item>(items: readonly Item[], meets: (item: Item) => boolean): number {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const item = items[middle];
    if (item !== undefined && meets(item)) low = middle + 1;
    else high = middle;
  }
  return low;
}
