import { hasPatients } from "#fhir/r4/compartment-tables";
import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import { ownedBy } from "#fhir/search/owner-parameter";
import type { ExportRequest } from "./read-export.ts";

/** The types that a client may search, each with the names of the parameters that it may use. */
export type SearchedTypes = ReadonlyMap<string, ReadonlySet<string | undefined>>;

/** A type of which an export has no file. The request and the client's own permissions decide it, never a row. */
export interface WithheldType {
  readonly type: ResourceType;
  readonly why: "no_patients" | "no_owner_parameter" | "not_searched";
}

/**
 * The types of an export, with a file or without. Without `_type` an export has the types of its level that the client
 * may search.
 */
export function exportedTypes(
  { level, types: named, patients, since, until }: ExportRequest,
  searched: SearchedTypes,
): { readonly exported: readonly ResourceType[]; readonly withheld: readonly WithheldType[] } {
  const isOfLevel = (type: string) => level.kind === "system" || hasPatients(type);
  const types = named.length > 0 ? named : [...searched.keys()].filter(isResourceType).filter(isOfLevel);
  const isLimited = level.kind === "group" || patients !== undefined;
  const isTimed = since !== undefined || until !== undefined;
  const whyWithheld = (type: ResourceType): WithheldType["why"] | undefined => {
    if (!isOfLevel(type)) return "no_patients";
    const owner = ownerParameter(type);
    if (isLimited && owner === undefined) return "no_owner_parameter";
    const parameters = searched.get(type);
    const isSearched =
      parameters !== undefined &&
      (!isTimed || parameters.has("_lastUpdated")) &&
      (!isLimited || parameters.has(owner));
    return isSearched ? undefined : "not_searched";
  };
  return {
    exported: types.filter((type) => whyWithheld(type) === undefined),
    withheld: types.flatMap((type) => {
      const why = whyWithheld(type);
      return why === undefined ? [] : [{ type, why }];
    }),
  };
}

/** The search parameter of a type that names the patients who own its rows, if R4 has it. */
export const ownerParameter = (type: string): string | undefined => ownedBy(type, [])?.definition.code;
