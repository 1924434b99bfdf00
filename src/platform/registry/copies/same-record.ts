/**
 * True if two records have the same content: plain objects, arrays, maps and sets of plain values, as the
 * registry's readers make them. A value of any further class equals only itself.
 */
export function isSameRecord(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return false;
  const kind: unknown = Object.getPrototypeOf(left);
  if (kind !== Object.getPrototypeOf(right)) return false;
  if (left instanceof Map && right instanceof Map)
    return (
      left.size === right.size &&
      [...left].every(([key, value]) => right.has(key) && isSameRecord(value, right.get(key)))
    );
  if (left instanceof Set && right instanceof Set)
    return left.size === right.size && [...left].every((value) => right.has(value));
  if (kind !== Object.prototype && kind !== Array.prototype) return false;
  const names = Object.keys(left);
  return (
    names.length === Object.keys(right).length &&
    names.every(
      (name) => Object.hasOwn(right, name) && isSameRecord(Reflect.get(left, name), Reflect.get(right, name)),
    )
  );
}
