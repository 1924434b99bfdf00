import type { Criterion } from "../search/criterion.ts";
import { localParts, targetOf } from "../match/reference.ts";
import type { ResourceIndex } from "../resource-index.ts";
import { field, items } from "../values.ts";
import { joined } from "./chain.ts";

/**
 * `_list=42`: the members of the List with this id. Functional lists (`$current-…`) are not stored here (R4
 * search.html#list).
 */
export function readList(type: string, written: string, index: ResourceIndex): Criterion {
  return joined(() =>
    items(field(index.get("List", written.replace(/^List\//u, "")), "entry")).flatMap((entry) => {
      const parts = localParts(
        targetOf({ type: "Reference", value: field(entry, "item") }, index.base) ?? "",
      );
      return (parts?.type === type && index.get(type, parts.id)) || [];
    }),
  );
}
