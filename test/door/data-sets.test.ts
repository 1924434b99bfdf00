import { afterAll, beforeAll, expect, test } from "vitest";
import { findIdentifiers } from "#deid-check/check";
import { insideOf, readLeftJson } from "#deid-check/read-json";
import { eventsOf } from "../support/auditor.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { starterPolicy } from "../support/outside.ts";
import { outsideApps, type AskAs } from "../support/outside-apps.ts";
import { policyEntry, rule } from "../policy/granting.ts";

// ADR 132: a policy with a form answers in that form, whatever the route, or refuses.

const mark = (place: string) => `canary-${place}`;
const loinc = { system: "http://loinc.org", code: "4548-4" };
const patient = (id: string, more: object = {}) => ({
  resourceType: "Patient",
  id,
  active: true,
  identifier: [{ system: "urn:mrn", value: mark("mrn") }],
  name: [{ family: mark("family"), given: [mark("given")] }],
  telecom: [{ system: "phone", value: mark("phone") }],
  gender: "female",
  birthDate: "1984-03-02",
  address: [{ line: [mark("line")], city: "Canarytown", state: "MA", postalCode: "02115" }],
  ...more,
});
const result = (id: string, of: string, more: object = {}) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: {
    coding: [loinc, { system: "urn:local", code: mark("local"), display: mark("display") }],
    text: mark("text"),
  },
  subject: { reference: `Patient/${of}`, display: mark("subject") },
  effectiveDateTime: "2020-05-06T07:08:09Z",
  note: [{ text: mark("note") }],
  ...more,
});
const world = [
  patient("canary-ann"),
  patient("canary-bob", { gender: "male", birthDate: "1920-01-01" }),
  patient("canary-cy", {
    gender: "other",
    _deceasedDateTime: { extension: [{ url: "urn:canary", valueString: mark("extension") }] },
  }),
  result("canary-o1", "canary-ann"),
  result("canary-o2", "canary-ann"),
  result("canary-o3", "canary-bob"),
  // A row that no table reads is withheld whole.
  result("canary-o4", "canary-ann", { modifierExtension: [{ url: "urn:canary", valueBoolean: true }] }),
];

const procedures = Array.from({ length: 130 }, (_, at) => ({
  ...result(`canary-p${at}`, "canary-bob"),
  resourceType: "Procedure",
  status: "completed",
}));

const past = "2000-01-01";
const formed = (name: string, form: object, more: object = {}) => {
  const { body } = starterPolicy("hresch-safe-harbor");
  return { name, body: { ...body, name, form, ...more } };
};
const expert = {
  kind: "expert",
  dataSet: "study",
  table: "safe-harbor",
  method: "k-anonymity",
  expert: "A. Statistician",
};

type Who = "safe" | "other" | "limited" | "late" | "plain" | "one";
let phylax: Door;
let ask: AskAs<Who>;
beforeAll(async () => {
  phylax = await startDoor({ resources: [...world, ...procedures] });
  const app = (policy: string) => ({ policy, purpose: "HRESCH", scopes: "system/*.cruds" });
  ask = await outsideApps<Who>(
    phylax,
    {
      safe: app("hresch-safe-harbor"),
      other: app("other"),
      limited: app("plain"),
      late: app("late"),
      plain: app("plain"),
      one: { ...app("hresch-safe-harbor"), scopes: "patient/*.rs", claims: { patient: "canary-ann" } },
    },
    [
      starterPolicy("hresch-safe-harbor"),
      formed("other", { ...starterPolicy("hresch-safe-harbor").body.form, dataSet: "second" }),
      formed("late", { ...expert, on: past, until: "2001-01-01" }),
      policyEntry("plain", [rule(["Patient", "Observation"], "everything")], {
        purposes: ["HRESCH"],
        consent: { base: "honoured" },
      }),
    ],
  );
}, 60_000);
afterAll(() => phylax.close());

interface Entry {
  readonly resource: { readonly subject?: { readonly reference: string } };
}
interface Link {
  readonly relation: string;
}
const json = async (who: Who, path: string) => {
  const reply = await ask(who, path);
  return { ...reply, body: JSON.parse(reply.text) };
};
const idOf = async (who: Who, query: string): Promise<string> =>
  (await json(who, query)).body.entry[0].resource.id;

/** Every text that a client gets: the body and the headers. */
const all = ({ text, headers }: { text: string; headers: object }) => text + JSON.stringify(headers);

test("a token of one patient, whose id its reader knows, is refused", async () => {
  const reply = await ask("one", "Patient");
  expect([reply.status, reply.text]).toEqual([403, expect.stringContaining("164.514")]);
});

test("no route shows an id, a name or a date of a row: each answers in the form or refuses", async () => {
  const [ann, o1] = [await idOf("safe", "Patient?gender=female"), await idOf("safe", "Observation")];
  const answered = [
    `Patient/${ann}`,
    `Observation/${o1}`,
    "Patient",
    "Observation?_count=200",
    "Observation?status=final",
    `Observation?patient=${ann}`,
    `Observation?subject=Patient/${ann}&_include=Observation:subject`,
    "Observation?patient.gender=female",
    `Observation?code=${encodeURIComponent("http://loinc.org|4548-4")}`,
    "Patient?_has:Observation:patient:status=final&_revinclude=Observation:patient",
    `Patient/${ann}/Observation`,
    `Patient/${ann}/$everything`,
    `Patient/${ann}/*`,
    "?_type=Patient,Observation",
  ];
  for (const path of answered) {
    const reply = await json("safe", path);
    expect([reply.status, path, reply.text.slice(0, 200)]).toEqual([200, path, expect.anything()]);
    expect(all(reply), path).not.toMatch(/canary|1984-|2020-0/u);
    const text = reply.text.replaceAll(/_page=[\w-]+/gu, ""); // sealed: any text by chance
    expect(text, path).not.toMatch(/canary|02115|mrn|"total"|versionId|lastUpdated/iu);
    expect(reply.headers["last-modified"], path).toBeUndefined();
    for (const each of insideOf(readLeftJson(reply.text) ?? { kind: "object", members: [] }))
      expect(
        findIdentifiers(each, "safe-harbor", 2026).filter(({ path: at }) => !at.startsWith("Bundle")),
      ).toEqual([]);
  }
  const refusedPaths = [
    `Patient/${ann}/_history`,
    `Patient/${ann}/_history/1`,
    "Patient/_history",
    `Patient/${ann}?_elements=gender`,
    `Patient/${ann}?_summary=true`,
    "Patient?_elements=gender",
    "Patient?_summary=count",
    "Patient?_total=accurate",
    "Patient?_count=1",
    "Patient?_count=101",
    `Patient/${ann}/$everything?_count=7`,
    "Patient?birthdate=1984",
    "Patient?birthdate=ge1984-03-02",
    "Patient?family=canary-family",
    "Patient?identifier=urn:mrn|canary-mrn",
    "Patient?_lastUpdated=ge2020-01-01",
    "Patient?_sort=birthdate",
    "Patient?_sort=gender",
    "Patient?gender:missing=true",
    "Patient?gender:not=male",
    "Patient?gender=canary",
    "Observation?date=ge2020-01-01",
    "Observation?code=4548-4",
    "Observation?code=urn:local|canary-local",
    "Observation?code:text=canary",
    "Observation?patient.birthdate=1984",
    "Observation?patient.family=canary-family",
    "Patient?_has:Observation:patient:date=2020",
    "Patient?_has:Observation:patient:code=urn:local|canary-local",
    `Patient/${ann}/$everything?_since=2020-01-01T00:00:00Z`,
    `Patient/${ann}/$everything?start=2020-01-01`,
    `Patient/${ann}/$disclosures`,
    "Observation/$lastn?patient=" + ann,
    "Binary/1",
  ];
  for (const path of refusedPaths) {
    const reply = await json("safe", path);
    expect([reply.status, path]).toEqual([403, path]);
    expect(all(reply).replaceAll(path, ""), path).not.toMatch(/canary-(?:ann|bob|o\d)|1984-03|2020-05/u);
  }
});

test("metadata promises what a form answers, and no more", async () => {
  const { status, body } = await json("safe", "metadata");
  expect(status).toBe(200);
  const [rest] = body.rest;
  expect(rest.documentation).toContain("_count in hundreds");
  expect(rest.interaction).toEqual([{ code: "search-system" }]);
  expect(JSON.stringify(body)).not.toMatch(/us-core|history|vread|patch|conditionalCreate/u);
  const [ann] = [await idOf("safe", "Patient?gender=female")];
  const values: Readonly<Record<string, string | undefined>> = {
    _id: ann,
    patient: ann,
    subject: `Patient/${ann}`,
  };
  const coded = encodeURIComponent("http://loinc.org|4548-4");
  let asked = 0;
  for (const { type, interaction, searchParam = [], searchInclude = [] } of rest.resource) {
    expect(interaction).toEqual([{ code: "read" }, { code: "search-type" }]);
    const questions = [
      ...searchParam.map(({ name = "", documentation }: Record<string, string>) => [
        name,
        documentation === undefined ? values[name] : coded,
      ]),
      ...searchInclude.map((name: string) => ["_include", name]),
    ].filter(([, value]) => value !== undefined);
    for (const [name = "", value = ""] of questions) {
      const path = `${type}?${name}=${value}`;
      expect([path, (await ask("safe", path)).status]).toEqual([path, 200]);
      asked += 1;
    }
  }
  expect(asked).toBeGreaterThan(20);
  // without a form the same server promises more
  const plain = (await json("plain", "metadata")).body.rest[0];
  expect(plain.interaction).toHaveLength(3);
  expect(plain.documentation).toBeUndefined();
});

test("writes and batches under a form are refused, and nothing reaches the origin", async () => {
  const before = phylax.forwarded.length;
  const batch = {
    resourceType: "Bundle",
    type: "batch",
    entry: [{ request: { method: "GET", url: "Patient" } }],
  };
  for (const [method, path, body] of [
    ["POST", "Patient", patient("x")],
    ["PUT", "Patient/x", patient("x")],
    ["DELETE", "Patient/x", undefined],
    ["POST", "", batch],
    ["POST", "Patient/$validate", patient("x")],
  ] as const) {
    const reply = await ask("safe", path, {
      method,
      headers: { "content-type": "application/fhir+json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    expect([reply.status, method, path]).toEqual([403, method, path]);
  }
  expect(phylax.forwarded.length).toBe(before);
});

test("a code stands for its row in its data set alone, and an original id for none", async () => {
  const ann = await idOf("safe", "Patient?gender=female");
  expect(ann).toMatch(/^[0-9a-f]{32}$/u);
  expect(await idOf("safe", "Patient?gender=female")).toBe(ann);
  expect((await json("safe", "Patient?_id=" + ann)).body.entry).toHaveLength(1);
  const theirs = await idOf("other", "Patient?gender=female");
  expect(theirs).not.toBe(ann);
  for (const [who, id] of [
    ["other", ann],
    ["safe", theirs],
    ["safe", "canary-ann"],
  ] as const) {
    expect((await ask(who, `Patient/${id}`)).status).toBe(404);
    expect((await json(who, `Observation?patient=${id}`)).body.entry).toBeUndefined();
  }
  const of = (await json("safe", `Observation?patient=${ann}`)).body.entry;
  expect(of.map(({ resource }: Entry) => resource.subject?.reference)).toEqual([
    `Patient/${ann}`,
    `Patient/${ann}`,
  ]);
});

test("pages of whole hundreds lead to all rows in the order of the codes, and their links name no row", async () => {
  const pages: (readonly string[])[] = [];
  for (let next = "Procedure"; next !== "" && pages.length < 8;) {
    const { body, status } = await json("safe", next);
    expect(status).toBe(200);
    pages.push((body.entry ?? []).map(({ resource }: { resource: { id: string } }) => resource.id));
    const link: string = body.link.find(({ relation }: Link) => relation === "next")?.url ?? "";
    next = link.slice(link.indexOf("/main/") + 1).replace("main/", "");
  }
  expect(pages.map(({ length }) => length)).toEqual([100, 30]);
  expect(new Set(pages.flat()).size).toBe(130);
  for (const page of pages) expect(page).toEqual(page.toSorted());
});

test("named rows leave on one page: a page of a part of them would tell which row the origin sends last", async () => {
  const [ann, bob] = [await idOf("safe", "Patient?gender=female"), await idOf("safe", "Patient?gender=male")];
  const chosen = [
    `Procedure?patient=${ann},${bob}`,
    `Procedure?subject=Patient/${ann},Patient/${bob}`,
    `Procedure?patient:Patient._id=${ann},${bob}`,
    `Procedure?patient._id=${ann},${bob}`,
  ];
  for (const path of chosen) {
    const part = await ask("safe", path);
    expect([path, part.status]).toEqual([path, 403]);
    // The refusal tells that the rows are more than a page: their patient is on record.
    const [refusal, ...decided] = await eventsOf(phylax.dev, part.headers["x-request-id"]);
    expect(refusal).toMatchObject({ kind: "refusal" });
    expect(JSON.stringify(decided)).toContain("main/Patient/canary-bob");
    const whole = await json("safe", `${path}&_count=200`);
    expect([path, whole.status, whole.body.entry?.length]).toEqual([path, 200, 130]);
  }
  expect((await json("safe", `Procedure?patient=${bob}`)).body.entry).toHaveLength(100);
  const ofTypes = `?_type=Procedure,Condition&patient=${ann},${bob}`;
  expect((await ask("safe", ofTypes)).status).toBe(403);
  const all = await json("safe", `${ofTypes}&_count=200`);
  expect([all.status, all.body.entry?.length]).toEqual([200, 130]);
  const few = await json("safe", `?_type=Observation,Condition&patient=${ann},${bob}`);
  expect(few.status).toBe(200);
});

test("a death without a date shows: its extension stays back, and the element is masked", async () => {
  const { body, text } = await json("safe", "Patient?gender=other");
  expect(text).not.toContain("canary");
  expect(body.entry[0].resource._deceasedDateTime.extension).toEqual([
    { url: "http://hl7.org/fhir/StructureDefinition/data-absent-reason", valueCode: "masked" },
  ]);
});

test("a withheld row answers as an absent row", async () => {
  // A view without the extension withholds the row too. Its code is known by no row that leaves.
  const { text } = await ask("safe", "Observation");
  expect(JSON.parse(text).entry).toHaveLength(3);
});

test("a limited data set keeps dates, towns and ZIP Codes, and finds rows by them", async () => {
  const signed = (id: string, kind: string) => ({
    agreements: [
      {
        id,
        client: "limited",
        purposes: ["HRESCH"],
        from: "2020-01-01T00:00:00Z",
        to: "2100-01-01T00:00:00Z",
        kind,
        documentHash: "0".repeat(64),
      },
    ],
    grants: [
      {
        client: "limited",
        origin: "main",
        purpose: "HRESCH",
        agreement: id,
        policy: "hresch-limited",
        scopes: "system/*.rs",
        quotas: { default: { requests: 10_000, windowSeconds: 60 } },
      },
    ],
    policies: [starterPolicy("hresch-limited")],
  });
  await expect(phylax.applyRegistry(signed("baa", "business-associate"))).rejects.toThrow("data-use");
  await phylax.applyRegistry(signed("dua", "data-use"));
  const reply = await json(
    "limited",
    "Observation?date=ge2020-05-06&_include=Observation:subject&_sort=date",
  );
  expect(reply.status, reply.text).toBe(200);
  expect(reply.text).toContain("2020-05-06T07:08:09Z");
  expect(reply.text).toContain("Canarytown");
  expect(all(reply)).not.toMatch(/canary-/u);
  const [event] = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
  expect(event).toMatchObject({
    form: { kind: "limited-data-set", dataSet: "study" },
    why: { agreement: "dua" },
  });
});

test("a form that is not in force refuses, and says so in the record alone", async () => {
  const reply = await ask("late", "Patient");
  expect(reply.status).toBe(403);
  const [event] = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
  expect(event).toMatchObject({
    outcome: { reason: "form_not_in_force" },
    form: { kind: "expert", method: "k-anonymity" },
  });
});

test("a policy without a form answers as before", async () => {
  const { body } = await json("plain", "Patient/canary-ann");
  expect(body).toMatchObject({ id: "canary-ann", birthDate: "1984-03-02" });
});

test("an export in a form has the codes, and no id, name or date, of the rows that its searches show", async () => {
  const headers = { prefer: "respond-async" };
  const begun = await ask("safe", "$export?_type=Observation,Patient", { headers });
  expect(begun.status, begun.text).toBe(202);
  const manifest = await json("safe", String(begun.headers["content-location"]));
  const { output } = manifest.body as { output: { type: string; url: string }[] };
  expect(output.map(({ type }) => type)).toEqual(["Observation", "Patient"]);
  for (const { type, url } of output) {
    const file = await ask("safe", url);
    expect(file.status, file.text).toBe(200);
    expect(all(file)).not.toMatch(/canary|1984-|2020-0|02115|mrn/u);
    const ids = file.text
      .split("\n")
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { id: string }).id);
    const { body } = await json("safe", `${type}?_count=500`);
    const shown = (body.entry as { resource: { id: string } }[]).map(({ resource }) => resource.id);
    expect(ids.toSorted()).toEqual(shown.toSorted());
  }
  const byTime = "$export?_type=Patient&_since=2020-01-01T00:00:00Z";
  expect((await ask("safe", byTime, { headers })).status).toBe(400);
  const lenient = { prefer: "respond-async, handling=lenient" };
  const timed = await ask("safe", byTime, { headers: lenient });
  const { output: none, error } = (await json("safe", String(timed.headers["content-location"]))).body;
  expect([none, error.length], "a form shows no times").toEqual([[], 1]);
});
