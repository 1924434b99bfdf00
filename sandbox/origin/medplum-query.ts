import { Operator, type Filter, type SearchRequest } from "@medplum/core";

const prefixes: readonly Operator[] = [
  Operator.NOT_EQUALS,
  Operator.GREATER_THAN,
  Operator.LESS_THAN,
  Operator.GREATER_THAN_OR_EQUALS,
  Operator.LESS_THAN_OR_EQUALS,
  Operator.STARTS_AFTER,
  Operator.ENDS_BEFORE,
  Operator.APPROXIMATELY,
];

/** A search as medplum's router parsed it, back in the `name=value` pairs that it was made of. */
export function pairsOf({ filters = [] }: SearchRequest): (readonly [string, string])[] {
  return filters.map(({ code, operator, value }: Filter) => {
    if (operator === Operator.EQUALS) return [code, value];
    return prefixes.includes(operator) ? [code, `${operator}${value}`] : [`${code}:${operator}`, value];
  });
}
