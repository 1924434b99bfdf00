import type { JsonObject } from "#fhir/json/json";

const systems = {
  dcm: "http://dicom.nema.org/resources/ontology/DCM",
  type: "http://terminology.hl7.org/CodeSystem/audit-event-type",
  entityType: "http://terminology.hl7.org/CodeSystem/audit-entity-type",
  role: "http://terminology.hl7.org/CodeSystem/object-role",
  balpEntityType: "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
  lifecycle: "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle",
  interaction: "http://hl7.org/fhir/restful-interaction",
  participation: "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
  provenance: "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
  source: "http://terminology.hl7.org/CodeSystem/security-source-type",
  reason: "http://terminology.hl7.org/CodeSystem/v3-ActReason",
} as const;

export const coding = (system: keyof typeof systems, code: string): JsonObject => ({
  system: systems[system],
  code,
});
export const concept = (system: keyof typeof systems, code: string): JsonObject => ({
  coding: [coding(system, code)],
});

/**
 * A text as FHIR's `string` takes it: control characters and lone surrogates are replaced, since a client may
 * send any; undefined if nothing remains.
 */
export function stringOf(text: string | undefined): string | undefined {
  const clean = (text ?? "").replaceAll(/[\p{Cc}\p{Cs}]/gu, "\uFFFD");
  return clean.trim() === "" ? undefined : clean;
}

/** Answers whether a text is a FHIR `code`; a text that is not is left out. */
export const isCode = (text: string): boolean => /^[\x21-\x7e]{1,64}$/u.test(text);

/** The placeholder for a value that FHIR requires and the record does not have. */
export const unknownValue: JsonObject = {
  extension: [{ url: "http://hl7.org/fhir/StructureDefinition/data-absent-reason", valueCode: "unknown" }],
};
