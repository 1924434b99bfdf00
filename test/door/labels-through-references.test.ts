import { afterAll, beforeAll, test } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { to } from "../support/fhir-parts.ts";
import { type AskAs, outsideApps } from "../support/outside-apps.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { policyEntry, rule } from "../policy/granting.ts";
import type { PolicyDocument } from "#policy/schema";

const thp = "http://terminology.hl7.org/CodeSystem/";
const snomed = (code: string) => ({ coding: [{ system: "http://snomed.info/sct", code }] });
const [hiv, cold] = [snomed("86406008"), snomed("82272006")];
const restricted = { meta: { security: [{ system: `${thp}v3-Confidentiality`, code: "R" }] } };

const prescription = (id: string, patient: string, more: object) => ({
  resourceType: "MedicationRequest" as const,
  id,
  status: "active" as const,
  intent: "order" as const,
  medicationCodeableConcept: { text: "x" },
  subject: to(`Patient/${patient}`),
  ...more,
});
const observation = (patient: string, more: object) => ({
  resourceType: "Observation" as const,
  status: "final" as const,
  code: { text: "x" },
  subject: to(`Patient/${patient}`),
  ...more,
});
const visit = (id: string, patient: string, more: object) => ({
  resourceType: "Encounter" as const,
  id,
  status: "finished" as const,
  class: { system: `${thp}v3-ActCode`, code: "AMB" },
  subject: to(`Patient/${patient}`),
  ...more,
});
const provenance = (id: string, target: string) => ({
  resourceType: "Provenance" as const,
  id,
  target: [to(target)],
  recorded: "2026-01-01T00:00:00Z",
  agent: [{ who: to("Practitioner/p") }],
});
const gilsVisits = Array.from({ length: 230 }, (_, index) => `gil-e${index}`);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);
/**
 * Rows that are visible, among rows that a lost reference hides if the patient has them: these refer to more
 * resources than a request follows (twelve rows of 490).
 */
const amongHidden = (patient: string, hasHidden: boolean) => {
  const row = (id: string, more: object) => Object.assign({ id }, observation(patient, more));
  const hidden = (index: number) =>
    row(`${patient}-${10 + index}-zhidden`, {
      focus: upTo(490).map((n) => to(`Encounter/lost-${index}-${n}`)),
    });
  return [
    { resourceType: "Patient" as const, id: patient },
    ...upTo(13).flatMap((index) => [
      visit(`${patient}-e${index}`, patient, {}),
      row(`${patient}-${10 + index}-seen`, { encounter: to(`Encounter/${patient}-e${index}`) }),
    ]),
    ...(hasHidden ? upTo(12).map(hidden) : []),
  ];
};
/** The rows of a patient whose condition is HIV, or a cold: all else is equal. */
const rowsOf = (patient: string, code: object) => [
  { resourceType: "Patient" as const, id: patient },
  { resourceType: "Condition" as const, id: `${patient}-c`, code, subject: to(`Patient/${patient}`) },
  visit(`${patient}-e`, patient, code === hiv ? restricted : {}),
  prescription(`${patient}-for-it`, patient, { reasonReference: [to(`Condition/${patient}-c`)] }),
  prescription(`${patient}-at-visit`, patient, { encounter: to(`Encounter/${patient}-e`) }),
  prescription(`${patient}-plain`, patient, {}),
];
/** Rows that name the condition by the display of a reference. */
const namingOf = (patient: string) => {
  const condition = { ...to(`Condition/${patient}-c`), display: "its diagnosis" };
  return [
    {
      resourceType: "List" as const,
      id: `${patient}-problems`,
      status: "current" as const,
      mode: "snapshot" as const,
      subject: to(`Patient/${patient}`),
      entry: [{ item: condition }],
    },
    {
      resourceType: "AuditEvent" as const,
      id: `${patient}-audit`,
      type: { system: "http://dicom.nema.org/resources/ontology/DCM", code: "110110" },
      recorded: "2026-01-01T00:00:00Z",
      agent: [{ who: to("Practitioner/p"), requestor: true }],
      source: { observer: to("Device/d") },
      entity: [{ what: to(`Patient/${patient}`) }, { what: condition }],
    },
  ];
};
const world = [
  ...rowsOf("ann", hiv),
  ...rowsOf("bob", cold),
  ...["ann", "bob"].flatMap(namingOf),
  { resourceType: "Patient" as const, id: "eve" },
  prescription("eve-lost", "eve", { reasonReference: [to("Condition/absent")] }),
  prescription("eve-foreign", "eve", { reasonReference: [to("https://other.example/fhir/Condition/1")] }),
  prescription("eve-plain", "eve", {}),
  { ...observation("eve", {}), id: "eve-update" },
  visit("eve-e", "eve", {}),
  { ...observation("eve", { encounter: to("Encounter/eve-e") }), id: "eve-at-visit" },
  { ...observation("eve", { encounter: to("Encounter/absent") }), id: "eve-at-none" },
  provenance("eve-of-visit", "Observation/eve-at-visit"),
  provenance("eve-of-none", "Observation/eve-at-none"),
  { resourceType: "Patient" as const, id: "gil" },
  ...gilsVisits.map((id) => visit(id, "gil", {})),
  ...amongHidden("hal", true),
  ...amongHidden("ida", false),
  { ...observation("gil", { focus: gilsVisits.map((id) => to(`Encounter/${id}`)) }), id: "gil-many" },
];
const types = [
  "Patient",
  "Condition",
  "Encounter",
  "MedicationRequest",
  "Observation",
  "Provenance",
  "List",
  "AuditEvent",
] as const;
const policyOf = (name: string, labels: PolicyDocument["labels"]) =>
  policyEntry(
    name,
    [rule([...types], "everything", { interactions: ["read", "search", "create", "update"] })],
    { purposes: ["TREAT", "PATRQT"], operations: ["everything"], labels },
  );

const clients = {
  through: { labels: { fromCodes: true }, purpose: "TREAT", policy: "through", scopes: "system/*.cruds" },
  direct: {
    labels: { fromCodes: true, throughReferences: false },
    purpose: "TREAT",
    policy: "direct",
    scopes: "system/*.cruds",
  },
  eve: {
    labels: { fromCodes: true },
    purpose: "PATRQT",
    policy: "eve",
    scopes: "patient/*.cruds",
    claims: { patient: "eve" },
  },
} as const;
const all = ["through", "direct", "eve"] as const;
type Who = keyof typeof clients;
let phylax: Door;
let ask: AskAs<Who>;

beforeAll(async () => {
  phylax = await startDoor({ resources: world });
  const policies = all.map((who) => policyOf(who, clients[who].labels));
  ask = await outsideApps(phylax, clients, policies);
}, 60_000);
afterAll(() => phylax.close());

const idsIn = ({ text }: Reply): readonly string[] =>
  ((JSON.parse(text) as { entry?: readonly { resource: { id: string } }[] }).entry ?? [])
    .map(({ resource: { id } }) => id)
    .toSorted();

test("a prescription for a labelled condition, or from a labelled visit, is as absent as its condition; a reference that leads nowhere counts as labelled", async ({
  expect,
}) => {
  const prescribed = ["at-visit", "for-it", "plain"];
  for (const [patient, left] of [
    ["ann", ["plain"]],
    ["bob", prescribed],
  ] as const) {
    const search = await ask("through", `MedicationRequest?patient=${patient}&_sort=_id`);
    expect(idsIn(search), search.text).toEqual(left.map((each) => `${patient}-${each}`));
    for (const each of prescribed)
      expect(
        (await ask("through", `MedicationRequest/${patient}-${each}`)).status,
        `${patient}-${each}`,
      ).toBe(left.includes(each as never) ? 200 : 404);
  }
  expect(idsIn(await ask("through", "MedicationRequest?patient=eve"))).toEqual(["eve-plain"]);
  expect(idsIn(await ask("direct", "MedicationRequest?patient=ann&_sort=_id"))).toEqual(
    prescribed.map((each) => `ann-${each}`),
  );
  const everything = idsIn(await ask("through", "Patient/ann/$everything"));
  expect(everything.filter((id) => id.startsWith("ann-"))).toEqual(["ann-plain"]);
});

test("L58: a List and an AuditEvent that name a labelled condition by a display are as absent as the condition", async ({
  expect,
}) => {
  const statusOf = async (path: string) => (await ask("through", path)).status;
  for (const path of ["Condition/*-c", "List/*-problems", "AuditEvent/*-audit"]) {
    expect(await statusOf(path.replace("*", "ann")), path).toBe(404);
    expect(await statusOf(path.replace("*", "bob")), path).toBe(200);
  }
  expect(idsIn(await ask("through", "List?patient=ann"))).toEqual([]);
  expect(idsIn(await ask("through", "List?patient=bob"))).toEqual(["bob-problems"]);
});

test("the origin gets one search for each type of a page, whether the resources are labelled or not", async ({
  expect,
}) => {
  const questions = async (patient: string) => {
    const from = phylax.forwarded.length;
    const reply = await ask("through", `MedicationRequest?patient=${patient}&_sort=_id&_count=50`);
    if (reply.status !== 200) throw new Error(reply.text);
    return phylax.forwarded.slice(from).map((each) => each.replaceAll(patient, "*"));
  };
  const [ann, bob] = [await questions("ann"), await questions("bob")];
  expect(ann).toEqual(bob);
  expect(ann.length).toBe(3);
});

test("a write of an own row tells nothing of a resource of a different patient: absent, labelled and unlabelled are the same", async ({
  expect,
}) => {
  const fhirJson = { "content-type": "application/fhir+json" };
  const write = async (who: Who, method: "POST" | "PUT", path: string, body: object): Promise<string> => {
    const headers = { ...fhirJson, ...(method === "PUT" && { "if-match": await etagOf(who, path) }) };
    const reply = await ask(who, path, { method, headers, body: JSON.stringify(body) });
    const entries = path === "" ? (JSON.parse(reply.text) as { entry?: { response: object }[] }).entry : [];
    const at = reply.headers["location"];
    if (at === undefined) return `${reply.status} ${JSON.stringify(entries)} ${reply.text}`;
    const id = at.split("/").at(-3) ?? "";
    const back = await Promise.all((["through", "eve"] as const).map((by) => ask(by, `Observation/${id}`)));
    return `${reply.status}, then ${back.map(({ status }) => status).join(" and ")}`;
  };
  const etagOf = async (who: Who, path: string) => String((await ask(who, path)).headers["etag"]);
  const focus = (target: string) => ({ focus: [to(target)] });
  const entryOf = (resource: object) => ({
    resourceType: "Bundle",
    type: "transaction",
    entry: [{ resource, request: { method: "POST", url: "Observation" } }],
  });
  const scrubbed = (said: string, target: string) =>
    said.replaceAll(target, "*").replaceAll(/Request [0-9a-f]+/gu, "Request");
  for (const who of all) {
    const outcomes: string[] = [];
    for (const target of ["Condition/absent", "Condition/bob-c", "Condition/ann-c"]) {
      const row = observation("eve", focus(target));
      const done = [
        await write(who, "POST", "Observation", row),
        ...(who === "direct"
          ? []
          : [
              await write(who, "PUT", "Observation/eve-update", { ...row, id: "eve-update" }),
              await write(who, "POST", "", entryOf(row)),
            ]),
      ];
      outcomes.push(scrubbed(done.join("\n"), target));
    }
    expect(new Set(outcomes).size, outcomes.join("\n\n")).toBe(1);
    expect(outcomes[0]).toMatch(who === "direct" ? /^201, then 404 and 404$/u : /^(?:403 .*(?:\n|$)){3}$/u);
  }
  // a reference to a row of the same patient is accepted
  expect(await write("eve", "POST", "Observation", observation("eve", focus("Observation/eve-update")))).toBe(
    "201, then 200 and 200",
  );
});

test("a row with more references than a question has ids is shown, the first time as later", async ({
  expect,
}) => {
  for (const _time of [1, 2])
    expect(idsIn(await ask("through", "Observation?patient=gil"))).toEqual(["gil-many"]);
});

test("a Provenance is shown with its target, and hidden with it, also if the labels of the target were not known", async ({
  expect,
}) => {
  const status = async (id: string) => (await ask("eve", `Provenance/${id}`)).status;
  expect([await status("eve-of-visit"), await status("eve-of-none")]).toEqual([200, 404]);
});

test("L55: hidden rows that refer to more resources than a request follows hide no visible row: a page ends before the row", async ({
  expect,
}) => {
  const rowsOf = async (patient: string) => {
    const pages: string[][] = [];
    let next: string | undefined = `Observation?patient=${patient}&_sort=_id&_count=50`;
    while (next !== undefined) {
      const reply = await ask("through", next);
      if (reply.status !== 200) throw new Error(reply.text);
      pages.push(idsIn(reply).map((id) => id.replaceAll(patient, "*")));
      const { link } = JSON.parse(reply.text) as { link: { relation: string; url: string }[] };
      next = link.find(({ relation }) => relation === "next")?.url;
    }
    return pages;
  };
  const [among, alone] = [await rowsOf("hal"), await rowsOf("ida")];
  expect(alone.map(({ length }) => length)).toEqual([13]);
  expect(among.flat()).toEqual(alone.flat());
  expect(among.length, "over 80 % of what was followed is of hidden rows").toBe(2);
});
