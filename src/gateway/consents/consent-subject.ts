import { objectAt, textAt, type JsonObject } from "#fhir/json/json";
import { localId, type FhirBase } from "#fhir/r4/reference";

/** The id of the patient whom the reference of a Consent names at the origin. */
export const patientOf = (consent: JsonObject, base: FhirBase): string | undefined =>
  localId(referenceToPatient(consent) ?? "", "Patient", base);

/** The identifier of the patient of a Consent as `system|value`; undefined: it has not both. */
export const identifierOfPatient = (consent: JsonObject): string | undefined =>
  identifierIn(objectAt(consent, "patient") ?? {});

/** The identifier of a reference as `system|value`; undefined: it has not both. */
export function identifierIn(reference: JsonObject): string | undefined {
  const identifier = objectAt(reference, "identifier") ?? {};
  const [system, value] = [textAt(identifier, "system"), textAt(identifier, "value")];
  return system === undefined || value === undefined ? undefined : `${system}|${value}`;
}

/** The text of the reference to the patient of a Consent. */
export const referenceToPatient = (consent: JsonObject): string | undefined =>
  textAt(objectAt(consent, "patient") ?? {}, "reference");
