/** The prefixes of ordered search values (R4 §3.1.1.4.5). */
const comparators = ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"] as const;
export type Comparator = (typeof comparators)[number];

/** A span of values: from `low`, up to and without `high`. */
export interface ComparedSpan {
  readonly low: number;
  readonly high: number;
}

/** Splits `ge2024-01` into `ge` and `2024-01`; no prefix is `eq`. */
export function readComparator(text: string): { readonly comparator: Comparator; readonly rest: string } {
  const comparator = comparators.find((prefix) => text.startsWith(prefix));
  return comparator === undefined ? { comparator: "eq", rest: text } : { comparator, rest: text.slice(2) };
}

/** R4 §3.1.1.4.5: compares the span of a resource's value with the span of the searched value. */
export function compares(
  comparator: Comparator,
  { low, high }: ComparedSpan,
  search: ComparedSpan,
  margin: number,
): boolean {
  const within = search.low <= low && high <= search.high;
  switch (comparator) {
    case "eq":
      return within;
    case "ne":
      return !within;
    case "gt":
      return high > search.high;
    case "lt":
      return low < search.low;
    case "ge":
      return high > search.high || within;
    case "le":
      return low < search.low || within;
    case "sa":
      return low >= search.high;
    case "eb":
      return high <= search.low;
    case "ap":
      return low < search.high + margin && high > search.low - margin;
  }
  return comparator satisfies never;
}
