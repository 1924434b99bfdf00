import type { Held } from "./ignoring-origin.ts";
import { restricted, to } from "./fhir-parts.ts";

const coding = (system: string, code: string) => ({ coding: [{ system, code }] });
const category = (code: string) => [
  coding("http://terminology.hl7.org/CodeSystem/observation-category", code),
];
const text = (canary: string) => ({
  status: "generated",
  div: `<div xmlns="http://www.w3.org/1999/xhtml">${canary}</div>`,
});

/**
 * Ann's records. Each text with `canary` in it must not reach her app under `leakPolicy`. Her ids are
 * prefixes of another patient's ids. `base`: FHIR base of the origin that has the rows, for absolute
 * references.
 */
export const leakWorld = (base: string): readonly Held[] => [
  patient("ann", "Adams", "vera"),
  patient("ann2", "canary-Adamson", "otto"),
  patient("ben", "canary-Brown", "otto"),
  practitioner("vera", "Vera"),
  practitioner("otto", "canary-Otto"),
  encounter("visit", "ann", "vera"),
  encounter("bens-visit", "ben", "otto"),
  observation("pulse", "ann", {
    performer: [to("Practitioner/vera")],
    encounter: to("Encounter/visit"),
    valueQuantity: { value: 72 },
  }),
  observation("weight", "ann", { category: category("laboratory"), valueQuantity: { value: 66.5 } }),
  observation("odd", "ann", { encounter: to("Encounter/bens-visit"), focus: [to("Patient/ben")] }),
  observation("holds", "ann", {
    contained: [
      { resourceType: "Practitioner", id: "p", name: [{ family: "Inside", given: ["canary-given-inside"] }] },
      { resourceType: "Patient", id: "x", name: [{ family: "canary-contained-patient" }] },
      { resourceType: "Medication", id: "m", code: { text: "canary-contained-medication" } },
    ],
    performer: [to("#p")],
  }),
  observation("labelled", "ann", {
    meta: restricted,
    valueString: "canary-labelled",
    performer: [to("Practitioner/otto")],
  }),
  observation("bens-pulse", "ben", {
    identifier: [{ system: "urn:lab", value: "bens" }],
    valueString: "canary-bens-pulse",
    performer: [to("Practitioner/otto")],
    encounter: to("Encounter/bens-visit"),
  }),
  observation("bens-by-ann", "ben", {
    valueString: "canary-bens-by-ann",
    performer: [to("Patient/ann")],
    focus: [to("Patient/ann")],
  }),
  observation("of-ann2", "ann2", { valueString: "canary-of-ann2" }),
  observation("elsewhere", "ann", {
    valueString: "canary-elsewhere",
    subject: to("https://elsewhere.example/fhir/Patient/ann"),
  }),
  condition("asthma", "ann"),
  condition("bens-asthma", "ben"),
  {
    resourceType: "Appointment",
    id: "both",
    status: "booked",
    description: "canary-both",
    participant: [
      { actor: to("Patient/ann"), status: "accepted" },
      { actor: to("Patient/ben"), status: "accepted" },
    ],
  },
  {
    resourceType: "Consent",
    id: "opens-all",
    status: "active",
    scope: coding("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
    category: [coding("http://loinc.org", "59284-0")],
    patient: to("Patient/ben"),
    provision: { type: "permit", actor: [{ role: coding("urn:r", "canary"), reference: to("Patient/ann") }] },
  },
  {
    resourceType: "DocumentReference",
    id: "letter",
    status: "current",
    subject: to("Patient/ann"),
    content: [{ attachment: { contentType: "text/plain", url: `${base}/Binary/file` } }],
  },
  { resourceType: "Binary", id: "file", contentType: "text/plain", data: "Y2FuYXJ5" },
  // A family: a mother's notes about her child, and the insurance that she has for both.
  patient("child", "canary-Child", "otto"),
  {
    resourceType: "RelatedPerson",
    id: "mother",
    active: true,
    patient: to("Patient/child"),
    name: [{ family: "Adams" }],
  },
  observation("childs-fever", "child", {
    valueString: "canary-childs-fever",
    performer: [to("Patient/ann")],
  }),
  {
    resourceType: "Coverage",
    id: "family",
    status: "active",
    policyHolder: to("Patient/ann"),
    subscriber: to("Patient/ann"),
    beneficiary: to("Patient/child"),
    payor: [to("Organization/canary-payor")],
  },
];

function patient(id: string, family: string, practitioner: string): Held {
  return {
    resourceType: "Patient",
    id,
    text: text(`canary-text-of-${id}`),
    extension: [{ url: "urn:canary", valueString: `canary-extension-of-${id}` }],
    identifier: [
      { system: "urn:mrn", value: `mrn-${id}` },
      { system: "urn:ssn", value: `canary-ssn-of-${id}` },
    ],
    name: [
      {
        family,
        _family: { extension: [{ url: "urn:canary", valueString: `canary-sibling-of-${id}` }] },
        given: [`canary-given-of-${id}`],
      },
    ],
    telecom: [{ system: "phone", value: `canary-phone-of-${id}` }],
    birthDate: "1980-01-02",
    _birthDate: {
      extension: [
        {
          url: "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
          valueDateTime: "1980-01-02T03:04:05Z",
        },
      ],
    },
    _gender: { extension: [{ url: "urn:canary", valueString: `canary-gender-of-${id}` }] },
    address: [{ city: `canary-city-of-${id}` }],
    generalPractitioner: [
      {
        ...to(`Practitioner/${practitioner}`),
        ...(practitioner === "otto" ? { display: "canary-otto" } : {}),
      },
    ],
    ...(id === "ben" ? { link: [{ other: to("Patient/ann"), type: "seealso" }] } : {}),
    ...(id === "ann"
      ? { link: [{ other: { ...to("Patient/ben"), display: "canary-link" }, type: "seealso" }] }
      : {}),
  };
}

const practitioner = (id: string, family: string): Held => ({
  resourceType: "Practitioner",
  id,
  name: [{ family, given: [`canary-given-of-${id}`] }],
  telecom: [{ system: "phone", value: `canary-phone-of-${id}` }],
});

const encounter = (id: string, patient: string, practitioner: string): Held => ({
  resourceType: "Encounter",
  id,
  status: "finished",
  class: { system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: "AMB" },
  subject: to(`Patient/${patient}`),
  participant: [{ individual: to(`Practitioner/${practitioner}`) }],
  ...(patient === "ann" ? {} : { reasonCode: [{ text: `canary-reason-of-${id}` }] }),
});

const observation = (id: string, patient: string, more: object = {}): Held => ({
  resourceType: "Observation",
  id,
  text: text(`canary-text-of-${id}`),
  status: "final",
  category: category("vital-signs"),
  code: coding("http://loinc.org", "8867-4"),
  subject: to(`Patient/${patient}`),
  effectiveDateTime: "2026-01-01",
  note: [{ text: `canary-note-of-${id}` }],
  ...more,
});

const condition = (id: string, patient: string): Held => ({
  resourceType: "Condition",
  id,
  code: { text: patient === "ann" ? "Asthma" : `canary-condition-of-${id}` },
  subject: to(`Patient/${patient}`),
});
