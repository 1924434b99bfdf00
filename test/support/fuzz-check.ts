// Replaces fast-check where files with properties run outside of workerd and without a door. The fast lane takes a
// share of each property's cases. In the fuzz project each property is asserted in full, and again with new seeds until
// its share of the time is over: the slow lane's seeds are the same in each run, so that a failure in CI comes from the
// change, and the long lane's are new in each run.
import * as fastCheck from "../../node_modules/fast-check/lib/fast-check.js";
import { inLane } from "./lane.ts";

export * from "../../node_modules/fast-check/lib/fast-check.js";

// About 120 properties run in two processes: a minute in the slow lane, ten in the long lane.
const milliseconds = inLane({ fast: 0, slow: 500, long: 9_000 });

const share = inLane({ fast: 1 / 3, slow: 1, long: 1 });

/** The seed of a round. `undefined`: fast-check draws a seed. */
const seedOf = (round: number): { readonly seed?: number } =>
  inLane({ fast: { seed: round }, slow: { seed: round }, long: {} });

/**
 * Asserts a property as fast-check does, at least once, with the lane's share of its cases. A failure is printed with
 * the seed and the path that repeat it under plain fast-check.
 */
export function assert<T>(
  property: fastCheck.IRawProperty<T>,
  { seed: _seed, path: _path, numRuns = 100, ...more }: fastCheck.Parameters<T> = {},
): unknown {
  const end = performance.now() + milliseconds;
  const parameters = { ...more, numRuns: Math.ceil(numRuns * share) };
  if (property.isAsync()) return assertAsync(property, parameters, end);
  let round = 1;
  do void fastCheck.assert(property, { ...parameters, ...seedOf(round++) });
  while (performance.now() < end);
  return undefined;
}

async function assertAsync<T>(
  property: fastCheck.IRawProperty<T>,
  parameters: fastCheck.Parameters<T>,
  end: number,
): Promise<void> {
  let round = 1;
  do await fastCheck.assert(property, { ...parameters, ...seedOf(round++) });
  while (performance.now() < end);
}
