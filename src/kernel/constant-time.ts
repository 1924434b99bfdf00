/** Compares two texts in a time that does not depend on where texts of equal length differ. */
export function equalInConstantTime(left: string, right: string): boolean {
  let difference = left.length ^ right.length;
  for (let at = 0; at < left.length; at += 1) difference |= left.charCodeAt(at) ^ right.charCodeAt(at); // past the end NaN counts as 0
  return difference === 0;
}
