import type { MeasureId, Pair } from "./measures.ts";

/** The turns of one figure. */
export interface RoundsOf {
  readonly id: MeasureId;
  readonly pairs: readonly Pair[];
}

/**
 * Measures each work of each side once a turn, in many short slices: the same work of all sides in a row, and every
 * second turn in the opposite order, so that a machine that slows down favours none. Returns the turns of each side.
 */
export async function inTurns<Side, Work, Found>(
  turns: number,
  sides: readonly Side[],
  works: readonly Work[],
  measure: (side: Side, work: Work) => Promise<Found>,
): Promise<readonly (readonly ReadonlyMap<Work, Found>[])[]> {
  const found = sides.map(() => Array.from({ length: turns }, () => new Map<Work, Found>()));
  const slices = works.flatMap((work) => sides.map((side, n) => ({ work, side, n })));
  for (let turn = 0; turn < turns; turn += 1)
    for (const { work, side, n } of turn % 2 === 0 ? slices : slices.toReversed())
      found[n]?.[turn]?.set(work, await measure(side, work));
  return found;
}

/** The pair of two works' figures in each turn. Throws when a turn lacks one. */
export const pairsOf = <Work, Found>(
  turns: readonly ReadonlyMap<Work, Found>[],
  [first, second]: readonly [Work, Work],
  quantity: (found: Found) => number,
): readonly Pair[] =>
  turns.map((turn) => {
    const [a, b] = [turn.get(first), turn.get(second)];
    if (a === undefined || b === undefined) throw new Error("a turn lacks a figure");
    return { a: quantity(a), b: quantity(b) };
  });
