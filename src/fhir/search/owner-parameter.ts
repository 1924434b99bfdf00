import { isCompartmentPath, participantPaths } from "#fhir/r4/compartment-tables";
import type { ResourceType } from "#fhir/r4/elements";
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
  if (type !== "Patient") return naming(definition, patients);
  const values = [...patients].map((id) => ({
    kind: "token" as const,
    text: id,
    system: undefined,
    code: id,
  }));
  return { definition, values };
}

/**
 * The parameters that find the rows in which a patient only took part: each reads participant elements
 * alone, and together they read all of them.
 */
export function participantParameters(type: string): readonly SearchParameterDefinition[] {
  const texts = new Set(participantPaths(type).map((path) => path.join(".")));
  if (texts.size === 0) return [];
  const reading = [...searchParametersOf(type).values()].filter(
    ({ type: kind, paths, targets }) =>
      kind === "reference" &&
      paths?.every((path) => texts.has(path.join("."))) === true &&
      (targets?.has("Patient") ?? true),
  );
  const found: SearchParameterDefinition[] = [];
  for (const definition of reading) {
    const isNew = definition.paths?.some((path) => texts.has(path.join("."))) === true;
    if (isNew) found.push(definition);
    for (const path of definition.paths ?? []) texts.delete(path.join("."));
  }
  return found;
}

/** A parameter that asks for these patients. */
export const naming = (
  definition: SearchParameterDefinition,
  patients: Iterable<string>,
): SearchParameter => ({
  definition,
  values: [...patients].map((id) => ({ kind: "reference", text: `Patient/${id}`, type: "Patient", id })),
});

/** The parameter that searches for the rows of an Encounter (CompartmentDefinition/encounter of R4). */
export function inEncounter(type: ResourceType, id: string): SearchParameter | undefined {
  const definition = searchParametersOf(type).get(
    type === "MedicationAdministration" ? "context" : "encounter",
  );
  return definition?.targets?.has("Encounter") === true
    ? { definition, values: [{ kind: "reference", text: `Encounter/${id}`, type: "Encounter", id }] }
    : undefined;
}
