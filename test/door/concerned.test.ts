import { expect as always, test } from "vitest";
import { type AskerKind } from "../support/askers.ts";
import { commonWorld, concernedPolicy, encounter, observation } from "../support/concerned-world.ts";
import type { PlainQuestion, Seen } from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";
import { fhirJson } from "../support/fhir-parts.ts";

// The names on record (P1): the patients of rows that the client may see and that are in the answer or
// decided it, the patients whom the question names within the client's row access, and, separately, the
// named patients beyond it. Each case runs in a world with the deciding row and in a world without it.

const worlds = worldsUnder(concernedPolicy, { records: { records: 10_000, windowSeconds: 3_600 } });

const world = [
  ...commonWorld,
  encounter("bobs-visit", "bob"),
  observation("bobs-hiv", "bob", { code: { coding: [{ code: "hiv" }] } }),
];

async function ask(
  kind: AskerKind,
  { path, method = "GET", body, headers = fhirJson }: PlainQuestion,
  origin = world,
): Promise<Seen> {
  const by = await worlds.by(kind);
  const question = { by, path, method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
  const { one } = await worlds.compare({ origin }, { origin }, [question]);
  const [seen] = one;
  if (seen === undefined) throw new Error("there was a question");
  return seen;
}

/**
 * The patients in disclosures with their counts, the patients that were asked for, and the kinds of the
 * events.
 */
const onRecord = ({ records }: Seen) => ({
  kinds: records.map(({ event }) => event.kind).filter((kind) => kind !== "configuration"),
  disclosed: Object.fromEntries(
    records
      .flatMap(({ event }) => (event.kind === "disclosure" ? event.patients : []))
      .map(({ patient, counts }) => [patient, counts]),
  ),
  asked: [...new Set(records.flatMap(({ event }) => event.asked ?? []))],
});

test("a hop of a _has: the record names the patient of the row that led to the ward", async ({ expect }) => {
  const seen = await ask("system", { path: "Location?_has:Encounter:location:subject=Patient/bob" });
  expect(JSON.parse(seen.body.toString("utf8"))).toMatchObject({
    total: 1,
    entry: [{ resource: { id: "ward" } }],
  });
  expect(onRecord(seen)).toEqual({
    kinds: ["disclosure"],
    disclosed: { "main/Patient/bob": { Encounter: 1 } },
    asked: [],
  });
});

test("a hop of a chain without a name: the record names all patients whose rows it passed", async ({
  expect,
}) => {
  const seen = await ask("system", { path: "Location?_has:Encounter:location:status=finished" });
  expect(onRecord(seen).disclosed).toEqual({
    "main/Patient/ann": { Encounter: 1 },
    "main/Patient/bob": { Encounter: 1 },
  });
});

test("a patient named beyond the client's row access is on record as asked for, and in no accounting; a patient within it is a disclosure", async ({
  expect,
}) => {
  for (const path of [
    "Observation?patient=bob",
    "Encounter?subject=Patient/bob",
    "Location/ward?x=Patient/bob",
  ].slice(0, 2)) {
    expect(onRecord(await ask("patient", { path })), path).toMatchObject({
      disclosed: {},
      asked: ["main/Patient/bob"],
    });
  }
  expect(onRecord(await ask("patient", { path: "Patient/bob" }))).toMatchObject({
    disclosed: {},
    asked: ["main/Patient/bob"],
  });
  const both = onRecord(await ask("patient", { path: "Observation?patient=bob,ann" }));
  expect(both).toMatchObject({
    disclosed: { "main/Patient/ann": { Observation: 1 } },
    asked: ["main/Patient/bob"],
  });
  expect(onRecord(await ask("user", { path: "Observation?patient=ben&code=zzz" }))).toMatchObject({
    disclosed: { "main/Patient/ben": {} },
    asked: [],
  });
});

test("a conditional reference in a refused transaction: the refusal has a disclosure too", async ({
  expect,
}) => {
  const refused = (reference: string) => ({
    resourceType: "Bundle",
    type: "transaction",
    entry: [
      {
        request: { method: "POST", url: "Condition" },
        resource: {
          resourceType: "Condition",
          subject: { reference: "Patient/ann" },
          evidence: [{ detail: [{ reference }] }],
        },
      },
      { request: { method: "DELETE", url: "Location/ward" } },
    ],
  });
  const there = await ask("system", {
    path: "",
    method: "POST",
    body: refused("Observation?subject=Patient/bob&code=hiv"),
  });
  const absent = await ask("system", {
    path: "",
    method: "POST",
    body: refused("Observation?subject=Patient/bob&code=zzz"),
  });
  expect([there.status, absent.status]).toEqual([403, 412]);
  expect(onRecord(there)).toEqual({
    kinds: ["refusal", "disclosure"],
    disclosed: { "main/Patient/bob": { Observation: 1 } },
    asked: [],
  });
  expect(onRecord(absent)).toMatchObject({ kinds: ["refusal"], disclosed: {} });
});

test("a conditional PATCH that fails on purpose reveals a value: the row's patient is on record", async ({
  expect,
}) => {
  const seen = await ask("system", {
    path: "Observation?subject=Patient/bob&code=hiv",
    method: "PATCH",
    headers: { "content-type": "application/json-patch+json" },
    body: [{ op: "test", path: "/code/coding/0/code", value: "no" }],
  });
  expect(seen.status).toBe(422);
  expect(onRecord(seen)).toMatchObject({
    kinds: ["refusal", "disclosure"],
    disclosed: { "main/Patient/bob": { Observation: 1 } },
  });
});

test("an ambiguous condition names the patients of all its rows", async ({ expect }) => {
  const twice = [...world, observation("bens-hiv", "ben", { code: { coding: [{ code: "hiv" }] } })];
  const seen = await ask("system", { path: "Observation?code=hiv", method: "DELETE" }, twice);
  expect(seen.status).toBe(412);
  expect(onRecord(seen)).toMatchObject({
    kinds: ["refusal", "disclosure"],
    disclosed: { "main/Patient/bob": { Observation: 1 }, "main/Patient/ben": { Observation: 1 } },
  });
});

test("a new resource names its patient on record by each base of the origin, as a changed one does", async ({
  expect,
}) => {
  const to = (patient: string) => ({ reference: `${worlds.originBase}/Patient/${patient}` });
  const row = observation("new", "bob", { subject: to("bob") });
  const entry = [{ resource: row, request: { method: "POST", url: "Observation" } }];
  for (const body of [row, { resourceType: "Bundle", type: "transaction", entry }]) {
    const path = body === row ? "Observation" : "";
    const seen = await ask("system", { path, method: "POST", body });
    expect(seen.records.flatMap(({ event }) => event.patients.map(({ patient }) => patient))).toContain(
      "main/Patient/bob",
    );
  }
  expect((await ask("patient", { path: "Observation", method: "POST", body: row })).status).toBe(403);
  const own = { ...row, subject: to("ann") };
  expect((await ask("patient", { path: "Observation", method: "POST", body: own })).status).toBe(201);
});

test("a failed precondition, a create that finds a row, and a write that shows nothing have a disclosure too", async ({
  expect,
}) => {
  const body = observation("bobs-hiv", "bob");
  const stale = await ask("system", {
    path: "Observation/bobs-hiv",
    method: "PUT",
    headers: { ...fhirJson, "if-match": '"no"' },
    body,
  });
  expect([stale.status, onRecord(stale)]).toMatchObject([412, { kinds: ["refusal", "disclosure"] }]);
  const found = await ask("system", {
    path: "Observation",
    method: "POST",
    headers: { ...fhirJson, "if-none-exist": "subject=Patient/bob&code=hiv", prefer: "return=minimal" },
    body: observation("x", "ben"),
  });
  expect([found.status, onRecord(found)]).toMatchObject([200, { kinds: ["write", "disclosure"] }]);
  const written = await ask("system", {
    path: "Observation/bobs-hiv",
    method: "PUT",
    headers: { ...fhirJson, prefer: "return=minimal" },
    body,
  });
  expect([written.status, onRecord(written)]).toMatchObject([
    200,
    { kinds: ["intent", "write", "disclosure"] },
  ]);
  for (const seen of [stale, found, written])
    expect(onRecord(seen).disclosed).toEqual({ "main/Patient/bob": { Observation: 1 } });
});

test("the patient of the row that gives a reader access to a practitioner is on record", async ({
  expect,
}) => {
  const visit = encounter("with-otto", "ann", {
    participant: [{ individual: { reference: "Practitioner/otto" } }],
  });
  const seen = await ask("patient", { path: "Practitioner/otto" }, [...commonWorld, visit]);
  expect(seen.status).toBe(200);
  expect(onRecord(seen).disclosed).toEqual({ "main/Patient/ann": { Encounter: 1 } });
});

test("each entry of a batch names the patients of its own question", async ({ expect }) => {
  const get = (url: string) => ({ request: { method: "GET", url } });
  const entry = [
    get("Location?_has:Encounter:location:subject=Patient/bob"),
    get("Patient/nobody"),
    get("Observation?patient=ann"),
  ];
  const { records } = await ask("system", {
    path: "",
    method: "POST",
    body: { resourceType: "Bundle", type: "batch", entry },
  });
  expect(records.map(({ event }) => [event.kind, event.patients.map(({ patient }) => patient)])).toEqual([
    ["disclosure", ["main/Patient/bob"]],
    ["refusal", ["main/Patient/nobody"]],
    ["disclosure", ["main/Patient/ann"]],
  ]);
});

test("a question may name 20 patients, or 100 by a system: a longer list is refused by name, and the origin gets no request", async ({
  expect,
}) => {
  const naming = (many: number) => ({
    path: `Observation?patient=${Array.from({ length: many }, (_, n) => `p${n}`).join(",")}`,
  });
  for (const [kind, most] of [
    ["patient", 20],
    ["user", 20],
    ["system", 100],
  ] as const) {
    expect((await ask(kind, naming(most))).status, kind).toBe(200);
    if (most === 100) continue; // a parameter takes no more values
    const refused = await ask(kind, naming(most + 1));
    expect([refused.status, refused.body.toString("utf8")], kind).toEqual([
      400,
      always.stringContaining("20"),
    ]);
    expect(refused.questions.filter(({ path }) => path.includes("Observation"))).toEqual([]);
  }
  const two = await ask("system", {
    path: `${naming(100).path}&subject=${Array.from({ length: 9 }, (_, n) => `Patient/q${n}`).join(",")}`,
  });
  expect(two.status).toBe(400);
});

test("each named patient costs a record credit: two places, and the two patients whose visits led to them, are four", async ({
  expect,
}) => {
  const by = await worlds.by("system");
  const hop = { by, path: "Location?_has:Encounter:location:status=finished" };
  const stale = { ...fhirJson, "if-match": '"no"' };
  const refused = {
    by,
    path: "Observation/bobs-hiv",
    method: "PUT",
    headers: stale,
    body: JSON.stringify(observation("bobs-hiv", "bob")),
  };
  const { one } = await worlds.compare({ origin: world }, { origin: world }, [hop, hop, refused, refused]);
  const left = one.map(({ headers }) => Number(/"records";r=(\d+)/u.exec(headers["ratelimit"] ?? "")?.[1]));
  expect(left.map((credits, i) => (left[i - 1] ?? 0) - credits).slice(1)).toEqual([4, 1, 1]);
});
