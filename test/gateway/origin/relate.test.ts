import { test } from "vitest";
import type { OriginQuestion } from "#fhir/ports";
import { relate } from "#gateway/origin/relate";
import { parseScopes } from "#identity/scopes";
import { instant } from "#kernel/clock";
import { ok } from "#kernel/result";
import type { UserRelation } from "#policy/schema";
import { sessionOf } from "../../support/origin-session.ts";

const base = "https://api.example/v1/fhir/main";
const origin = "https://origin.internal/fhir";
const at = instant(Date.parse("2026-11-24T12:00:00Z"));
const to = (reference: string) => ({ reference });

/** An origin that answers every search with all rows of the type. */
const world: Readonly<Record<string, readonly object[]>> = {
  PractitionerRole: [
    {
      id: "cardio",
      active: true,
      practitioner: to("Practitioner/vera"),
      organization: to("Organization/clinic"),
    },
    {
      id: "left",
      active: false,
      practitioner: to("Practitioner/vera"),
      organization: to("Organization/former"),
    },
    {
      id: "ended",
      practitioner: to("Practitioner/vera"),
      organization: to("Organization/former"),
      period: { end: "2026-11-23" },
    },
    {
      id: "odd",
      active: "yes",
      practitioner: to("Practitioner/vera"),
      organization: to("Organization/former"),
    },
    { id: "others", practitioner: to("Practitioner/otto"), organization: to("Organization/other") },
  ],
  Patient: [
    { id: "own", generalPractitioner: [to("Practitioner/vera")], address: [{ state: "Maine" }] },
    { id: "by-role", generalPractitioner: [to("PractitionerRole/cardio")] },
    {
      id: "by-former-role",
      generalPractitioner: [
        to("PractitionerRole/left"),
        to("PractitionerRole/ended"),
        to("PractitionerRole/odd"),
      ],
    },
    { id: "managed", managingOrganization: to("Organization/clinic") },
    { id: "clinics", generalPractitioner: [to(`${origin}/Organization/clinic`)] },
    { id: "former", managingOrganization: to("Organization/former") },
    { id: "elsewhere", managingOrganization: to("https://elsewhere.example/Organization/clinic") },
    { id: "others", generalPractitioner: [to("Practitioner/otto")] },
  ],
  Group: [
    {
      id: "panel",
      type: "person",
      actual: true,
      managingEntity: to("Practitioner/vera"),
      member: [
        { entity: to("Patient/member") },
        { entity: to("Patient/gone"), inactive: true },
        { entity: to("Patient/ended"), period: { start: "2020", end: "2025" } },
        { entity: to("Patient/to-come"), period: { start: "2027" } },
        { entity: to("Device/d") },
      ],
    },
    {
      id: "planned",
      type: "person",
      actual: false,
      managingEntity: to("Practitioner/vera"),
      member: [{ entity: to("Patient/planned") }],
    },
    {
      id: "not-hers",
      type: "person",
      actual: true,
      managingEntity: to("Practitioner/otto"),
      member: [{ entity: to("Patient/x") }],
    },
  ],
  RelatedPerson: [
    { id: "mother", active: true, patient: to("Patient/child") },
    { id: "former", active: false, patient: to("Patient/child") },
    { id: "ended", active: true, patient: to("Patient/child"), period: { end: "2026-11-24T11:59:00Z" } },
    { id: "current", patient: to("Patient/child"), period: { start: "2020-01-01", end: "2026-11-24" } },
  ],
};

async function* body(text: string) {
  yield ok(new TextEncoder().encode(text));
}

async function patientsOf(user: string | undefined, relations: readonly UserRelation[], scope = "user/*.rs") {
  const scopes = parseScopes(scope);
  if (!scopes.ok) throw new Error(scopes.error.reason);
  const asked: string[] = [];
  const ask = async (question: OriginQuestion) => {
    const type = "path" in question ? question.path : "";
    asked.push("path" in question ? `${type}?${decodeURIComponent(question.query)}` : "link");
    const entry = (world[type] ?? []).map((row) => ({ resource: { resourceType: type, ...row } }));
    return ok({
      kind: "answered" as const,
      base: origin,
      body: body(JSON.stringify({ resourceType: "Bundle", type: "searchset", entry })),
    });
  };
  const session = sessionOf(ask, { at, base });
  const access = await relate(
    { scopes: scopes.value, patient: undefined, user, purpose: "TREAT" },
    new Set(relations),
    session,
    at,
  );
  if (!access.ok) throw new Error(access.error.reason);
  return {
    patients: access.value.usersPatients && [...access.value.usersPatients].sort(),
    asked,
    residences: session.names.residences,
  };
}

test("a practitioner may access patients who name her or her active role as general practitioner, and no patient whom the origin only sent along", async ({
  expect,
}) => {
  expect((await patientsOf("Practitioner/vera", ["practitioner"])).patients).toEqual(["by-role", "own"]);
  expect((await patientsOf(`${base}/Practitioner/vera`, ["practitioner"])).patients).toEqual([
    "by-role",
    "own",
  ]);
  expect((await patientsOf("PractitionerRole/cardio", ["practitioner"])).patients).toEqual(["by-role"]);
  for (const role of ["left", "ended", "odd"])
    expect((await patientsOf(`PractitionerRole/${role}`, ["practitioner"])).patients, role).toEqual([]);
});

test("the request knows the states of the patients whose records were read for the relation", async ({
  expect,
}) => {
  const { residences } = await patientsOf("Practitioner/vera", ["practitioner"]);
  expect([residences.of("own"), residences.of("by-role")]).toEqual(["ME", undefined]);
});

test("an organization's patients are those of her active roles' organizations", async ({ expect }) => {
  expect((await patientsOf("Practitioner/vera", ["organization"])).patients).toEqual(["clinics", "managed"]);
  expect((await patientsOf("PractitionerRole/cardio", ["organization"])).patients).toEqual([
    "clinics",
    "managed",
  ]);
  expect((await patientsOf("PractitionerRole/left", ["organization"])).patients).toEqual([]);
});

test("a panel is an actual group of persons that she manages, of its active members", async ({ expect }) => {
  expect((await patientsOf("Practitioner/vera", ["panel"])).patients).toEqual(["member"]);
});

test("a related person may access the patient while the relation is active, a patient may access herself, and no further user may access any patient", async ({
  expect,
}) => {
  expect((await patientsOf("RelatedPerson/mother", ["related-person"])).patients).toEqual(["child"]);
  expect((await patientsOf("RelatedPerson/former", ["related-person"])).patients).toEqual([]);
  expect((await patientsOf("RelatedPerson/ended", ["related-person"])).patients).toEqual([]);
  expect((await patientsOf("RelatedPerson/current", ["related-person"])).patients).toEqual(["child"]);
  expect((await patientsOf("RelatedPerson/mother", ["practitioner"])).patients).toEqual([]);
  expect((await patientsOf("Patient/amara", [])).patients).toEqual(["amara"]);
  expect((await patientsOf("Organization/clinic", ["organization"])).patients).toEqual([]);
  expect((await patientsOf("Practitioner/vera", [])).patients).toMatchObject([]);
});

test("a user unknown to this origin may access no patient, and the origin is not asked", async ({
  expect,
}) => {
  for (const user of [
    undefined,
    "vera",
    "https://elsewhere.example/Practitioner/vera",
    "Practitioner/../vera",
    "#vera",
  ]) {
    expect(await patientsOf(user, ["practitioner", "panel"]), user).toMatchObject({
      patients: undefined,
      asked: [],
    });
  }
  expect(await patientsOf("Practitioner/vera", ["practitioner"], "system/*.rs")).toMatchObject({
    patients: undefined,
    asked: [],
  });
});

test("the questions are the same whatever is found, and follow only the relations of the policy", async ({
  expect,
}) => {
  expect((await patientsOf("Practitioner/vera", ["practitioner"])).asked).toMatchObject([
    "PractitionerRole?practitioner=Practitioner/vera&active=true&_count=1000",
    "Patient?general-practitioner=Practitioner/vera,PractitionerRole/cardio&_count=1000",
  ]);
  expect((await patientsOf("Practitioner/nobody", ["practitioner"])).asked).toEqual([
    "PractitionerRole?practitioner=Practitioner/nobody&active=true&_count=1000",
    "Patient?general-practitioner=Practitioner/nobody&_count=1000",
  ]);
});
