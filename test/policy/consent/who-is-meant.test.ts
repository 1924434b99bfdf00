import { isDeepStrictEqual } from "node:util";
import { test } from "vitest";
import { textAt, type Json } from "#fhir/json/json";
import { elementsOf } from "#fhir/r4/elements";
import { instant } from "#kernel/clock";
import { judgeConsent } from "#policy/consent/judge-consent";
import { readConsent } from "#policy/consent/read-consent";
import { rowFactsOf } from "#policy/consent/row-facts";
import { formWithoutNames, readStoredForm, storedFormOf } from "#policy/consent/stored-form";
import { actorsIn, followedIn, readActor, withActorNames } from "#policy/consent/who-is-meant";
import { actorMembers } from "#policy/self-widening";
import { base, coding, consent, observation, party, recipient, requestOf, resource } from "./scene.ts";

const at = instant(Date.parse("2026-11-27T11:00:00Z"));
const npi = "http://hl7.org/fhir/sid/us-npi";
const id = (value: string) => ({ system: npi, value });
const to = (reference: string) => ({ reference });
const group = (name: string, members: readonly object[], more: object = {}) => ({
  resourceType: "Group",
  id: name,
  type: "practitioner",
  actual: true,
  member: members.map((entity) => ({ entity })),
  ...more,
});
const lab = {
  resourceType: "Organization",
  id: "lab",
  identifier: [{ system: "urn:tax", value: "1" }, id("2")],
};
const role = (more: object = {}) => ({
  resourceType: "PractitionerRole",
  id: "role",
  practitioner: to("Practitioner/doc"),
  organization: to("Organization/lab"),
  ...more,
});
const team = (more: object = {}) => ({
  resourceType: "CareTeam",
  id: "team",
  status: "active",
  subject: to("Patient/1"),
  participant: [{ member: to("Practitioner/doc") }, { member: to("Patient/1") }],
  ...more,
});

/** The verdicts of a permit and of a denial that name an actor, for a caller with these names. */
function verdicts(
  actor: string | object,
  who: readonly string[],
  rows: readonly object[],
  areNamesRead = true,
): string {
  const read = new Map(
    rows.map((each) => {
      const row = resource(each);
      return [`${textAt(row, "resourceType")}/${textAt(row, "id")}`, readActor(row, base, at)];
    }),
  );
  const judged = (["permit", "deny"] as const).map((type) => {
    const rules = readConsent(
      consent({ type, actor: [recipient(typeof actor === "string" ? to(actor) : actor)] }),
      base,
    );
    const form = storedFormOf(withActorNames(rules, "1", read));
    const request = { ...requestOf(), recipient: { ...party(who), areNamesRead } };
    return judgeConsent(readStoredForm(form), request, rowFactsOf(observation(), base)).verdict;
  });
  return judged.join(" ");
}
const [meant, apart, unknown] = ["permit deny", "silent silent", "silent deny"];

test("a Group, a CareTeam, a role, an Organization and a Device mean their members, and no further caller", ({
  expect,
}) => {
  const doc = ["Practitioner/doc", `${npi}|2`];
  const nurse = ["Practitioner/nurse", `${npi}|9`];
  const device = {
    resourceType: "Device",
    id: "pump",
    identifier: [{ system: "urn:phylax:client", value: "app" }],
  };
  for (const [actor, rows] of [
    ["Group/g", [group("g", [to("Practitioner/doc")])]],
    ["Group/g", [group("g", [to("PractitionerRole/role")]), role(), lab]],
    ["CareTeam/team", [team()]],
    ["PractitionerRole/role", [role(), lab]],
    ["Organization/lab", [lab]],
  ] as const) {
    expect([actor, verdicts(actor, doc, rows)]).toEqual([actor, meant]);
    expect([actor, verdicts(actor, nurse, rows)]).toEqual([actor, apart]);
    expect([actor, verdicts(actor, doc, rows, false)], "names that are not read again").toEqual([
      actor,
      unknown,
    ]);
  }
  expect(verdicts("Device/pump", ["urn:phylax:client|app"], [device])).toBe(meant);
  expect(verdicts("Device/pump", ["urn:phylax:client|other"], [device])).toBe(apart);
  expect(verdicts("PractitionerRole/role", ["Practitioner/doc", `${npi}|9`], [role(), lab])).toBe(apart);
  expect(verdicts("PractitionerRole/role", ["Practitioner/doc"], [role(), lab]), "of any organization").toBe(
    unknown,
  );
});

test("who is not known may be anybody: a denial of an actor holds for each caller, and a permit for none", ({
  expect,
}) => {
  const who = ["Practitioner/nurse", `${npi}|9`];
  const many = Array.from({ length: 10_000 }, (_, index) => to(`Practitioner/p${index}`));
  const unclear: readonly (readonly [actor: string, rows: readonly object[]])[] = [
    ["Group/absent", []],
    ["Group/g", [group("g", [], { actual: false })]],
    ["Group/g", [group("g", [], { member: undefined })]],
    ["Group/g", [group("g", [to("Practitioner/doc")], { quantity: 2 })]],
    ["Group/g", [group("g", [to("Practitioner/doc")], { modifierExtension: [] })]],
    ["Group/g", [group("g", many)]],
    ["Group/g", [group("g", [{ display: "Dr. Doe" }])]],
    ["Group/g", [group("g", [to("Patient/2")])]],
    ["Group/g", [group("g", [to("Group/h")]), group("h", [to("Practitioner/doc")])]],
    ["Group/g", [group("g", [to("Group/g")])]],
    ["CareTeam/team", [team({ participant: [{ member: to("CareTeam/team") }] })]],
    ["Group/g", [group("g", [to("https://other.example/Practitioner/doc")])]],
    ["CareTeam/team", [team({ subject: to("Patient/2") })]],
    ["CareTeam/team", [team({ status: "proposed" })]],
    ["Organization/lab", [{ ...lab, identifier: [{ value: "1" }] }]],
    ["PractitionerRole/role", [role({ practitioner: undefined, organization: undefined })]],
    ["PractitionerRole/role", [role({ practitioner: to("Practitioner/nurse") })]],
    ["Device/d", [{ resourceType: "Device", id: "d", identifier: [id("1")], patient: to("Patient/2") }]],
  ];
  for (const [actor, rows] of unclear) expect([rows, verdicts(actor, who, rows)]).toEqual([rows, unknown]);
  expect(verdicts("Group/g", [], [group("g", [to("Practitioner/doc")])]), "no user signed in").toBe(unknown);
});

test("an organization with several numbers of a system, or with a parent, may be any organization of the system", ({
  expect,
}) => {
  const several = { ...lab, identifier: [...lab.identifier, id("3")] };
  const part = { ...lab, partOf: to("Organization/hospital") };
  const named = { reference: "Organization/lab", identifier: id("2") };
  for (const row of [several, part]) {
    expect(verdicts("Organization/lab", [`${npi}|9`], [row])).toBe(unknown);
    expect(verdicts(named, [`${npi}|9`], [row]), "the reference has a number too").toBe(unknown);
    expect(verdicts("Organization/lab", [`${npi}|2`], [row]), "its own number").toBe(meant);
    expect(verdicts("PractitionerRole/role", ["Practitioner/doc", `${npi}|2`], [role(), row])).toBe(meant);
    expect(verdicts("PractitionerRole/role", ["Practitioner/doc", `${npi}|9`], [role(), row])).toBe(unknown);
    expect(verdicts("PractitionerRole/role", ["Practitioner/nurse", `${npi}|9`], [role(), row])).toBe(apart);
  }
  expect(verdicts(named, [`${npi}|9`], [lab]), "its only number").toBe(apart);
  expect(verdicts("Organization/lab", ["urn:tax|9"], [several]), "its only number of a system").toBe(apart);
});

test("a member who left, a role that ended and a team that is no more mean nobody", ({ expect }) => {
  const who = ["Practitioner/doc", `${npi}|1`];
  const left = (more: object) => ({
    ...group("g", []),
    member: [{ entity: to("Practitioner/doc"), ...more }, { entity: to("Practitioner/nurse") }],
  });
  const past = { period: { end: "2020" } };
  for (const rows of [
    [left({ inactive: true })],
    [left(past)],
    [group("g", [])],
    [group("g", [], { active: false })],
  ])
    expect([rows, verdicts("Group/g", who, rows)]).toEqual([rows, apart]);
  expect(verdicts("Group/g", who, [left({ period: { end: "2026-11-27" } })]), "a last day in some zone").toBe(
    meant,
  );
  expect(verdicts("Group/g", who, [left({ period: { end: "2026-11-26" } })]), "perhaps over").toBe(unknown);
  expect(verdicts("PractitionerRole/role", who, [role(past), lab])).toBe(apart);
  expect(verdicts("PractitionerRole/role", who, [role({ active: false }), lab])).toBe(apart);
  expect(verdicts("CareTeam/team", who, [team({ status: "inactive" })])).toBe(apart);
});

test("no element decides who is meant that a client may change", ({ expect }) => {
  const device = { resourceType: "Device", id: "pump", identifier: [id("1")], patient: to("Patient/1") };
  const values: readonly (Json | undefined)[] = [undefined, [], [{}], {}, true, "x", to("Patient/2")];
  for (const each of [group("g", [to("Practitioner/doc")]), team(), role(), lab, device]) {
    const guarded = actorMembers({ isConsentRegistrar: false }, { actorsAreRead: true }, each.resourceType);
    const before = readActor(resource(each), base, at);
    const decisive = new Set<string>();
    for (const name of elementsOf(each.resourceType).keys())
      for (const value of values) {
        const after = readActor(resource({ ...each, [name]: value }), base, at);
        if (name !== "id" && !isDeepStrictEqual(after, before)) decisive.add(name);
      }
    expect(decisive.size).toBeGreaterThan(1);
    expect([...decisive].filter((name) => guarded?.includes(name) !== true)).toEqual([]);
  }
});

test("the names of a Consent are bounded, and the form without them is the form of the Consent as it was written", ({
  expect,
}) => {
  const members = (count: number) =>
    Array.from({ length: count }, (_, index) => to(`Practitioner/p${index}`));
  const actors = ["a", "b"].map((name) => recipient(to(`Group/${name}`)));
  const rules = readConsent(
    consent({ type: "permit", actor: actors, purpose: [coding("TREAT", "v3-ActReason")] }),
    base,
  );
  expect(followedIn(actorsIn(rules))).toEqual(["Group/a", "Group/b"]);
  const rows = new Map(
    [group("a", members(200)), group("b", members(51))].map((each) => [
      `Group/${each.id}`,
      readActor(resource(each), base, at),
    ]),
  );
  const named = (sharers?: number) =>
    withActorNames(rules, "1", rows, sharers).readings[0]?.root.frame.recipients?.map(
      (each) => (each?.reference === undefined ? [] : (each.meant ?? [])).length,
    );
  expect(named(), "250 for a Consent").toEqual([200, 0]);
  expect(named(20), "2,000 for a patient").toEqual([0, 51]);
  const form = storedFormOf(withActorNames(rules, "1", rows));
  expect(form).not.toBe(storedFormOf(rules));
  expect(formWithoutNames(form)).toBe(storedFormOf(rules));
  expect(followedIn(readActor(resource(role()), base, at).means)).toEqual(["Organization/lab"]);
});
