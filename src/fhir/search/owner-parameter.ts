import { isCompartmentPath } from "#fhir/r4/compartment";
import type { SearchParameter } from "./search.ts";
import { searchParametersOf, type SearchParameterDefinition } from "./parameters.ts";

/** True if a parameter reads only the row's owner, and can name a patient. */
export const readsOwners = (type: string, { paths, targets }: SearchParameterDefinition): boolean =>
  paths?.every((path) => isCompartmentPath(type, path, "owner")) === true &&
  (targets?.has("Patient") ?? true);

/**
 * The parameter that searches for these patients' rows of a type, if R4 has it; for Patient itself its id.
 */
export function ownedBy(type: string, patients: Iterable<string>): SearchParameter | undefined {
  const known = searchParametersOf(type);
  const owning = [...known.values()].filter((definition) => readsOwners(type, definition));
  const definition =
    type === "Patient" ? known.get("_id") : (owning.find(({ code }) => code === "patient") ?? owning[0]);
  if (definition === undefined) return undefined;
  const values = [...patients].map((id) =>
    type === "Patient"
      ? { kind: "token" as const, text: id, system: undefined, code: id }
      : { kind: "reference" as const, text: `Patient/${id}`, type: "Patient" as const, id },
  );
  return { definition, values };
}
