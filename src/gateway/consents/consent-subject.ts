import { isObject, property, textAt, type JsonObject } from "#fhir/json/json";
import { parseReference, type FhirBase } from "#fhir/r4/reference";

/** The id of the patient whom the reference of a Consent names at the origin. */
export function patientOf(consent: JsonObject, base: FhirBase): string | undefined {
  const found = parseReference(referenceToPatient(consent) ?? "", base);
  return found.kind === "local" && found.type === "Patient" ? found.id : undefined;
}

/** The identifier of the patient of a Consent as `system|value`; undefined: it has not both. */
export function identifierOfPatient(consent: JsonObject): string | undefined {
  const patient = property(consent, "patient");
  const identifier = isObject(patient) ? property(patient, "identifier") : undefined;
  if (!isObject(identifier)) return undefined;
  const [system, value] = [textAt(identifier, "system"), textAt(identifier, "value")];
  return system === undefined || value === undefined ? undefined : `${system}|${value}`;
}

/** The text of the reference to the patient of a Consent. */
export function referenceToPatient(consent: JsonObject): string | undefined {
  const patient = property(consent, "patient");
  return isObject(patient) ? textAt(patient, "reference") : undefined;
}
