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
  const definition = ownerParameter(type);
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

function ownerParameter(type: string): SearchParameterDefinition | undefined {
  const known = searchParametersOf(type);
  if (type === "Patient") return known.get("_id");
  const owning = [...known.values()].filter((definition) => readsOwners(type, definition));
  return owning.find(({ code }) => code === "patient") ?? owning[0];
}

/** As {@link ownedBy}, for all patients of these general practitioners (`Type/id`). */
export function ownedThroughPractitioners(
  type: string,
  practitioners: readonly string[],
): SearchParameter | undefined {
  const definition = ownerParameter(type);
  return definition && throughPractitioners(type === "Patient" ? undefined : definition, practitioners);
}

/** The parameter that asks for the patients of these general practitioners, by a chain unless it is of Patients. */
export function throughPractitioners(
  by: SearchParameterDefinition | undefined,
  practitioners: readonly string[],
): SearchParameter | undefined {
  const definition = searchParametersOf("Patient").get("general-practitioner");
  if (definition === undefined) return undefined;
  const hop = by?.targets?.size === 1 ? "" : ":Patient";
  const code = by === undefined ? definition.code : `${by.code}${hop}.${definition.code}`;
  const values = practitioners.map((text) => ({
    kind: "reference" as const,
    text,
    type: undefined,
    id: text,
  }));
  return { definition: { ...definition, code }, values };
}

/** Ids of the patients whose rows alone meet a parameter. Each row is compared with it exactly. */
export function patientsHeld(
  type: string,
  { definition, modifier, values }: SearchParameter,
): ReadonlySet<string> | undefined {
  const isOwner = type === "Patient" ? definition.code === "_id" : readsOwners(type, definition);
  if (modifier !== undefined || !isOwner) return undefined;
  const ids = values.flatMap((value) =>
    value.kind === "token" ||
    (value.kind === "reference" && (value.type === "Patient" || definition.code === "patient"))
      ? [value.kind === "token" ? value.code : value.id]
      : [],
  );
  return ids.length === values.length ? new Set(ids) : undefined;
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
