import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { allConcernedBy, concernedBy } from "#fhir/r4/concerned-patients";
import type { JsonObject } from "#fhir/json/json";
import { r4Owners, r4Participants } from "#fhir/r4/compartment-tables";
import { noSharedData } from "../../phi/shared-data.ts";

const base = "https://origin.example/fhir";
const to = (reference: string) => ({ reference });
const bases = [base, "https://api.example/v1/fhir/main"];
const about = (resource: JsonObject) => {
  const { patients, unnamed } = concernedBy(resource, bases);
  return { patients, unnamed };
};

test("owners and participants are both named, each patient once", ({ expect }) => {
  expect(
    about({
      resourceType: "Observation",
      subject: to("Patient/child"),
      performer: [to("Patient/mother"), to("Patient/child"), to("Practitioner/p")],
    }),
  ).toEqual({
    patients: ["child", "mother"],
    unnamed: false,
  });
  expect(
    about({
      resourceType: "Appointment",
      participant: [{ actor: to("Patient/1") }, { actor: to(`${base}/Patient/2`) }, { status: "accepted" }],
    }).patients,
  ).toEqual(["1", "2"]);
  expect(
    about({
      resourceType: "Coverage",
      beneficiary: to("Patient/1"),
      subscriber: to("Patient/2"),
      payor: [to("Organization/o")],
    }),
  ).toEqual({ patients: ["1", "2"], unnamed: false });
});

test("a Patient is about itself, and a link is a mention", ({ expect }) => {
  expect(
    about({ resourceType: "Patient", id: "1", link: [{ other: to("Patient/2"), type: "seealso" }] }),
  ).toEqual({
    patients: ["1"],
    unnamed: false,
  });
  for (const id of ["p_1", "a b", "", "x".repeat(65)])
    expect(about({ resourceType: "Patient", id }), id).toEqual({ patients: [], unnamed: true });
});

test("an owner that names no patient of this origin is an unidentified patient", ({ expect }) => {
  for (const subject of [
    to("Group/1"),
    to("https://elsewhere.example/fhir/Patient/1"),
    to("#p"),
    to("urn:uuid:x"),
    { identifier: { value: "1" } },
    { display: "Amara" },
  ]) {
    expect(about({ resourceType: "Observation", subject }), JSON.stringify(subject)).toEqual({
      patients: [],
      unnamed: true,
    });
  }
  expect(about({ resourceType: "Observation" }).unnamed).toBe(true);
  expect(
    about({ resourceType: "Group", member: [{ entity: to("Patient/1") }, { entity: to("#x") }] }),
  ).toEqual({
    patients: ["1"],
    unnamed: true,
  });
  expect(about({ resourceType: "Observation", performer: [to("Patient/1")] })).toEqual({
    patients: ["1"],
    unnamed: false,
  });
});

test("a patient is unidentified wherever an element may mean one that no id follows from", ({ expect }) => {
  const unidentified = (resource: JsonObject) => allConcernedBy(resource, bases).unidentified;
  const observation = (more: JsonObject) => unidentified({ resourceType: "Observation", ...more });
  for (const subject of [
    to("Group/1"),
    to("https://elsewhere.example/fhir/Patient/1"),
    to("#p"),
    to("urn:uuid:x"),
    { identifier: { value: "1" } },
    { display: "Amara" },
    { type: "Patient", identifier: { value: "1" } },
    "Patient/1",
    [to("Patient/1"), { display: "Ann" }],
  ])
    expect(observation({ subject }), JSON.stringify(subject)).toBe(true);
  const ann = { subject: to("Patient/1") };
  expect(observation({ ...ann, performer: [{ type: "Patient", identifier: { value: "1" } }] })).toBe(true);
  expect(observation({ ...ann, contained: [{ resourceType: "Patient", id: "p" }] })).toBe(true);
  expect(unidentified({ resourceType: "Task", for: { type: "Patient", display: "Ann" } })).toBe(true);
  for (const known of [
    ann,
    { subject: to("https://api.example/v1/fhir/main/Patient/1") },
    { subject: to("Device/1") },
    {},
    { ...ann, performer: [{ display: "Dr. Doe" }, to("Practitioner/1")], focus: [{ display: "a door" }] },
    { ...ann, contained: [{ resourceType: "Medication", id: "m" }] },
  ])
    expect(observation(known), JSON.stringify(known)).toBe(false);
  expect(unidentified({ resourceType: "Patient", id: "1" })).toBe(false);
  expect(unidentified({ resourceType: "Provenance", target: [to("Observation/1")] })).toBe(false);
});

test("types outside the compartment concern only the patients that they name", ({ expect }) => {
  expect(about({ resourceType: "Organization", name: "x" })).toEqual({ patients: [], unnamed: false });
  expect(about({ resourceType: "Task", for: to("Patient/1") })).toEqual({ patients: ["1"], unnamed: false });
  expect(about({ resourceType: "Device", patient: to("Patient/1") })).toEqual({
    patients: ["1"],
    unnamed: false,
  });
});

test.skipIf(noSharedData)(
  "owners and participants together are the patient compartment of R4 (needs ../shared/data)",
  ({ expect }) => {
    const facts: { paths: Record<string, string[]> } = JSON.parse(
      readFileSync(
        join(import.meta.dirname, "../../../../shared/data/facts/patient-compartment-paths.json"),
        "utf8",
      ),
    );
    for (const [type, paths] of Object.entries(facts.paths)) {
      if (type === "Patient") continue; // `link.other` is a mention, not an owner
      const ours = [r4Owners[type], r4Participants[type]].flatMap((list) => list?.split(" ") ?? []);
      expect(ours.toSorted(), type).toEqual(paths.toSorted());
    }
    expect(Object.keys({ ...r4Owners, ...r4Participants }).every((type) => type in facts.paths)).toBe(true);
  },
);

test("a reference that a reader could follow to a patient names that patient; a reference that only means a patient names none", ({
  expect,
}) => {
  const condition = (subject: object) => about({ resourceType: "Condition", subject: { ...subject } });
  expect(condition(to("HTTPS://ORIGIN.example/fhir/Patient/two"))).toEqual({
    patients: ["two"],
    unnamed: false,
  });
  expect(condition(to("https://api.example/v1/fhir/main/Patient/two"))).toEqual({
    patients: ["two"],
    unnamed: false,
  });
  expect(condition({ type: "Patient", identifier: { value: "x" } })).toEqual({ patients: [], unnamed: true });
  const seen = about({
    resourceType: "Observation",
    subject: to("Patient/1"),
    performer: [to("Patient?identifier=x")],
  });
  expect(seen).toEqual({ patients: ["1"], unnamed: true });
});
