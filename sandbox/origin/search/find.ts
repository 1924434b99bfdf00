import type { Query } from "./query.ts";
import type { ResourceIndex } from "../resource-index.ts";
import { servedParametersOf } from "../search-parameters.ts";
import { sortKey } from "./sort-key.ts";
import type { Stored } from "../stored.ts";

/** Every match, in the requested order. The caller takes `query.count` of them. */
export function find(index: ResourceIndex, { of, patient, sort }: Query): Stored[] {
  const within = patient === undefined ? undefined : index.compartment(patient);
  const found = of.flatMap(({ type, criteria }) => index.matching(type, criteria, within));
  for (const { code, descending } of sort.toReversed()) {
    const keys = new Map(
      found.map((resource) => {
        const by = servedParametersOf(resource.resourceType).get(code);
        return [resource, by && sortKey(resource, by, descending)];
      }),
    );
    found.sort((a, b) => compareKeys(keys.get(a), keys.get(b), descending));
  }
  return found;
}

/** Resources without the value are last, in both directions. */
function compareKeys(
  a: string | number | undefined,
  b: string | number | undefined,
  descending: boolean,
): number {
  if (a === b) return 0;
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  return (a < b ? -1 : 1) * (descending ? -1 : 1);
}
