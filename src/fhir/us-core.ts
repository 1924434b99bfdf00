/**
 * The profiles of US Core 6.1.0 (http://hl7.org/fhir/us/core/STU6.1/profiles-and-extensions.html) by their
 * resource type, without those for single vital signs.
 */
const profiles: Readonly<Record<string, string>> = {
  AllergyIntolerance: "allergyintolerance",
  CarePlan: "careplan",
  CareTeam: "careteam",
  Condition: "condition-encounter-diagnosis condition-problems-health-concerns",
  Coverage: "coverage",
  Device: "implantable-device",
  DiagnosticReport: "diagnosticreport-lab diagnosticreport-note",
  DocumentReference: "documentreference",
  Encounter: "encounter",
  Goal: "goal",
  Immunization: "immunization",
  Location: "location",
  Medication: "medication",
  MedicationDispense: "medicationdispense",
  MedicationRequest: "medicationrequest",
  Observation:
    "observation-lab observation-clinical-result observation-screening-assessment smokingstatus vital-signs",
  Organization: "organization",
  Patient: "patient",
  Practitioner: "practitioner",
  PractitionerRole: "practitionerrole",
  Procedure: "procedure",
  Provenance: "provenance",
  QuestionnaireResponse: "questionnaireresponse",
  RelatedPerson: "relatedperson",
  ServiceRequest: "servicerequest",
  Specimen: "specimen",
};

/** The URLs of the profiles of a type; empty if US Core has none. */
export const usCoreProfiles = (type: string): readonly string[] =>
  Object.hasOwn(profiles, type)
    ? (profiles[type] ?? "")
        .split(" ")
        .map((name) => `http://hl7.org/fhir/us/core/StructureDefinition/us-core-${name}`)
    : [];

/** The server that US Core describes: a system that serves the Patient profile and a further profile. */
export const usCoreServer = "http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server";
