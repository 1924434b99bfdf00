import { afterAll, beforeAll, test } from "vitest";
import { to } from "../support/fhir-parts.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { outsideApps, type AskAs } from "../support/outside-apps.ts";

// Resources that no patient owns, under a patient's scope: a policy opens a type to every scope (`referredBy: ["*"]`),
// or the resources that refer to a visible one (`refersTo`).

const rule = (types: readonly string[], more: object = {}) => ({
  types,
  interactions: ["read", "search"],
  show: "everything",
  why: "45 CFR 164.524(a)(1): the individual's right of access.",
  examples: [{ says: "A read is permitted.", request: `${types[0]}/1`, is: "permitted" }],
  ...more,
});
const body = {
  format: "phylax.policy.v1",
  name: "directory",
  title: "A record, and who works where",
  purposes: ["PATRQT"],
  rules: [
    rule(["Patient", "Observation"]),
    rule(["Practitioner"], { referredBy: ["Patient:general-practitioner"] }),
    rule(["PractitionerRole"], { refersTo: ["PractitionerRole:practitioner"] }),
    rule(["Organization"], { referredBy: ["*"] }),
  ],
};
const role = (id: string, practitioner: string) => ({
  resourceType: "PractitionerRole",
  id,
  practitioner: to(`Practitioner/${practitioner}`),
  organization: to("Organization/clinic"),
  specialty: [{ coding: [{ system: "urn:s", code: "heart" }] }],
});
const world = [
  { resourceType: "Patient", id: "ann", generalPractitioner: [to("Practitioner/vera")] },
  { resourceType: "Patient", id: "ben", generalPractitioner: [to("Practitioner/zed")] },
  ...["vera", "zed"].map((id) => ({ resourceType: "Practitioner", id, name: [{ family: id }] })),
  role("of-vera", "vera"),
  role("of-zed", "zed"),
  { resourceType: "PractitionerRole", id: "of-nobody" },
  ...["clinic", "other"].map((id) => ({ resourceType: "Organization", id, name: `House ${id}` })),
];

let door: Door;
let ask: AskAs<"app">;
beforeAll(async () => {
  door = await startDoor({ resources: world });
  const app = { policy: "directory", scopes: "patient/*.rs", claims: { patient: "ann" } };
  ask = await outsideApps(door, { app }, [{ name: "directory", body }]);
}, 60_000);
afterAll(() => door.close());

interface Found {
  readonly id?: string;
  readonly entry?: readonly { readonly resource: { readonly id: string } }[];
}
const idsOf = (text: string) =>
  ((JSON.parse(text) as Found).entry ?? []).map(({ resource }) => resource.id).toSorted();

test.for([
  ["PractitionerRole?practitioner=Practitioner/vera", ["of-vera"]],
  ["PractitionerRole?practitioner=vera,zed", ["of-vera"]],
  ["PractitionerRole?practitioner=zed", []],
  ["PractitionerRole?specialty=heart", ["of-vera"]],
  ["PractitionerRole?_id=of-vera,of-zed,of-nobody", ["of-vera"]],
  ["PractitionerRole?practitioner.name=vera", ["of-vera"]],
  ["PractitionerRole?practitioner.name=zed", []],
  ["PractitionerRole", ["of-vera"]],
  [
    "PractitionerRole?_include=PractitionerRole:practitioner&_include=PractitionerRole:organization",
    ["clinic", "of-vera"],
  ],
  ["Practitioner?_id=vera&_revinclude=PractitionerRole:practitioner", ["of-vera", "vera"]],
  ["Organization", ["clinic", "other"]],
  ["Organization?name=house%20other", ["other"]],
  ["Practitioner", ["vera"]],
] as const)("a search finds what the policy opens: %s", async ([path, ids], { expect }) => {
  const reply = await ask("app", path);
  expect(reply.status, reply.text).toBe(200);
  expect(idsOf(reply.text)).toEqual(ids);
});

test("a role is read if its practitioner is visible; another role costs the origin what an absent one costs", async ({
  expect,
}) => {
  expect((await ask("app", "PractitionerRole/of-vera")).status).toBe(200);
  expect((await ask("app", "Organization/other")).status).toBe(200);
  const asked = async (id: string) => {
    door.forwarded.length = 0;
    const { status } = await ask("app", `PractitionerRole/${id}`);
    return [status, door.forwarded.map((line) => line.replaceAll(id, "ID")).toSorted()];
  };
  const absent = await asked("absent");
  expect(absent[0]).toBe(404);
  for (const id of ["of-zed", "of-nobody"]) expect(await asked(id)).toEqual(absent);
});

test("a search by an unseen practitioner asks the origin what one by an absent practitioner asks", async ({
  expect,
}) => {
  const asked = async (id: string) => {
    door.forwarded.length = 0;
    const { text } = await ask("app", `PractitionerRole?practitioner=${id}`);
    return [idsOf(text), door.forwarded.map((line) => line.replaceAll(id, "ID")).toSorted()];
  };
  expect(await asked("zed")).toEqual(await asked("abs"));
});

test.for([
  [rule(["Device"], { referredBy: ["*"] }), "is not for a type whose rows may be a patient's"],
  [rule(["Binary"], { referredBy: ["*"] }), "is not for a type whose rows may be a patient's"],
  [rule(["Observation"], { referredBy: ["*"] }), "is only for types that no patient owns"],
  [rule(["Slot"], { refersTo: ["Schedule:actor"] }), "is not a reference parameter"],
  [rule(["Organization"], { refersTo: ["Organization:partof"] }), "opened by refersTo too"],
  [rule(["Slot"], { interactions: ["search"], refersTo: ["Slot:schedule"] }), "does not grant read"],
] as const)("a policy may not open %j", async ([bad, problem], { expect }) => {
  const rules = [rule(["Patient"]), bad];
  const policies = [{ name: "bad", body: { ...body, name: "bad", rules } }];
  await expect(door.applyRegistry({ policies })).rejects.toThrow(problem);
});
