import { exactText } from "../origin/exact-json.ts";

/** Pseudo-random choices that a seed repeats. */
export interface Random {
  /** From `low` to `high`, both included. */
  int(low: number, high: number): number;
  pick<T>(from: readonly [T, ...T[]]): T;
  /** Written with a fixed number of places, trailing zeros included, as laboratories report. */
  decimal(low: number, high: number, places: number): number;
}

/** mulberry32: 32 bits of state are plenty for a few thousand choices. */
export function seeded(seed: number): Random {
  let state = Math.trunc(seed);
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    int: (low, high) => low + Math.floor(next() * (high - low + 1)),
    pick: (from) => from[Math.floor(next() * from.length)] ?? from[0],
    decimal: (low, high, places) => exactText((low + next() * (high - low)).toFixed(places)),
  };
}
