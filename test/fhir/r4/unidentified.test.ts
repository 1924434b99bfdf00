import { describe, test } from "vitest";
import type { JsonObject } from "#fhir/json/json";
import { allConcernedBy } from "#fhir/r4/concerned-patients";

const bases = ["https://origin.example/fhir", "https://api.example/v1/fhir/main"];
const to = (reference: string) => ({ reference });
const unidentified = (resource: JsonObject) => allConcernedBy(resource, bases).unidentified;
const ann = { actor: to("Patient/ann") };
const appointment = (actor: JsonObject, more: JsonObject = {}) => ({
  resourceType: "Appointment",
  participant: [ann, { actor }],
  ...more,
});

describe("a row is of an unidentified patient", () => {
  test.for<JsonObject>([
    { resourceType: "Composition", subject: to("Encounter/e") },
    { resourceType: "Composition", subject: to("Condition/c/_history/1") },
    { resourceType: "QuestionnaireResponse", subject: to("https://api.example/v1/fhir/main/Encounter/e") },
    { resourceType: "Observation", subject: to("RelatedPerson/r") },
    { resourceType: "Observation", subject: { type: "RelatedPerson", identifier: { value: "1" } } },
    { resourceType: "Observation", subject: to("https://other.example/fhir/Encounter/e") },
    { resourceType: "Observation", encounter: to("Encounter/e") },
    { resourceType: "DocumentReference", context: { encounter: [to("Encounter/e")] } },
    { resourceType: "Encounter", episodeOfCare: [to("EpisodeOfCare/e")] },
    { resourceType: "AuditEvent", entity: [{ what: to("Observation/o") }] },
    appointment(to("#p")),
    appointment(to("#p"), { contained: [{ resourceType: "Patient", id: "p" }] }),
    appointment({ identifier: { value: "1" } }),
    appointment({ ...to("https://other.example/fhir/Location/3"), type: "Patient" }),
    appointment({ ...to("https://other.example/fhir/Location/3"), type: "Practitioner" }),
    appointment({ ...to("Location/3"), type: "Practitioner" }),
    appointment(to("#p"), {
      contained: ["Practitioner", "Patient"].map((resourceType) => ({ resourceType, id: "p" })),
    }),
    { resourceType: "Appointment", participant: [{ actor: { display: "Ann" } }] },
    { resourceType: "AppointmentResponse", actor: { display: "Ann" } },
    { resourceType: "Observation", subject: { display: "Ann" } },
  ])("%j", (row, { expect }) => expect(unidentified(row)).toBe(true));
});

describe("a row is not", () => {
  test.for<JsonObject>([
    appointment({ display: "Dr. Doe" }),
    appointment({ type: "Practitioner", identifier: { value: "npi" } }),
    appointment(to("#p"), { contained: [{ resourceType: "Practitioner", id: "p" }] }),
    appointment(to("https://other.example/fhir/Location/3")),
    appointment({ type: "http://hl7.org/fhir/StructureDefinition/Practitioner", display: "Dr. Doe" }),
    appointment(to("RelatedPerson/r")),
    { resourceType: "Account", subject: [to("Patient/ann"), { type: "Organization", display: "x" }] },
    { resourceType: "Schedule", actor: [{ display: "Room 1" }] },
    { resourceType: "Observation", subject: to("Patient/ann"), encounter: to("Encounter/e") },
    { resourceType: "Observation", performer: [to("Patient/ann")], encounter: to("Encounter/e") },
    { resourceType: "Observation", subject: to("Location/l") },
    { resourceType: "AuditEvent", entity: [{ what: to("Patient/ann") }, { what: to("Observation/o") }] },
    { resourceType: "Provenance", target: [to("Observation/o")] },
    { resourceType: "Observation" },
  ])("%j", (row, { expect }) => expect(unidentified(row)).toBe(false));
});
