/**
 * Finds which of many words occur in a text, in one pass over it (Aho and Corasick, 1975): the cost is the length
 * of the text, however many the words are.
 */
export class WordFinder {
  readonly #signs = new Map<number, number>();
  /** The state behind a state for a sign, by `state * signs + sign`. State 0 is the start. */
  readonly #next = new Map<number, number>();
  /** By state: the state of the longest end of its text that is the start of a word. */
  readonly #fallback: number[] = [0];
  /** By state: the nearest state on the way of the fallbacks at which a word ends. */
  readonly #shorter: number[] = [0];
  readonly #wordAt: (string | undefined)[] = [undefined];

  /** @param words none is empty. */
  constructor(words: ReadonlySet<string>) {
    for (const word of words)
      for (let at = 0; at < word.length; at += 1) {
        const unit = word.charCodeAt(at);
        if (!this.#signs.has(unit)) this.#signs.set(unit, this.#signs.size);
      }
    for (const word of words) this.#add(word);
    this.#link();
  }

  /** Calls `found` once for each word that occurs in the text, until it answers true; answers whether it did. */
  some(text: string, found: (word: string) => boolean): boolean {
    const reported = new Set<number>();
    let state = 0;
    for (let at = 0; at < text.length; at += 1) {
      const sign = this.#signs.get(text.charCodeAt(at));
      state = sign === undefined ? 0 : this.#step(state, sign);
      // whatever ends at a state was reported with the state
      let end = this.#wordAt[state] === undefined ? (this.#shorter[state] ?? 0) : state;
      while (end !== 0 && !reported.has(end)) {
        reported.add(end);
        if (found(this.#wordAt[end] ?? "")) return true;
        end = this.#shorter[end] ?? 0;
      }
    }
    return false;
  }

  #step(from: number, sign: number): number {
    let state = from;
    for (;;) {
      const next = this.#next.get(state * this.#signs.size + sign);
      if (next !== undefined) return next;
      if (state === 0) return 0;
      state = this.#fallback[state] ?? 0;
    }
  }

  #add(word: string): void {
    let state = 0;
    for (let at = 0; at < word.length; at += 1) {
      const key = state * this.#signs.size + (this.#signs.get(word.charCodeAt(at)) ?? 0);
      let next = this.#next.get(key);
      if (next === undefined) {
        next = this.#wordAt.length;
        this.#wordAt.push(undefined);
        this.#fallback.push(0);
        this.#shorter.push(0);
        this.#next.set(key, next);
      }
      state = next;
    }
    this.#wordAt[state] = word;
  }

  /** Sets the fallbacks of each state, the states of shorter texts first. */
  #link(): void {
    const size = Math.max(1, this.#signs.size);
    const depth: number[] = [0];
    const steps = [...this.#next].toSorted(([, a], [, b]) => a - b); // a state is made after the state before it
    for (const [key, state] of steps) depth[state] = (depth[Math.floor(key / size)] ?? 0) + 1;
    for (const [key, state] of steps.toSorted(([, a], [, b]) => (depth[a] ?? 0) - (depth[b] ?? 0))) {
      const [before, sign] = [Math.floor(key / size), key % size];
      const fallback = before === 0 ? 0 : this.#step(this.#fallback[before] ?? 0, sign);
      this.#fallback[state] = fallback;
      this.#shorter[state] = this.#wordAt[fallback] === undefined ? (this.#shorter[fallback] ?? 0) : fallback;
    }
  }
}
