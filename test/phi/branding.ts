import { isArray, isObject, readJson, type Json, type JsonObject } from "#fhir/json/json";

/** A primitive of a branded resource: its place, and its unique value. */
export interface Brand {
  /** Names from the resource down, choices in their JSON form; `_birthDate` counts as `birthDate`. */
  readonly path: readonly string[];
  /** Positions among the items of each repeating element of the path. */
  readonly items: readonly number[];
  readonly mark: string;
}

/** Replaces every primitive of a resource by a unique canary, so that a leaked primitive is noticed. */
export function brand(resource: JsonObject): {
  readonly resource: JsonObject;
  readonly brands: readonly Brand[];
} {
  const brands: Brand[] = [];
  const walk = (value: Json, path: readonly string[], items: readonly number[]): Json => {
    if (isArray(value)) return value.map((item, index) => walk(item, path, [...items, index]));
    if (isObject(value)) {
      return Object.fromEntries(
        Object.entries(value).map(([name, member]) => {
          const kept = name === "resourceType" || (name === "id" && path.length === 0);
          return [name, kept ? member : walk(member, [...path, name.replace(/^_/u, "")], items)];
        }),
      );
    }
    // only two values exist: neither can be a canary
    if (value === null || typeof value === "boolean") return value;
    const mark =
      typeof value === "object"
        ? `9${String(brands.length).padStart(6, "0")}.50`
        : `canary-${brands.length}-`;
    brands.push({ path, items, mark });
    return typeof value === "object" ? number(mark) : mark;
  };
  const branded = walk(resource, [], []);
  if (!isObject(branded)) throw new Error("a resource is an object");
  return { resource: branded, brands };
}

export function number(text: string): Json {
  const read = readJson(new TextEncoder().encode(text));
  if (!read.ok) throw new Error("not a number");
  return read.value;
}
