import { dateValue } from "../match/date.ts";
import { numberValue } from "../match/number.ts";
import { folded, stringsOf } from "../match/string.ts";
import type { ServedParameter } from "../search-parameters.ts";
import { field, items, text, valuesOf, type Value } from "../values.ts";

/**
 * The sort key of a resource: the least of several values, or descending the greatest (R4 §3.1.1.5.1).
 * Dates sort as times: a date, a Period or any value that covers a span sorts by its start, or
 * descending by its end.
 */
export function sortKey(
  resource: object,
  by: ServedParameter,
  descending: boolean,
): string | number | undefined {
  const keys = valuesOf(resource, by).flatMap((value) => keyOf(by, value, descending) ?? []);
  return keys.toSorted((a, b) => (a < b ? -1 : 1)).at(descending ? -1 : 0);
}

function keyOf({ type }: ServedParameter, value: Value, descending: boolean): string | number | undefined {
  switch (type) {
    case "date":
      return dateValue(value)?.[descending ? "high" : "low"];
    case "number":
    case "quantity":
      return numberValue(value)?.[descending ? "high" : "low"];
    case "string":
      return stringsOf(value).map(folded).join(" ");
    case "reference":
      return text(value.value, "reference");
    case "token":
      return (
        text(items(field(value.value, "coding"))[0], "code") ??
        text(value.value, "code") ??
        text(value.value, "value") ??
        String(value.value)
      );
    case "uri":
      return String(value.value);
  }
  return type satisfies never;
}
