// Takes the place of fast-check in the fuzz project: each property is asserted again with other seeds until its share of the time is over. The
// slow lane's seeds are the same each time, so that what fails in CI is the change's doing; the long lane's are new.
import * as fastCheck from "../../node_modules/fast-check/lib/fast-check.js";
import { inLane } from "./lane.ts";

export * from "../../node_modules/fast-check/lib/fast-check.js";

// About 120 properties in two processes: two minutes in the slow lane, ten in the long one.
const milliseconds = inLane({ fast: 0, slow: 1_500, long: 9_000 });

/** The seed of a round; undefined: fast-check draws one. */
const seedOf = (round: number): { readonly seed?: number } =>
  inLane({ fast: { seed: round }, slow: { seed: round }, long: {} });

/** As fast-check's, at least once. What it finds is printed with the seed and the path that repeat it under the plain fast-check. */
export function assert<T>(
  property: fastCheck.IRawProperty<T>,
  { seed: _seed, path: _path, ...parameters }: fastCheck.Parameters<T> = {},
): unknown {
  const end = performance.now() + milliseconds;
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
