import type { BundleEntry, Resource } from "@medplum/fhirtypes";
import { includedWith, type AskedInclude } from "../join/include.ts";
import type { PagedListing } from "./pages.ts";
import { shaped, type Shape } from "./shape.ts";
import type { Stored } from "../stored.ts";
import type { ResourceIndex } from "../resource-index.ts";

export interface SearchsetOptions {
  readonly shape?: Shape;
  readonly includes?: readonly AskedInclude[];
  readonly total?: boolean;
}

/**
 * The result of a search, with absolute URLs as in real servers (R4 §3.1.1.1.1). Pages store their rows. A
 * row shows its current content when its page is requested, and each page includes the resources for its own
 * rows.
 */
export function searchset(
  found: readonly Stored[],
  self: string,
  index: ResourceIndex,
  { shape = { kind: "whole" }, includes = [], total = true }: SearchsetOptions = {},
): PagedListing {
  const entry = (resource: Stored, mode: "match" | "include"): BundleEntry => ({
    fullUrl: `${index.base}/${resource.resourceType}/${resource.id}`,
    resource: shaped(resource, shape, mode === "include") as Resource, // it was stored as a resource
    search: { mode },
  });
  return {
    type: "searchset",
    self,
    length: found.length,
    total,
    entries(from, to) {
      const rows = found.slice(from, to).flatMap(({ resourceType, id }) => index.get(resourceType, id) ?? []);
      const { included, cut } = includedWith(rows, includes, index);
      return [
        ...rows.map((row) => entry(row, "match")),
        ...included.map((other) => entry(other, "include")),
        ...(cut ? [tooMany] : []),
      ];
    },
  };
}

const tooMany: BundleEntry = {
  resource: {
    resourceType: "OperationOutcome",
    issue: [
      {
        severity: "warning",
        code: "incomplete",
        details: { text: "More would be included than one page holds." },
      },
    ],
  },
  search: { mode: "outcome" },
};
