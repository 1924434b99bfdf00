import type { Resource } from "@medplum/fhirtypes";
import { test } from "vitest";
import { to } from "../support/fhir-parts.ts";
import { beyond, readsConsents, type Asking } from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";

// Two worlds that differ only in a row that a user may not see: her relation to its patient is asked for in one world,
// and in the other there is no row to ask about. Answers, waits and the number of questions are alike.

const why = "45 CFR 164.506(c)(2): treatment.";
const policy = {
  format: "phylax.policy.v1",
  name: "related",
  title: "The patients of a practitioner",
  purposes: ["PATRQT"],
  users: ["practitioner"],
  operations: ["everything", "lastn"],
  rules: [
    {
      types: ["Patient", "Observation", "Appointment", "Provenance"],
      interactions: ["read", "search", "create", "update", "delete"],
      show: "everything",
      why,
      examples: [{ says: "It may be read.", request: "Observation/1", is: "permitted" }],
    },
  ],
};
const worlds = worldsUnder(policy);

const thp = "http://terminology.hl7.org/CodeSystem/";
const patient = (id: string, practitioner: string): Resource => ({
  resourceType: "Patient",
  id,
  generalPractitioner: [to(`Practitioner/${practitioner}`)],
});
const observation = (id: string, subject: string, more: object = {}): Resource => ({
  resourceType: "Observation",
  id,
  status: "final",
  category: [{ coding: [{ system: `${thp}observation-category`, code: "vital-signs" }] }],
  code: { text: "pulse" },
  subject: to(`Patient/${subject}`),
  effectiveDateTime: "2026-01-02",
  ...more,
});
const appointment = (id: string, ...patients: readonly string[]): Resource => ({
  resourceType: "Appointment",
  id,
  status: "booked",
  participant: patients.map((one) => ({ actor: to(`Patient/${one}`), status: "accepted" })),
});
const shown: readonly Resource[] = [
  { ...patient("ann", "vera"), link: [{ other: to("Patient/bea"), type: "seealso" }] } as Resource,
  patient("bea", "vera"),
  patient("zoe", "otto"),
  observation("shown", "ann", { hasMember: [to("Observation/hidden")] }),
  appointment("both", "ann", "bea"),
];
const labelled = { meta: { security: [{ system: `${thp}v3-Confidentiality`, code: "V" }] } };

/** The rows of one world alone. */
const hidden: Readonly<Record<string, readonly Resource[]>> = {
  "a stranger's row": [observation("hidden", "zoe"), appointment("hidden", "zoe")],
  "a row of a patient and a stranger": [
    observation("hidden", "zoe", { performer: [to("Patient/ann")] }),
    appointment("hidden", "ann", "zoe"),
  ],
  "a labelled row of a patient": [
    observation("hidden", "ann", labelled),
    { ...appointment("hidden", "ann", "bea"), ...labelled },
  ],
};

const json = { "content-type": "application/fhir+json" };
const questionsOf = (by: Exclude<Asking, (before: never) => unknown>["by"]): readonly Asking[] => {
  const ask = (path: string, more: object = {}) => ({ by, path, ...more });
  const send = (method: string, path: string, body: object) =>
    ask(path, { method, headers: json, body: JSON.stringify(body) });
  const read = (url: string) => ({ request: { method: "GET", url } });
  return [
    ...["Observation/hidden", "Appointment/hidden", "Observation/hidden"].map((path) => ask(path)),
    ask("Observation/hidden", { method: "HEAD" }),
    ask("Observation/hidden/_history/1"),
    ask("Observation/hidden/_history"),
    ask("Observation?_id=hidden,shown"),
    ask("Observation?_id=hidden"),
    ask("Observation?patient=ann"),
    ask("Observation?patient=ann&_include=Observation:has-member"),
    ask("Appointment?patient=ann"),
    ask("Observation?patient=zoe"),
    ask("Observation?status=final"),
    ask("Patient/ann/$everything"),
    send("PUT", "Observation/hidden", observation("hidden", "ann")),
    ask("Observation/hidden", { method: "DELETE" }),
    send("POST", "", {
      resourceType: "Bundle",
      type: "batch",
      entry: [read("Observation/hidden"), read("Appointment/hidden"), read("Observation/shown")],
    }),
    ask("Observation?patient=ann"),
    // The seventh entry is read after the first.
    send("POST", "", {
      resourceType: "Bundle",
      type: "batch",
      entry: ["Appointment?patient=ann", ...Array<string>(5).fill("Observation/shown"), "Patient/ann"].map(
        read,
      ),
    }),
    ...(["PUT", "DELETE"] as const).map((method) =>
      send("POST", "", {
        resourceType: "Bundle",
        type: "transaction",
        entry: [
          {
            request: { method, url: "Observation/hidden" },
            ...(method === "PUT" && { resource: observation("hidden", "ann") }),
          },
        ],
      }),
    ),
    ask("Appointment", {
      method: "POST",
      headers: { ...json, "if-none-exist": "patient=ann&status=cancelled" },
      body: JSON.stringify({ ...appointment("", "ann"), id: undefined, status: "proposed" }),
    }),
  ];
};
// The question about a stranger and the question about nobody differ in the id, which no client sees.
const openly = {
  questions: /\/body$/u,
  records: /\/event\/(?:withheld\/resources|unjudged|outcome\/reason|decision(?:\/|$))/u,
};

test.for(Object.keys(hidden))("%s is as absent, at the same cost", async (kind, { expect }) => {
  const by = await worlds.by("user", { jti: kind });
  const empty = { origin: shown };
  await worlds.compare(empty, empty, [{ by, path: "Patient/ann" }]); // it records the configuration
  const other = { origin: [...shown, ...(hidden[kind] ?? [])] };
  const { one, differences } = await worlds.compare(empty, other, questionsOf(by));
  expect(beyond(differences, openly)).toEqual([]);
  expect(one.map(({ status }) => status)).toEqual([
    ...Array<number>(6).fill(404),
    ...Array<number>(8).fill(200),
    404,
    404,
    200,
    200,
    200,
    404,
    404,
    201,
  ]);
});

test("a Consent on file hides no row of a user's other patients: by id, and in a search that names none", async ({
  expect,
}) => {
  const coded = (system: string, code: string) => ({ coding: [{ system: `${thp}${system}`, code }] });
  const denial: Resource = {
    resourceType: "Consent",
    id: "wish-of-bea",
    status: "active",
    scope: coded("consentscope", "patient-privacy"),
    category: [coded("v3-ActCode", "IDSCL")],
    patient: to("Patient/bea"),
    policyRule: coded("v3-ActCode", "OPTIN"),
    provision: { type: "deny" },
  };
  // no earlier test asked about these patients
  const origin = [
    ...shown,
    patient("new", "vera"),
    observation("of-new", "new"),
    observation("of-bea", "bea"),
  ];
  const world = { origin, consents: [denial], registry: readsConsents(worlds.originBase) };
  const by = await worlds.by("user", { jti: "consents" });
  const asked = ["Observation/of-new", "Observation?status=final", "Observation/of-bea"];
  const { one } = await worlds.compare(
    world,
    world,
    asked.map((path) => ({ by, path })),
  );
  expect(one.map(({ status }) => status)).toEqual([200, 200, 404]);
  const { entry = [] } = JSON.parse(one[1]?.body.toString() ?? "{}") as { entry?: { fullUrl: string }[] };
  expect(entry.map(({ fullUrl }) => fullUrl.split("/").at(-1) ?? "").toSorted()).toEqual(["of-new", "shown"]);
});
