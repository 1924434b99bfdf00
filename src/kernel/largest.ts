/**
 * The largest of any number of numbers: as arguments of `Math.max` a long list ends in a RangeError.
 *
 * @param least the result for an empty list.
 */
export function largest(numbers: Iterable<number>, least = -Infinity): number {
  let found = least;
  for (const number of numbers) if (number > found) found = number;
  return found;
}
