import { isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { canonicalText } from "#fhir/json/same";
import { involvedElements, participantElements } from "./compartment-tables.ts";
import { mentionIn, namesType, noPatients, owningIn, presentIn, ownerStandingOf } from "./owner-reference.ts";
import { parseReference, type FhirBase } from "./reference.ts";

/**
 * A resource's owners and participants as its elements state them: each value once for each occurrence,
 * sorted.
 */
export interface Belonging {
  /** From owner elements. Things without a patient (a practitioner, a place) are left out. */
  readonly owners: readonly string[];
  /** From participant elements; they decide the owner if there is no owner element. */
  readonly participants: readonly string[];
}

/**
 * Two resources with an equal result belong to the same patients. @param base FHIR base of the origin,
 * without a trailing slash.
 */
export function belongingOf(resource: JsonObject, base: FhirBase): Belonging {
  const write = (value: Json) => {
    const reference = isObject(value) ? parseReference(textAt(value, "reference") ?? "", base) : undefined;
    const statedType = (isObject(value) ? property(value, "type") : undefined) ?? null;
    const isPlain =
      reference?.kind === "local" && (statedType === null || namesType(statedType, reference.type));
    return isPlain ? `${reference.type}/${reference.id}` : canonicalText(value);
  };
  const namesOwner = (value: Json) => ownerStandingOf(value, noPatients, base) !== "no-patient";
  // An element that may refer to any type (the focus of a Task) states an owner only if it names a patient.
  const isPatients = (value: Json) => mentionIn(value, [base]).kind !== "none";
  return {
    owners: owningIn(resource).filter(namesOwner).map(write).toSorted(),
    participants: [
      ...presentIn(resource, participantElements).filter(namesOwner),
      ...presentIn(resource, involvedElements).filter(isPatients),
    ]
      .map(write)
      .toSorted(),
  };
}

/** True if any owner element is visible in the disclosed part of a resource. A mask does not count. */
export const showsOwner = (shown: JsonObject): boolean =>
  owningIn(shown).some(
    (value) => !isObject(value) || Object.keys(value).some((name) => name !== "id" && name !== "extension"),
  );
