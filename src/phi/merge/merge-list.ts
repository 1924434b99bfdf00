/** A submitted item, and the index of the stored item that it is; `undefined`: it is new. */
export interface Placed<T> {
  readonly value: T;
  readonly index: number | undefined;
}

/**
 * The next stored list: the submitted items in their order, and each retained item (`kept`, by index) behind
 * the item that preceded it. The time is that of sorting the indices.
 */
export function weave<T>(placed: readonly Placed<T>[], kept: ReadonlyMap<number, T>): readonly T[] {
  const placedIndices = placed
    .flatMap(({ index }) => (index === undefined ? [] : [index]))
    .toSorted((a, b) => a - b);
  const behind = new Map<number, T[]>();
  let [before, next] = [-1, 0];
  for (const [index, item] of [...kept].toSorted(([a], [b]) => a - b)) {
    for (let after = placedIndices[next]; after !== undefined && after < index; after = placedIndices[next]) {
      before = after;
      next += 1;
    }
    const items = behind.get(before);
    if (items === undefined) behind.set(before, [item]);
    else items.push(item);
  }
  const keptBehind = (index: number) => behind.get(index) ?? [];
  return [
    ...keptBehind(-1),
    ...placed.flatMap(({ value, index }) => [value, ...(index === undefined ? [] : keptBehind(index))]),
  ];
}

/** A way to recognize a submitted item as a stored item: both have this key. `undefined`: it has no key. */
export interface Likeness<S> {
  readonly ofSubmitted: (item: S) => unknown;
  readonly ofStored: (index: number) => unknown;
}

/**
 * Finds the stored item of each submitted item, by the first likeness that finds a free one. Linear, even if
 * all items are alike.
 */
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
    for (const indices of free.values()) indices.reverse(); // taken from the end: the first is the last
    for (const [at, item] of submitted.entries()) {
      const key = found.has(at) ? undefined : ofSubmitted(item);
      const index = key === undefined ? undefined : free.get(key)?.pop();
      if (index === undefined) continue;
      found.set(at, index);
      taken.add(index);
    }
  }
  return submitted.map((value, at) => ({ value, index: found.get(at) }));
}
