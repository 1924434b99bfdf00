import { jsonNumber, type JsonObject } from "#fhir/json/json";

const patient = { reference: "Patient/sample" };

/** Resources of invented persons, one of each type that policies treat most often. */
export const sampleResources: readonly JsonObject[] = [
  {
    resourceType: "Patient",
    id: "sample",
    identifier: [
      { system: "https://github.com/synthetichealth/synthea", value: "MRN-0042" },
      { system: "http://hl7.org/fhir/sid/us-ssn", value: "999-00-0042" },
    ],
    active: true,
    name: [{ family: "Okafor", given: ["Amara"] }],
    telecom: [{ system: "phone", value: "+1-617-555-0147" }],
    gender: "female",
    birthDate: "1984-03-12",
    address: [{ line: ["1 Main St"], city: "Boston", state: "MA", postalCode: "02134" }],
    contact: [{ name: { family: "Okafor", given: ["Chidi"] } }],
  },
  {
    resourceType: "Condition",
    id: "sample",
    clinicalStatus: {
      coding: [{ system: "http://terminology.hl7.org/CodeSystem/condition-clinical", code: "active" }],
    },
    category: [
      {
        coding: [
          { system: "http://terminology.hl7.org/CodeSystem/condition-category", code: "encounter-diagnosis" },
        ],
      },
    ],
    code: {
      coding: [{ system: "http://snomed.info/sct", code: "38341003", display: "Hypertension" }],
      text: "Hypertension",
    },
    subject: patient,
    onsetDateTime: "2021-05-04",
    recordedDate: "2021-05-04",
    note: [{ text: "Worries about her blood pressure at work." }],
  },
  {
    resourceType: "Observation",
    id: "sample",
    status: "final",
    category: [
      {
        coding: [
          { system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "laboratory" },
        ],
      },
    ],
    code: { coding: [{ system: "http://loinc.org", code: "4548-4", display: "Hemoglobin A1c" }] },
    subject: patient,
    effectiveDateTime: "2026-10-02",
    performer: [{ display: "Bay Laboratory" }],
    valueQuantity: { value: jsonNumber("6.1"), unit: "%", system: "http://unitsofmeasure.org", code: "%" },
    note: [{ text: "Fasting." }],
  },
  {
    resourceType: "MedicationRequest",
    id: "sample",
    status: "active",
    intent: "order",
    medicationCodeableConcept: { text: "Lisinopril 10 mg" },
    subject: patient,
    authoredOn: "2026-09-01",
    requester: { display: "Dr. Lindqvist" },
    dosageInstruction: [{ text: "One tablet each morning" }],
  },
  {
    resourceType: "Encounter",
    id: "sample",
    status: "finished",
    class: { system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: "AMB" },
    subject: patient,
    period: { start: "2026-09-01T09:00:00Z", end: "2026-09-01T09:20:00Z" },
    reasonCode: [{ text: "Follow-up" }],
  },
];
