import { afterAll, beforeAll, test } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { openLedger } from "../support/auditor.ts";
import { type AskAs, outsideApps } from "../support/outside-apps.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { restricted, to } from "../support/fhir-parts.ts";
import { policyEntry, rule } from "../policy/granting.ts";

// Two families' records at one clinic. Joins could leak between them.
const category = (code: string) => [
  { coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code }] },
];
const code = (text: string) => ({ coding: [{ system: "http://loinc.org", code: text }] });
const world = [
  { resourceType: "Organization", id: "clinic", name: "Clinic" },
  { resourceType: "Practitioner", id: "vera", name: [{ family: "Vera" }] },
  { resourceType: "Practitioner", id: "otto", name: [{ family: "Otto" }] },
  {
    resourceType: "PractitionerRole",
    id: "cardio",
    active: true,
    practitioner: to("Practitioner/vera"),
    organization: to("Organization/clinic"),
  },
  {
    resourceType: "Patient",
    id: "amara",
    name: [{ family: "Okafor" }],
    generalPractitioner: [to("Practitioner/vera")],
  },
  {
    resourceType: "Patient",
    id: "bela",
    name: [{ family: "Nagy" }],
    generalPractitioner: [to("Practitioner/otto")],
  },
  {
    resourceType: "Patient",
    id: "chidi",
    name: [{ family: "Eze" }],
    managingOrganization: to("Organization/clinic"),
  },
  { resourceType: "Patient", id: "dora", name: [{ family: "Nagy" }] },
  {
    resourceType: "Group",
    id: "panel",
    type: "person",
    actual: true,
    managingEntity: to("Practitioner/vera"),
    member: [{ entity: to("Patient/dora") }, { entity: to("Patient/bela"), inactive: true }],
  },
  encounter("e-amara", "amara", "vera"),
  encounter("e-bela", "bela", "otto"),
  observation("lab-amara", "amara", "718-7", "laboratory", {
    encounter: to("Encounter/e-amara"),
    performer: [to("Practitioner/vera")],
  }),
  observation("vital-amara", "amara", "8480-6", "vital-signs"),
  observation("lab-bela", "bela", "718-7", "laboratory", {
    encounter: to("Encounter/e-bela"),
    performer: [to("Practitioner/otto")],
  }),
  observation("secret-amara", "amara", "75622-1", "laboratory", {
    meta: restricted,
    performer: [to("Practitioner/otto")],
  }),
  observation("strange-amara", "amara", "8867-4", "vital-signs", { encounter: to("Encounter/e-bela") }),
];

function encounter(id: string, patient: string, practitioner: string) {
  const type = {
    class: { system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: "AMB" },
    status: "finished",
  };
  return {
    resourceType: "Encounter",
    id,
    ...type,
    subject: to(`Patient/${patient}`),
    participant: [{ individual: to(`Practitioner/${practitioner}`) }],
  };
}

function observation(id: string, patient: string, loinc: string, kind: string, more: object = {}) {
  return {
    resourceType: "Observation",
    id,
    status: "final",
    code: code(loinc),
    category: category(kind),
    subject: to(`Patient/${patient}`),
    ...more,
  };
}

const policy = policyEntry(
  "joins",
  [
    rule(["Patient", "Encounter", "Observation"], "everything"),
    rule(["Practitioner"], ["name"], {
      interactions: ["read"],
      referredBy: ["Encounter:practitioner", "Observation:performer", "Patient:general-practitioner"],
      examples: [
        { says: "Nobody searches practitioners.", request: "Practitioner?name=Vera", is: "refused" },
      ],
    }),
  ],
  { purposes: ["PATRQT"], users: ["practitioner", "organization", "panel"] },
);

let phylax: Door;
let askApp: AskAs<"app">;
beforeAll(async () => {
  phylax = await startDoor({ resources: world });
  const scopes = "patient/*.rs user/*.rs system/Practitioner.rs";
  const claims = { fhirUser: "RelatedPerson/relative" };
  askApp = await outsideApps(phylax, { app: { policy: "joins", scopes, claims } }, [policy]);
}, 120_000);
afterAll(() => phylax.close());

/**
 * Asks as a relative of the patient amara, or as a signed-in user: labels withhold no row from amara herself.
 */
const ask = (
  path: string,
  claims: Readonly<Record<string, unknown>> = { patient: "amara", scope: "patient/*.rs" },
): Promise<Reply> => askApp("app", path, {}, claims);
const asUser = (fhirUser: string, scope = "user/*.rs") => ({ fhirUser, scope });
const ids = ({ text }: Reply): readonly string[] =>
  (JSON.parse(text).entry ?? [])
    .map(
      (one: { resource: { id: string }; search: { mode: string } }) =>
        (one.search.mode === "include" ? "+" : "") + one.resource.id,
    )
    .sort();
const face = ({ status, text }: Reply) => [status, text.replaceAll(/[0-9a-f]{32}/gu, "id")];

test("a user has access to the patients of the policy's relations and to no further patient: as a general practitioner, through the organization, by the panel", async ({
  expect,
}) => {
  expect(ids(await ask("Patient", asUser("Practitioner/vera")))).toEqual(["amara", "chidi", "dora"]);
  expect(ids(await ask("Patient", asUser("Practitioner/otto")))).toEqual(["bela"]);
  expect(ids(await ask("Patient?name=Nagy", asUser(`${phylax.dev.fhir}/Practitioner/vera`)))).toEqual([
    "dora",
  ]);
  expect(ids(await ask("Observation", asUser("Practitioner/otto")))).toEqual(["lab-bela"]);
  expect((await ask("Observation/lab-amara", asUser("Practitioner/vera"))).status).toBe(200);
  expect(face(await ask("Observation/lab-amara", asUser("Practitioner/otto")))).toEqual(
    face(await ask("Observation/nobody", asUser("Practitioner/otto"))),
  );
  expect((await ask("Patient", asUser("Practitioner/nobody"))).status).toBe(403);
  expect((await ask("Patient", { scope: "user/*.rs" })).status).toBe(403);
});

test("a scope by category gives access to rows of that category, and takes no row away that another scope gives", async ({
  expect,
}) => {
  const lab =
    "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory";
  const with_ = (scope: string) => ({ patient: "amara", scope });
  expect(ids(await ask("Observation", with_(lab)))).toEqual(["lab-amara"]);
  expect((await ask("Observation/vital-amara", with_(lab))).status).toBe(404);
  expect(ids(await ask("Observation", with_(`${lab} patient/Observation.rs?category=vital-signs`)))).toEqual([
    "lab-amara",
    "strange-amara",
    "vital-amara",
  ]);
  expect((await ask("Encounter", with_(lab.replace("Observation", "Encounter")))).status).toBe(403);
  expect((await ask("Patient/amara", with_(lab))).status).toBe(403);
});

test("a chain and a _has find the rows that their reader could have found step by step", async ({
  expect,
}) => {
  const vera = asUser("Practitioner/vera");
  expect(ids(await ask("Observation?patient.name=Okafor", vera))).toEqual([
    "lab-amara",
    "strange-amara",
    "vital-amara",
  ]);
  expect(ids(await ask("Observation?patient.name=Nagy", vera))).toEqual([]);
  expect(ids(await ask("Observation?encounter.status=finished", vera))).toEqual(["lab-amara"]);
  expect(ids(await ask("Patient?_has:Observation:patient:code=718-7", vera))).toEqual(["amara"]);
  expect(ids(await ask("Patient?_has:Observation:patient:encounter.status=finished", vera))).toEqual([
    "amara",
  ]);
  expect(ids(await ask("Patient?_has:Observation:patient:code=75622-1", vera))).toEqual([]); // labelled
  expect((await ask("Encounter?practitioner.name=Vera", vera)).status).toBe(403);
});

test("only resources that the rows refer to are included", async ({ expect }) => {
  expect(ids(await ask("Observation?_include=Observation:encounter"))).toEqual([
    "+e-amara",
    "lab-amara",
    "strange-amara",
    "vital-amara",
  ]);
  expect(ids(await ask("Encounter?_revinclude=Observation:encounter"))).toEqual(["+lab-amara", "e-amara"]);
  expect(
    ids(
      await ask(
        "Encounter?_include=Encounter:practitioner&_revinclude=Observation:encounter&_include:iterate=Observation:performer",
      ),
    ),
  ).toEqual(["+lab-amara", "+vera", "e-amara"]);
  expect((await ask("Observation?_include=Observation:device")).status).toBe(403);
  const reply = await ask("Observation?code=718-7&_include=Observation:performer");
  expect(ids(reply)).toEqual(["+vera", "lab-amara"]);
  const records = await openLedger(phylax.dev);
  const record = records.find(({ event }) => event.id === reply.headers["x-request-id"])?.event;
  expect(record).toMatchObject({
    counts: { Observation: 1, Practitioner: 1 },
    patients: [{ patient: "main/Patient/amara" }],
  });
});

test("a practitioner is read if the patient's own record refers to them, and is absent if not", async ({
  expect,
}) => {
  expect(JSON.parse((await ask("Practitioner/vera")).text)).toMatchObject({
    id: "vera",
    name: [{ family: "Vera" }],
  });
  // A labelled row of hers names Otto, and a row of Bela's. No further row names him.
  expect(face(await ask("Practitioner/otto"))).toEqual(face(await ask("Practitioner/nobody")));
  expect((await ask("Practitioner/otto")).status).toBe(404);
  expect((await ask("Practitioner?name=Vera")).status).toBe(403);
});
