import type { Resource } from "@medplum/fhirtypes";
import { afterAll, beforeAll, test } from "vitest";
import type { AskerKind } from "../support/askers.ts";
import { category, idsOf, mustAllowWorld, to } from "../support/must-allow.ts";

type World = Awaited<ReturnType<typeof mustAllowWorld>>;

// What the suites of FHIR servers expect of searches: includes, chains, composites, shared types, Provenance.

const task = (id: string, more: object): Resource => ({
  resourceType: "Task",
  id,
  status: "requested",
  intent: "order",
  focus: to("Patient/ann"),
  ...more,
});

let door: World["door"];
let ask: World["ask"];
beforeAll(async () => {
  ({ door, ask } = await mustAllowWorld([
    {
      resourceType: "QuestionnaireResponse",
      id: "qr1",
      status: "completed",
      subject: to("Patient/ann"),
      questionnaire: "http://q.example/phq9",
    },
    task("task-ann", { for: to("Patient/ann") }),
    task("task-ben", { for: to("Patient/ben") }),
    task("task-of-nobody", {}),
  ]));
}, 60_000);
afterAll(() => door.close());

const word = `${category}|vital-signs`;
const own = ["o1-laboratory", "o1-performed", "o1-vital-signs"];
/** The kind of the token, its scopes, the question, and the ids of the answer, sorted. */
const cases: readonly (readonly [AskerKind, string, string, readonly string[]])[] = [
  // participants, includes, chains
  ["patient", "patient/*.rs", "Observation?performer=Patient/ann", ["o1-performed"]],
  ["patient", "patient/*.rs", "Observation?patient=ann", ["o1-laboratory", "o1-vital-signs"]],
  [
    "patient",
    "patient/*.rs",
    "Observation?_include=Observation:encounter&code=code-1",
    ["e1", "o1-laboratory"],
  ],
  [
    "patient",
    "patient/*.rs",
    "Observation?_include=Observation:subject&code=code-1",
    ["ann", "o1-laboratory"],
  ],
  [
    "patient",
    "patient/*.rs",
    "Observation?_include=Observation:performer&code=code-1",
    ["o1-laboratory", "vera"],
  ],
  [
    "patient",
    "patient/Patient.rs patient/Observation.rs",
    "Patient?_revinclude=Observation:subject",
    ["ann", "o1-laboratory", "o1-vital-signs"],
  ],
  ["patient", "patient/Patient.rs", "Patient?_revinclude=Provenance:target", ["ann"]],
  ["patient", "patient/*.rs", "Observation?subject:Patient.name=ann", ["o1-laboratory", "o1-vital-signs"]],
  ["patient", "patient/*.rs", "Observation?patient.name=ben", []],
  // a chain that names no type: through each type that may be searched so
  ["patient", "patient/*.rs", "Observation?subject.name=ann", ["o1-laboratory", "o1-vital-signs"]],
  ["patient", "patient/*.rs", "Observation?performer.name=vera", ["o1-laboratory", "o1-vital-signs"]],
  ["patient", "patient/*.rs", "Observation?performer.name=zed,ben", []],
  [
    "system",
    "system/*.rs",
    "Observation?performer.name=vera,ann&patient=ann,ben&code=code-1",
    ["o1-laboratory", "o2-laboratory"],
  ],
  ["system", "system/*.rs", "Observation?performer.name=ann", ["o1-performed"]],
  ["system", "system/Observation.rs system/Practitioner.rs", "Observation?performer.name=ann", []],
  // a Task belongs to the patient for whom it is done
  ["patient", "patient/*.rs", "Task?patient=ann", ["task-ann"]],
  ["patient", "patient/Task.rs", "Task", ["task-ann"]],
  ["patient", "patient/*.rs", "Task/task-ann", ["task-ann"]],
  ["user", "user/*.rs", "Task?patient=ben", ["task-ben"]],
  ["system", "system/*.rs", "Patient?_has:Observation:patient:code=code-1", ["ann", "ben"]],
  ["system", "system/*.rs", "Encounter?_has:Observation:encounter:code=code-1&patient=ann", ["e1"]],
  [
    "system",
    "system/*.rs",
    "Observation?patient._has:Condition:patient:code=c&code=code-1",
    ["o1-laboratory", "o2-laboratory"],
  ],
  ["patient", "patient/*.rs", "Condition?subject=Patient/ann", ["c1"]],
  ["patient", "patient/*.rs", "Condition?subject=ann", ["c1"]],
  ["patient", "patient/*.rs", "Condition?subject:Patient=ann", ["c1"]],
  ["patient", "patient/*.rs", "Patient/ann/Condition", ["c1"]],
  ["patient", "patient/*.rs", "Encounter/e1/Observation", ["o1-laboratory", "o1-vital-signs"]],
  ["patient", "patient/*.rs", "Encounter/e1/Observation?code=code-1", ["o1-laboratory"]],
  ["patient", "patient/*.rs", "Encounter/e2/Observation", []],
  ["user", "user/*.rs", "Patient", ["ann", "ben"]],
  ["user", "user/*.rs", "Patient?_id=ann", ["ann"]],
  // the address names the only type
  ["patient", "patient/*.rs", "Observation?_type=Observation,Patient&code=code-1", ["o1-laboratory"]],
  // includes by each of their names
  [
    "patient",
    "patient/*.rs",
    "Observation?code=code-1&_include=*:*",
    ["ann", "e1", "o1-laboratory", "shared", "vera"],
  ],
  [
    "patient",
    "patient/Patient.rs patient/Observation.rs",
    "Observation?code=code-1&_include=*:*",
    ["ann", "o1-laboratory"],
  ],
  [
    "patient",
    "patient/*.rs",
    "Condition?_include:recurse=Patient:general-practitioner&_include=Condition:subject",
    ["ann", "c1", "vera"],
  ],
  [
    "patient",
    "patient/Patient.rs patient/Observation.rs",
    "Patient?_revinclude=*:*",
    ["ann", "o1-laboratory", "o1-performed", "o1-vital-signs"],
  ],
  ["patient", "patient/Patient.rs patient/Condition.rs", "Patient?_id=ann&_revinclude=*", ["ann", "c1"]],
  ["patient", "patient/Condition.rs", "Condition?_revinclude=*", ["c1"]],
  // the text of a code, the identifier of a reference
  ["patient", "patient/*.rs", "Observation?code:text=blood&patient=ann", ["o1-laboratory"]],
  ["patient", "patient/*.rs", "Observation?code:text=glucose", ["o1-laboratory"]],
  ["patient", "patient/*.rs", "Observation?code:text=nothing", []],
  ["patient", "patient/*.rs", "Observation?performer:identifier=urn:npi|7", ["o1-laboratory"]],
  ["patient", "patient/*.rs", "Observation?performer:identifier=8", []],
  // canonical URLs
  ["patient", "patient/*.rs", "QuestionnaireResponse?questionnaire=http://q.example/phq9", ["qr1"]],
  ["patient", "patient/*.rs", "QuestionnaireResponse?questionnaire=http://q.example/other", []],
  [
    "patient",
    "patient/*.rs",
    "QuestionnaireResponse?questionnaire=http://q.example/phq9&author:missing=true",
    ["qr1"],
  ],
  // URLs by their beginning, identifiers by their type, elements that are absent
  ["patient", "patient/*.rs", "Patient?_profile:below=http://p.example", ["ann"]],
  ["patient", "patient/*.rs", "Patient?_profile:below=http://q.example", []],
  ["user", "user/*.rs", "Patient?identifier:of-type=urn:tags|MR|ann-1", ["ann"]],
  ["user", "user/*.rs", "Patient?identifier:of-type=urn:tags|DL|ann-1,urn:tags|MR|ben-1", ["ben"]],
  ["patient", "patient/*.rs", "Observation?performer:missing=true", []],
  ["patient", "patient/*.rs", "Observation?performer:missing=false", own],
  ["patient", "patient/*.rs", "Patient?email:missing=true&phone=555", ["ann"]],
  ["user", "user/*.rs", "Patient?_profile:missing=false", ["ann", "ben"]],
  ["patient", "patient/*.rs", "Patient?_profile:missing=true", []],
  ["patient", "patient/*.rs", "Observation?_profile:missing=true&_source:missing=true", own],
  ["patient", "patient/*.rs", "Observation?_security:missing=true&_lastUpdated:missing=false", own],
  ["patient", "patient/*.rs", "Observation?_security:missing=false", []],
  // parameters that are sent twice
  ["patient", "patient/*.rs", "Observation?_sort=code&_sort=date&_elements=code&_elements=status", own],
  ["patient", "patient/*.rs", "Observation?_format=json&_format=json&_pretty&_count=5&_count=5", own],
  // composites, filtered paths, and other parameters
  [
    "patient",
    "patient/*.rs",
    "Observation?code-value-quantity=http://loinc.org|code-1$gt5",
    ["o1-laboratory"],
  ],
  [
    "patient",
    "patient/*.rs",
    "Observation?combo-code-value-quantity=http://loinc.org|code-1$gt5",
    ["o1-laboratory"],
  ],
  ["patient", "patient/*.rs", "Observation?code-value-quantity=code-1$6", ["o1-laboratory"]],
  ["patient", "patient/*.rs", "Patient?deceased=false", ["ann"]],
  ["patient", "patient/*.rs", "Patient?deceased=FALSE", ["ann"]],
  ["patient", "patient/*.rs", "Patient?_tag=urn:tags|t1", ["ann"]],
  ["patient", "patient/*.rs", "Observation?category:not=laboratory&patient=ann", ["o1-vital-signs"]],
  ["patient", "patient/*.rs", "Observation?_tag:not=urn:tags|t2&patient=ann", ["o1-vital-signs"]],
  ["patient", "patient/*.rs", "Observation?_tag:missing=true", ["o1-performed"]],
  ["patient", "patient/*.rs", "Observation?_elements=status&code=code-1", ["o1-laboratory"]],
  ["patient", "patient/*.rs", "Patient/ann?_summary=true", ["ann"]],
  ["patient", "patient/*.rs", "Patient/ann?_summary=text", ["ann"]],
  ["patient", "patient/*.rs", "Observation?_summary=true&code=code-1", ["o1-laboratory"]],
  ["patient", "patient/*.rs", "Observation?_summary=data&_sort=date", own],
  ["system", "system/*.rs", "Observation?_summary=text&code=code-1", ["o1-laboratory", "o2-laboratory"]],
  ["patient", "patient/*.rs", "Observation?_summary=count", []],
  ["patient", "patient/*.rs", "Observation?_count=0", []],
  ["patient", "patient/*.rs", "Observation?_total=estimate", own],
  ["patient", "patient/*.rs", "Observation?_contained=false", own],
  ["patient", "patient/*.rs", "metadata?mode=full&_summary=true", []],
  // types that all patients share: the resources to which visible rows refer
  ["patient", "patient/*.rs", "Practitioner", ["vera"]],
  ["patient", "patient/*.rs", "Practitioner?name=vera", ["vera"]],
  ["patient", "patient/*.rs", "Practitioner?_id=vera", ["vera"]],
  ["patient", "patient/Practitioner.rs patient/Observation.rs", "Practitioner?name=vera", ["vera"]],
  ["patient", "patient/*.rs", "Practitioner?name=zed", []],
  ["patient", "patient/*.rs", "Organization?name=x", []],
  ["patient", "patient/*.rs", "Medication?code=x", []],
  ["patient", "patient/*.rs", "Location", []],
  ["patient", "patient/*.rs", "Questionnaire", []],
  ["patient", "patient/*.rs", "ValueSet?url=urn:v", []],
  ["user", "user/*.rs", "Practitioner?name=vera&_summary=data", ["vera"]],
  ["patient", "patient/*.rs", "Patient?general-practitioner:Practitioner.name=vera", ["ann"]],
  [
    "patient",
    "patient/*.rs",
    "Observation?performer:Practitioner.name=vera",
    ["o1-laboratory", "o1-vital-signs"],
  ],
  ["patient", "patient/*.rs", "MedicationRequest?medication:Medication.code=x", []],
  // devices and provenance
  ["patient", "patient/*.rs", "Device?patient=ann", ["d1"]],
  ["patient", "patient/*.rs", "Device?patient=Patient/ann", ["d1"]],
  ["patient", "patient/*.rs", "Device?patient=ann&type=implant", ["d1"]],
  ["patient", "patient/*.rs", "Device", ["d1"]],
  ["patient", "patient/Device.rs", "Device/d1", ["d1"]],
  ["patient", "patient/*.rs", "Device/shared", ["shared"]],
  ["user", "user/*.rs", "Device?patient=ben", ["d2"]],
  ["patient", "patient/*.rs", "Provenance/pr1", ["pr1"]],
  ["patient", "patient/*.rs", "Provenance/prs1", ["prs1"]],
  ["user", "user/*.rs", "Provenance/pr-both", ["pr-both"]],
  ["patient", "patient/*.rs", "Provenance", ["pr1"]],
  ["patient", "patient/*.rs", "Provenance?target=Observation/o1-vital-signs", ["prs1"]],
  ["patient", "patient/*.rs", "Provenance?target=Observation/o1-laboratory", ["pr1"]],
  ["patient", "patient/*.rs", "Provenance?_id=prs1,pr1", ["pr1", "prs1"]],
  ["patient", "patient/*.rs", "Provenance?_id=pr2,prs2,pr-both", []],
  ["patient", "patient/Provenance.rs", "Provenance?_id=prs1", []],
  ["user", "user/*.rs", "Provenance?target=Observation/o1-laboratory", ["pr-both", "pr1"]],
  ["patient", "patient/*.rs", "Condition?_revinclude=Provenance:target", ["c1", "pr1"]],
  [
    "patient",
    "patient/*.rs",
    "Observation?code=code-0&_revinclude=Provenance:target",
    ["o1-vital-signs", "prs1"],
  ],
  [
    "patient",
    "patient/*.rs",
    "Observation?code=code-1&_revinclude=Provenance:target",
    ["o1-laboratory", "pr1"],
  ],
  ["system", "system/*.rs", "Provenance?target=Observation/o1-laboratory", ["pr-both", "pr1"]],
];

/**
 * Searches of Inferno's suite for US Core 6.1, 7 and 8, of types that this world does not have: they are permitted
 * and find nothing.
 */
const usCore = `
AllergyIntolerance?patient=ann&clinical-status=active,inactive,resolved
CarePlan?patient=ann&category=assess-plan&status=active&date=ge2026-01-01T00:00:00%2B00:00
CareTeam?patient=ann&role=17561000
CareTeam?patient=ann&status=proposed,active,suspended,inactive,entered-in-error&_include=CareTeam:participant:Practitioner
Condition?patient=ann&category=encounter-diagnosis&encounter=Encounter/e1
Condition?patient=ann&_lastUpdated=gt2100-01-01T00:00:00Z&_revinclude=Provenance:target
Coverage?patient=Patient/ann
DiagnosticReport?patient=ann&category=http://terminology.hl7.org/CodeSystem/v2-0074|LAB&date=gt2026-01-01&date=lt2026-12-31
DocumentReference?patient=ann&type=http://loinc.org|34133-9&period=ge2026&_revinclude=Provenance:target
Encounter?date=ge2026-01-01T00:00:00+00:00&patient=ann
Encounter?patient=ann&discharge-disposition=01&location=Location/l1
Goal?patient=ann&target-date=ge2026&description=281665004
Immunization?patient=ann&status=completed,entered-in-error,not-done&date=2026
Location?address-postalcode=01101
MedicationDispense?patient=ann&status=completed&type=FF
MedicationRequest?patient=ann&intent=proposal,plan,order,instance-order&status=active,completed,stopped&_include=MedicationRequest:medication
Patient?birthdate=1970-01-01&name=x
Patient?death-date=ge2020&family=x
PractitionerRole?specialty=208D00000X&_include=PractitionerRole:practitioner&_include=PractitionerRole:endpoint
Procedure?patient=ann&code=73761001&date=le2026-12-31
QuestionnaireResponse?patient=ann&authored=lt2020
RelatedPerson?patient=ann&name=x
ServiceRequest?patient=ann&category=http://snomed.info/sct|410606002&authored=ge2026
Specimen?patient=ann`
  .trim()
  .split("\n");
test.for(usCore)("US Core: %s", async (path, { expect }) => {
  const reply = await ask("patient", "launch/patient openid patient/*.read", path.replaceAll("|", "%7C"));
  expect(reply.status, reply.text).toBe(200);
  expect(idsOf(reply)).toEqual([]);
});

test.for(cases)("%s %s: %s", async ([kind, scope, path, ids], { expect }) => {
  const reply = await ask(kind, scope, path.replaceAll("|", "%7C"));
  expect(reply.status, reply.text).toBe(200);
  expect(idsOf(reply)).toEqual(ids);
});

const refusals: readonly (readonly [AskerKind, string, string])[] = [
  ["patient", "patient/*.rs", "Device/d2"],
  ["patient", "patient/*.rs", "Task/task-ben"],
  ["patient", "patient/*.rs", "Task/task-of-nobody"],
  ["patient", "patient/*.rs", "Provenance/pr2"],
  ["patient", "patient/*.rs", "Provenance/pr-both"],
  ["patient", "patient/Provenance.rs", "Provenance/pr1"],
  ["patient", `patient/Provenance.rs patient/Observation.rs?category=${word}`, "Provenance/pr1"],
];
test.for(refusals)("not permitted: %s %s: %s", async ([kind, scope, path], { expect }) => {
  expect((await ask(kind, scope, path.replaceAll("|", "%7C"))).status).toBe(404);
});
