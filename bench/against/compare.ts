import { estimate, median } from "../median.ts";

/** The cost of the same work in one turn: of the earlier commit, of its second process, and of this tree. */
export interface Turn {
  readonly old: number;
  readonly again: number;
  readonly new: number;
}

/** One row of a comparison of two commits. */
export interface Comparison {
  readonly id: string;
  readonly unit: string;
  /** Medians over the turns. */
  readonly old: number;
  readonly new: number;
  /** new ÷ old, the old cost from both of its processes, with the interval that contains it with 95 %. */
  readonly ratio: number;
  readonly from: number;
  readonly to: number;
  /** How far old ÷ old may be from 1: the farther end of its interval of 95 %. */
  readonly spread: number;
  readonly turns: number;
}

/** A difference of this share is never counted, however small the spread is. */
const tolerated = 0.03;

/** Throws when a cost is not a positive number. */
export function compare(id: string, unit: string, turns: readonly Turn[]): Comparison {
  const costs = turns.flatMap((turn) => [turn.old, turn.again, turn.new]);
  if (turns.length === 0 || !costs.every((cost) => cost > 0 && Number.isFinite(cost)))
    throw new Error(`${id} has no cost to compare`);
  const same = estimate(turns.map(({ old, again }) => again / old));
  const { value, from, to } = estimate(turns.map((turn) => turn.new / Math.sqrt(turn.old * turn.again)));
  return {
    id,
    unit,
    old: median(turns.map(({ old }) => old)),
    new: median(turns.map((turn) => turn.new)),
    ratio: value,
    from,
    to,
    spread: Math.max(Math.abs(same.from - 1), Math.abs(same.to - 1)),
    turns: turns.length,
  };
}

/** new ÷ old ≤ 1 + max(0.03, spread): the rule that every change has to keep in every row. */
export const limitOf = ({ spread }: Pick<Comparison, "spread">): number => 1 + Math.max(tolerated, spread);

/** "COSTS MORE" breaks the rule; "saves" is a gain above the same limit; "same" is everything between. */
export function judge(comparison: Pick<Comparison, "ratio" | "spread">): "COSTS MORE" | "saves" | "same" {
  const { ratio } = comparison;
  const limit = limitOf(comparison);
  return ratio > limit ? "COSTS MORE" : ratio < 1 / limit ? "saves" : "same";
}
