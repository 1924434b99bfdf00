/** One submitted item, and which stored one it is; `undefined`: a new one. */
export interface Placed<T> {
  readonly value: T;
  readonly index: number | undefined;
}

/**
 * A list as it is stored next: the submitted items in their order, and what of the stored ones stays besides (`kept`, by index) behind
 * the item that it stood behind.
 */
export function weave<T>(placed: readonly Placed<T>[], kept: ReadonlyMap<number, T>): readonly T[] {
  const standing = new Set(placed.map(({ index }) => index));
  const behind = Map.groupBy(
    [...kept.keys()].sort((a, b) => a - b),
    (index) => {
      for (let before = index - 1; before >= 0; before -= 1) if (standing.has(before)) return before;
      return -1;
    },
  );
  const keptBehind = (index: number) => (behind.get(index) ?? []).flatMap((one) => (kept.has(one) ? [kept.get(one) as T] : [])); // it has it
  return [...keptBehind(-1), ...placed.flatMap(({ value, index }) => [value, ...(index === undefined ? [] : keptBehind(index))])];
}

/** By what a submitted item is known to be a stored one: both have this key. `undefined`: it has none. */
export interface Likeness<S> {
  readonly ofSubmitted: (item: S) => unknown;
  readonly ofStored: (index: number) => unknown;
}

/** For each submitted item the stored one that it is, by the first likeness that finds one which no other item is. Linear. */
export function matchItems<S>(
  submitted: readonly S[],
  stored: readonly number[],
  likenesses: readonly Likeness<S>[],
): readonly Placed<S>[] {
  const taken = new Set<number>();
  const found = new Map<number, number>();
  for (const { ofSubmitted, ofStored } of likenesses) {
    const free = Map.groupBy(
      stored.filter((index) => !taken.has(index)),
      ofStored,
    );
    for (const [at, item] of submitted.entries()) {
      const key = found.has(at) ? undefined : ofSubmitted(item);
      const index = key === undefined ? undefined : free.get(key)?.shift();
      if (index === undefined) continue;
      found.set(at, index);
      taken.add(index);
    }
  }
  return submitted.map((value, at) => ({ value, index: found.get(at) }));
}
