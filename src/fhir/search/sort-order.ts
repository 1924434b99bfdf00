import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { valuesBelow } from "./row-judge.ts";
import { valueRange } from "./search-range.ts";
import type { SortKey } from "./search.ts";

/** The values by which a resource is ordered, one for each key. */
type SortValues = readonly (Key | undefined)[];

/** The order of the resources of a type. */
export interface SortOrder {
  readonly valuesOf: (resource: JsonObject) => SortValues;
  /** A negative number: `a` comes first. */
  readonly compare: (a: SortValues, b: SortValues) => number;
}

/**
 * The order of `_sort` (FHIR R4 §3.1.1.5.1): the least of several values counts, or descending the greatest.
 * A resource without a value comes last.
 */
export const sortOrder = (keys: readonly SortKey[]): SortOrder => ({
  valuesOf: (resource) => keys.map((key) => keyOf(resource, key)),
  compare: (a, b) => {
    for (const [index, { descending }] of keys.entries()) {
      const [one, other] = [a[index], b[index]];
      if (one === other) continue;
      if (one === undefined) return 1;
      if (other === undefined) return -1;
      const isBefore = one < other;
      return isBefore === descending ? 1 : -1;
    }
    return 0;
  },
});

/**
 * Joins lists, each in an order of its own, into one list. The order within each list stays as it is, even if
 * a server orders in a different way than `order`.
 */
export function mergeSorted<T>(
  lists: readonly (readonly T[])[],
  order: (a: T, b: T) => number,
): readonly T[] {
  const places = lists.map(() => 0);
  const merged: T[] = [];
  for (;;) {
    let first: { readonly item: T; readonly list: number } | undefined;
    for (const [list, items] of lists.entries()) {
      const at = places[list] ?? 0;
      const item = items[at];
      if (at < items.length && item !== undefined && (first === undefined || order(item, first.item) < 0))
        first = { item, list };
    }
    if (first === undefined) return merged;
    merged.push(first.item);
    places[first.list] = (places[first.list] ?? 0) + 1;
  }
}

type Key = string | number;

function keyOf(resource: JsonObject, { definition, descending }: SortKey): Key | undefined {
  const values = (definition.paths ?? []).flatMap((path) => valuesBelow(resource, path));
  const keys = values.flatMap((value) => readKey[definition.type](value, descending) ?? []);
  return keys.reduce<Key | undefined>(
    (best, key) => (best === undefined || key < best !== descending ? key : best),
    undefined,
  );
}

type ReadKey = (value: Json, descending: boolean) => Key | undefined;

const none: ReadKey = () => undefined;
const bound: ReadKey = (value, descending) => valueRange(value)?.[descending ? "high" : "low"];

const readKey: Readonly<Record<SortKey["definition"]["type"], ReadKey>> = {
  date: bound,
  number: bound,
  quantity: bound,
  string: (value) => leaves(value).join(" ").toLowerCase(),
  uri: (value) => (typeof value === "string" ? value : undefined),
  reference: (value) => (isObject(value) ? textAt(value, "reference") : undefined),
  token: (value) => {
    if (!isObject(value)) return leaves(value)[0];
    const coding = property(value, "coding");
    const first = isArray(coding) ? coding[0] : undefined;
    return (
      (isObject(first) ? textAt(first, "code") : undefined) ?? textAt(value, "code") ?? textAt(value, "value")
    );
  },
  composite: none,
  special: none,
};

function leaves(value: Json): readonly string[] {
  if (typeof value === "string") return [value];
  if (isArray(value)) return value.flatMap(leaves);
  if (isObject(value)) return Object.values(value).flatMap((member) => leaves(member ?? null));
  return typeof value === "boolean" ? [String(value)] : [];
}
