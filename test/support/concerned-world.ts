import type { Resource } from "@medplum/fhirtypes";
import { restricted, to } from "./fhir-parts.ts";

const category = (code: string) => [
  { coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code }] },
];

const why = "45 CFR 164.524(a)(1): the individual's right of access.";
const permitted = (request: string) => [
  { says: "It is permitted for whom it is.", request, is: "permitted" },
];
const all = ["read", "search", "create", "update", "delete"];

/**
 * Shows laboratory results and hides some elements of each; shows each element of the remaining types; shows
 * no notes.
 */
export const concernedPolicy = {
  format: "phylax.policy.v1",
  name: "concerned",
  title: "Most of the record",
  purposes: ["PATRQT"],
  users: ["practitioner"],
  operations: ["everything", "lastn"],
  rules: [
    {
      types: ["Observation"],
      interactions: all,
      where: [{ path: "category", in: [`${category("laboratory")[0]?.coding[0]?.system}|laboratory`] }],
      deletes: "unseen",
      show: [
        "meta.versionId",
        "meta.security",
        "identifier",
        "category",
        "code",
        "subject",
        "encounter",
        "effective[x]",
        "value[x]",
        "dataAbsentReason",
        "component",
      ],
      why,
      examples: permitted("Observation?code=a&category=laboratory"),
    },
    {
      types: ["Patient", "Encounter", "Condition"],
      interactions: all,
      show: "everything",
      why,
      examples: permitted("Encounter?status=finished"),
    },
    {
      types: ["Location"],
      interactions: ["read", "search"],
      show: "everything",
      why,
      examples: permitted("Location?name=a"),
    },
    {
      types: ["Practitioner"],
      interactions: ["read"],
      show: "everything",
      referredBy: ["Encounter:practitioner"],
      why,
      examples: [
        { says: "Nobody searches practitioners.", request: "Practitioner?name=Vera", is: "refused" },
      ],
    },
  ],
};

export const patient = (id: string, more: object = {}): Resource => ({
  resourceType: "Patient",
  id,
  name: [{ family: id }],
  generalPractitioner: [to("Practitioner/vera")],
  ...more,
});

export const observation = (id: string, of: string, more: object = {}): Resource => ({
  resourceType: "Observation",
  id,
  status: "final",
  category: category("laboratory"),
  code: { coding: [{ system: "urn:c", code: "a" }] },
  subject: to(`Patient/${of}`),
  effectiveDateTime: "2026-01-01",
  ...more,
}); // each has the elements that R4 requires

export const encounter = (id: string, of: string, more: object = {}): Resource => ({
  resourceType: "Encounter",
  id,
  status: "finished",
  class: { system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: "AMB" },
  subject: to(`Patient/${of}`),
  location: [{ location: to("Location/ward") }],
  participant: [{ individual: to("Practitioner/otto") }],
  ...more,
}); // each has the elements that R4 requires

export const condition = (id: string, of: string, more: object = {}): Resource => ({
  resourceType: "Condition",
  id,
  subject: to(`Patient/${of}`),
  code: { coding: [{ system: "urn:c", code: "a" }] },
  ...more,
}); // each has the elements that R4 requires

/** The ways to hide a row: its label, or the condition of the policy's rule. */
export const hidden = {
  labelled: { meta: restricted },
  ofNotes: { category: category("social-history") },
} as const;

/**
 * Ann and Ben are Vera's patients, Cy is not. Each of the three has a few rows. The ward has no patients
 * yet.
 */
export const commonWorld: readonly Resource[] = [
  patient("ann"),
  patient("ben"),
  patient("cy", { generalPractitioner: [to("Practitioner/otto")] }),
  { resourceType: "Practitioner", id: "vera", name: [{ family: "Vera" }] },
  { resourceType: "Practitioner", id: "otto", name: [{ family: "Otto" }] },
  { resourceType: "Location", id: "ward", name: "Psychiatric ward" },
  { resourceType: "Location", id: "lobby", name: "Lobby" },
  encounter("anns-visit", "ann", { location: [{ location: to("Location/lobby") }], participant: [] }),
  observation("anns-lab", "ann", {
    code: { coding: [{ system: "urn:c", code: "b" }] },
    encounter: to("Encounter/anns-visit"),
  }),
];
