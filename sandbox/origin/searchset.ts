import type { Bundle, Resource } from "@medplum/fhirtypes";
import type { Stored } from "./shelf.ts";

/** A search's answer with absolute URLs, as real servers give it (R4 §3.1.1.1.1). It has no `next`: pages come with their links. */
export function searchset(found: readonly Stored[], count: number, url: string, pairs: readonly (readonly [string, string])[]): Bundle {
  const base = url.slice(0, url.lastIndexOf("/"));
  const query = new URLSearchParams(pairs.map(([name, value]) => [name, value])).toString();
  return {
    resourceType: "Bundle",
    id: crypto.randomUUID(),
    meta: { lastUpdated: new Date().toISOString() },
    type: "searchset",
    total: found.length,
    link: [{ relation: "self", url: query === "" ? url : `${url}?${query}` }],
    entry: found.slice(0, count).map((resource) => ({
      fullUrl: `${base}/${resource.resourceType}/${resource.id}`,
      resource: resource as unknown as Resource, // stored as one
      search: { mode: "match" },
    })),
  };
}
