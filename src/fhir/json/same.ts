import { isArray, isObject, property, type Json } from "./json.ts";

/**
 * True if two values are equal: members in any order, numbers digit by digit, since `1.10` says more than
 * `1.1` (FHIR R4 datatypes, decimal).
 */
export function isSameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  if (isArray(a))
    return isArray(b) && a.length === b.length && a.every((item, index) => isSameJson(item, b[index]));
  if (isObject(a)) {
    if (!isObject(b)) return false;
    const names = Object.keys(a);
    return (
      names.length === Object.keys(b).length &&
      names.every((name) => isSameJson(property(a, name), property(b, name)))
    );
  }
  const [left, right] = [numberOf(a), numberOf(b)];
  return left !== undefined && left === right;
}

const numberOf = (value: Json): Json | undefined =>
  typeof value === "object" && value !== null && !isArray(value) && !isObject(value)
    ? value["rawJSON"]
    : undefined;

/** The same text for all values that are equal by {@link isSameJson}. */
export function canonicalText(value: Json): string {
  return JSON.stringify(value, (_name, member: Json) =>
    isObject(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
