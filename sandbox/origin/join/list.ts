import type { Criterion } from "../criterion.ts";
import { localParts, targetOf } from "../match/reference.ts";
import type { Shelf } from "../shelf.ts";
import { field, items } from "../values.ts";
import { joined } from "./chain.ts";

/** `_list=42`: what a List names, by its id; functional lists (`$current-…`) are none that is stored (R4 search.html#list). */
export function readList(type: string, written: string, shelf: Shelf): Criterion {
  return joined(() =>
    items(field(shelf.get("List", written.replace(/^List\//u, "")), "entry")).flatMap((entry) => {
      const parts = localParts(
        targetOf({ type: "Reference", value: field(entry, "item") }, shelf.base) ?? "",
      );
      return (parts?.type === type && shelf.get(type, parts.id)) || [];
    }),
  );
}
