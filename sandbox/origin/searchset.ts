import type { Resource } from "@medplum/fhirtypes";
import type { Listing } from "./pages.ts";
import type { Shelf, Stored } from "./shelf.ts";

/**
 * What a search found, with absolute URLs as real servers give them (R4 §3.1.1.1.1). Pages keep their rows; a row shows what it is when
 * its page is asked for.
 */
export function searchset(found: readonly Stored[], self: string, shelf: Shelf, base: string): Listing {
  return {
    type: "searchset",
    self,
    length: found.length,
    entryAt(place) {
      const { resourceType = "", id = "" } = found[place] ?? {};
      const resource = shelf.get(resourceType, id);
      return (
        resource && {
          fullUrl: `${base}/${resourceType}/${id}`,
          resource: resource as unknown as Resource, // stored as one
          search: { mode: "match" },
        }
      );
    },
  };
}
