import { afterAll, beforeAll, test } from "vitest";
import { eventsOf } from "../support/auditor.ts";
import { type AskAs, outsideApps } from "../support/outside-apps.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { fhirSending, to } from "../support/fhir-parts.ts";
import { policyEntry, rule } from "../policy/granting.ts";
import type { PolicyRule } from "#policy/schema";

// FHIR R4 §3.1.1.4.12: a search by the URL of another server finds the rows that refer by this URL.

const foreign = "http://other.example/fhir/Encounter/1";
const observation = (id: string, patient: string, encounter: string) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { text: "pulse" },
  subject: to(`Patient/${patient}`),
  encounter: to(encounter),
});
const world = [
  { resourceType: "Patient", id: "ann" },
  { resourceType: "Patient", id: "ben" },
  {
    resourceType: "Encounter",
    id: "e1",
    status: "finished",
    class: { code: "AMB" },
    subject: to("Patient/ann"),
  },
  observation("ann-foreign", "ann", foreign),
  observation("ann-local", "ann", "Encounter/e1"),
  observation("ben-foreign", "ben", foreign),
];
const policyOf = (name: string, deletes: boolean, show: PolicyRule["show"]) =>
  policyEntry(
    name,
    [
      rule(["Patient", "Encounter"], "everything", { interactions: ["read", "search", "delete"] }),
      rule(["Observation"], show, deletes ? { interactions: ["read", "search", "delete"] } : {}),
    ],
    { purposes: ["PATRQT"] },
  );
const policies = [
  policyOf("open", true, "everything"),
  policyOf("cut", false, ["status", "code", "subject"]),
];

const clients = {
  clinic: { scopes: "system/*.cruds", policy: "open" },
  app: {
    scopes: "patient/*.cruds",
    policy: "open",
    claims: { patient: "ann", fhirUser: "RelatedPerson/relative" },
  },
  cut: { scopes: "system/*.cruds", policy: "cut" },
} as const;
type Who = keyof typeof clients;
let phylax: Door;
let ask: AskAs<Who>;
beforeAll(async () => {
  phylax = await startDoor({ resources: world });
  ask = await outsideApps(phylax, clients, policies);
  // a row of the origin that names the origin by its own address
  const own = observation("ann-own", "ann", `${phylax.dev.origin}/Encounter/e1`);
  await fetch(`${phylax.dev.origin}/Observation/ann-own`, fhirSending("PUT", own));
}, 120_000);
afterAll(() => phylax.close());

async function found(who: Who, query: string) {
  const before = phylax.forwarded.length;
  const reply = await ask(who, query);
  const { entry = [], total } = JSON.parse(reply.text) as {
    entry?: readonly { resource: { id: string } }[];
    total?: number;
  };
  const sent = phylax.forwarded.slice(before).join("\n");
  return { status: reply.status, ids: entry.map(({ resource }) => resource.id).sort(), total, sent, reply };
}

test("a search by the URL of another server finds the rows that refer by exactly this URL, and no origin gets the URL", async ({
  expect,
}) => {
  const cases: readonly (readonly [Who, string, readonly string[]])[] = [
    ["clinic", `Observation?encounter=${foreign}`, ["ann-foreign", "ben-foreign"]],
    ["clinic", `Observation?encounter=${encodeURIComponent(foreign)}&patient=ann`, ["ann-foreign"]],
    ["clinic", `Observation?encounter=${foreign}&_elements=status`, ["ann-foreign", "ben-foreign"]],
    ["clinic", `Observation?encounter=${foreign}0`, []],
    ["clinic", "Observation?encounter=HTTP://OTHER.example/fhir/Encounter/1", []],
    ["clinic", `Patient?_has:Observation:patient:encounter=${foreign}`, ["ann", "ben"]],
    ["app", `Observation?encounter=${foreign}`, ["ann-foreign"]],
    [
      "app",
      `Observation?encounter=Encounter/e1,${foreign}&patient=ann`,
      ["ann-foreign", "ann-local", "ann-own"],
    ],
  ];
  for (const [who, query, ids] of cases) {
    const { sent, ...answer } = await found(who, query);
    expect([answer.status, answer.ids], `${who} ${query} ${answer.reply.text}`).toEqual([200, ids]);
    expect(sent.toLowerCase()).not.toContain("other.example");
  }
  const counted = await found("clinic", `Observation?encounter=${foreign}&patient=ann&_summary=count`);
  expect([counted.status, counted.total], counted.reply.text).toEqual([200, 1]);
  const posted = await ask("clinic", "Observation/_search", {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: `encounter=${encodeURIComponent(foreign)}`,
  });
  expect(posted.text).toContain("ben-foreign");
});

test("the origin's own address finds nothing, as any other address: no guess at it is confirmed", async ({
  expect,
}) => {
  for (const base of [phylax.dev.origin, phylax.dev.origin.toUpperCase(), "http://elsewhere.example/fhir"]) {
    const before = phylax.forwarded.length;
    // the link to the page itself would repeat the address
    const reply = await ask("clinic", `Observation?encounter=${base}/Encounter/e1`, { method: "HEAD" });
    const events = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
    expect([reply.status, events.map(({ kind, counts }) => [kind, counts])]).toEqual([
      200,
      [["disclosure", {}]],
    ]);
    expect(phylax.forwarded.slice(before).join("\n")).not.toContain("e1");
  }
  const own = await found("clinic", `Observation?encounter=${phylax.dev.fhir}/Encounter/e1`);
  expect(own.ids).toEqual(["ann-local", "ann-own"]);
});

test("a reference that may name a patient, a hidden element and a condition of a write take no URL of another server", async ({
  expect,
}) => {
  for (const query of [
    "Observation?subject=http://other.example/fhir/Patient/1",
    "Observation?patient=http://other.example/fhir/Patient/1",
    "Observation?performer=http://other.example/fhir/Practitioner/1",
    "Observation?focus=http://other.example/fhir/Patient/1",
    `Observation?subject=${phylax.dev.origin}/Patient/ann`,
    "Provenance?target=http://other.example/fhir/Observation/1",
  ]) {
    const { status, reply } = await found("clinic", query);
    expect(status, query).toBe(400);
    expect(reply.text).toContain("Give the id, or Type/id");
    const [refusal] = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
    expect(refusal).toMatchObject({ kind: "refusal", outcome: { reason: "reference_to_other_server" } });
  }
  expect((await ask("cut", `Observation?encounter=${foreign}`)).status).toBe(403);
  const deleted = await ask("clinic", `Observation?encounter=${foreign}`, { method: "DELETE" });
  expect(deleted.status, deleted.text).toBe(400);
});
