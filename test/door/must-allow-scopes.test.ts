import { afterAll, beforeAll, test } from "vitest";
import type { AskerKind } from "../support/askers.ts";
import { category, idsOf, mustAllowWorld } from "../support/must-allow.ts";

type World = Awaited<ReturnType<typeof mustAllowWorld>>;

// What Microsoft's FHIR server and FHIR Works on AWS expect of SMART scopes.

let door: World["door"];
let ask: World["ask"];
beforeAll(async () => {
  ({ door, ask } = await mustAllowWorld());
}, 60_000);
afterAll(() => door.close());

const word = `${category}|vital-signs`;
const own = ["o1-laboratory", "o1-performed", "o1-vital-signs"];
/** The kind of the token, its scopes, the question, and the ids of the answer, sorted. */
const cases: readonly (readonly [AskerKind, string, string, readonly string[]])[] = [
  // SMART 2 scopes with conditions
  ["patient", `patient/Observation.rs?category=${word}`, "Observation", ["o1-vital-signs"]],
  ["patient", `patient/*.cruds?category=${word}`, "Observation", ["o1-vital-signs"]],
  ["patient", `patient/Observation.rs?category=${word}`, "Observation/o1-vital-signs", ["o1-vital-signs"]],
  ["patient", "patient/Observation.rs?code=http://loinc.org|code-1", "Observation", ["o1-laboratory"]],
  ["patient", "patient/Observation.rs?_tag=urn:tags|t2", "Observation", ["o1-laboratory"]],
  ["patient", "patient/Observation.s?_id=o1-laboratory", "Observation", ["o1-laboratory"]],
  ["patient", "patient/Observation.rs?date=ge2026-02-01", "Observation", ["o1-laboratory"]],
  ["patient", "patient/Observation.rs?status=final", "Observation", own],
  [
    "patient",
    "patient/Observation.rs?encounter=Encounter/e1",
    "Observation",
    ["o1-laboratory", "o1-vital-signs"],
  ],
  [
    "patient",
    `patient/Observation.rs?category=${word} patient/Observation.rs?code=http://loinc.org|code-1`,
    "Observation",
    ["o1-laboratory", "o1-vital-signs"],
  ],
  [
    "system",
    "system/Observation.rs?code=http://loinc.org|code-1",
    "Observation",
    ["o1-laboratory", "o2-laboratory"],
  ],
  ["user", `user/Observation.rs?category=${word}`, "Observation", ["o1-vital-signs", "o2-vital-signs"]],
  ["patient", "patient/Patient.rs?name=ann patient/Observation.rs", "Patient", ["ann"]],
  ["patient", "patient/Patient.rs?gender=male patient/Observation.rs", "Observation", own],
  ["system", "system/Patient.rs?name=ben", "Patient", ["ben"]],
  ["patient", "patient/Condition.rs?clinical-status=active", "Condition", ["c1"]],
  ["patient", "patient/*.s?_type=Patient,Observation", "Observation", own],
  [
    "patient",
    "patient/*.rs?_type=Observation&code=http://loinc.org|code-1",
    "Observation",
    ["o1-laboratory"],
  ],
  [
    "patient",
    "patient/*.s?_type=Encounter patient/Observation.s?code=http://loinc.org|code-1",
    "Observation",
    ["o1-laboratory"],
  ],
  ["patient", "patient/Observation.rs?date=ne2026-01-01", "Observation", ["o1-laboratory"]],
  ["patient", "patient/Observation.rs?date=ap2026-02-01", "Observation", ["o1-laboratory"]],
  ["patient", "patient/Observation.rs?date=sa2026-01-15", "Observation", ["o1-laboratory"]],
  ["patient", "patient/Observation.rs?date=eb2026-01-15", "Observation", ["o1-vital-signs"]],
  // a row without the date meets no condition on it
  ["patient", "patient/Patient.rs?birthdate=ne1970-01-01", "Patient", []],
  // scope words of no resource, and of version 1
  [
    "patient",
    "openid email profile launch/practitioner need_patient_banner patient/*.rs",
    "Observation",
    own,
  ],
  ["patient", "launch/patient offline_access fhirUser patient/*.read", "Patient/ann", ["ann"]],
  ["patient", "patient/Observation.read patient/Patient.read user/*.read", "Observation", own],
  ["patient", "patient/Observation.* fhirUser", "Observation", own],
  ["patient", "patient/Observation.rs?nonsense=1 patient/Patient.rs", "Patient", ["ann"]],
  ["patient", "patient/Observation.rs?code:in=http://x patient/Patient.rs", "Patient", ["ann"]],
];

test.for(cases)("%s %s: %s", async ([kind, scope, path, ids], { expect }) => {
  const reply = await ask(kind, scope, path.replaceAll("|", "%7C"));
  expect(reply.status, reply.text).toBe(200);
  expect(idsOf(reply)).toEqual(ids);
});

test("a scope with _type reaches no row of a type that it does not name", async ({ expect }) => {
  for (const scope of [
    "patient/*.rs?_type=Patient,Encounter",
    "patient/Observation.rs?_type=Patient",
    "patient/*.rs?_type=observation",
  ]) {
    const { status } = await ask("patient", scope, "Observation");
    expect(status, scope).toBe(403);
  }
});
