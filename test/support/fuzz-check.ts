// Takes the place of fast-check in the fuzz project: each property is asserted again with new seeds until its share of the time is over.
import * as fastCheck from "../../node_modules/fast-check/lib/fast-check.js";
import { inLane } from "./lane.ts";

export * from "../../node_modules/fast-check/lib/fast-check.js";

// About 120 properties in two processes: two minutes in the slow lane, ten in the long one.
const milliseconds = inLane({ fast: 0, slow: 1_500, long: 9_000 });

/** As fast-check's, at least once. What it finds is printed with the seed and the path that repeat it under the plain fast-check. */
export function assert<T>(
  property: fastCheck.IRawProperty<T>,
  { seed: _seed, path: _path, ...parameters }: fastCheck.Parameters<T> = {},
): unknown {
  const end = performance.now() + milliseconds;
  if (property.isAsync()) return assertAsync(property, parameters, end);
  do void fastCheck.assert(property, parameters);
  while (performance.now() < end);
  return undefined;
}

async function assertAsync<T>(property: fastCheck.IRawProperty<T>, parameters: fastCheck.Parameters<T>, end: number): Promise<void> {
  do await fastCheck.assert(property, parameters);
  while (performance.now() < end);
}
