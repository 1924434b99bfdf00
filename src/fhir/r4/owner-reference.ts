import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import {
  concernedElements,
  involvedElements,
  hasPatients,
  ownerElements,
  participantElements,
} from "./compartment-tables.ts";
import { mentionOf, parseReference, type FhirBase, type Mention } from "./reference.ts";

/** The values that state a resource's owner, in any form. */
export const owningIn = (resource: JsonObject): readonly Json[] => [
  ...presentIn(resource, ownerElements),
  ...presentIn(resource, concernedElements),
];

/** The values that state a resource's participants. */
export const takingIn = (resource: JsonObject): readonly Json[] => [
  ...presentIn(resource, participantElements),
  ...presentIn(resource, involvedElements),
];

export function presentIn(
  resource: JsonObject,
  table: ReadonlyMap<string, readonly (readonly string[])[]>,
): readonly Json[] {
  return (table.get(textAt(resource, "resourceType") ?? "") ?? []).flatMap((path) =>
    presentAt(resource, path),
  );
}

/** Answers whether a patient, by the id, is meant. */
export type AmongPatients = Pick<ReadonlySet<string>, "has">;

/** `unidentified`: it belongs to a patient, and only that resource itself could say to which patient. */
type OwnerStanding = "listed" | "no-patient" | "unidentified" | "unproven";

export function ownerStandingOf(value: Json, patients: AmongPatients, base: FhirBase): OwnerStanding {
  if (!isObject(value)) return "unproven";
  const reference = parseReference(textAt(value, "reference") ?? "", base);
  const statedType = property(value, "type") ?? null;
  // A `type` that contradicts the reference: two readers would follow it to two places.
  if (reference.kind !== "local" || (statedType !== null && !namesType(statedType, reference.type)))
    return "unproven";
  if (reference.type === "Patient") return patients.has(reference.id) ? "listed" : "unproven";
  if (reference.type === "Group") return "unproven"; // its members are patients
  return hasPatients(reference.type) ? "unidentified" : "no-patient";
}

/** `Reference.type` is relative to the base of R4's own definitions (FHIR R4 §2.3.0.1). */
export const namesType = (statedType: Json, type: string) =>
  statedType === type || statedType === `http://hl7.org/fhir/StructureDefinition/${type}`;

export const noPatients: ReadonlySet<string> = new Set();

/** Every value at a path, in any form: null and malformed references are included. */
export function presentAt(value: Json | undefined, path: readonly string[]): readonly Json[] {
  if (value === undefined) return [];
  if (isArray(value)) return value.flatMap((item) => presentAt(item, path));
  const [first, ...below] = path;
  if (first === undefined) return [value];
  return isObject(value) ? presentAt(property(value, first), below) : [null];
}

export const mentionIn = (value: Json, bases: readonly FhirBase[]): Mention =>
  isObject(value) ? mentionOf(value, bases) : { kind: "none" };
