import { afterAll, beforeAll, test } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { eventsOf } from "../support/auditor.ts";
import { type AskAs, outsideApps } from "../support/outside-apps.ts";
import { breakLedger } from "../support/shards.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { fhirSending, restricted, to } from "../support/fhir-parts.ts";

const loinc = (code: string) => ({ coding: [{ system: "http://loinc.org", code }] });
const observation = (id: string, patient: string, more: object = {}) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: loinc("8867-4"),
  subject: to(`Patient/${patient}`),
  valueQuantity: { value: 72, unit: "beats/min", system: "http://unitsofmeasure.org", code: "/min" },
  note: [{ text: `canary-note-of-${id}` }],
  ...more,
});
const patient = (id: string, family: string) => ({
  resourceType: "Patient",
  id,
  text: { status: "generated", div: `<div xmlns="http://www.w3.org/1999/xhtml">canary-text-of-${id}</div>` },
  identifier: [
    { system: "urn:mrn", value: `mrn-${id}` },
    { system: "urn:ssn", value: `canary-ssn-of-${id}` },
  ],
  name: [{ id: "n1", use: "official", family, given: [`canary-given-of-${id}`] }],
  telecom: [{ system: "phone", value: "555-0100" }],
  birthDate: "1980-01-02",
  address: [{ city: `canary-city-of-${id}` }],
});
const world = [
  { ...patient("amara", "Okafor"), generalPractitioner: [to("Practitioner/vera")] },
  patient("bela", "Nagy"),
  observation("pulse-amara", "amara"),
  observation("pulse-bela", "bela"),
  observation("secret-amara", "amara", { meta: restricted }),
  observation("twin-1", "amara", { identifier: [{ system: "urn:lab", value: "twin" }] }),
  observation("twin-2", "amara", { identifier: [{ system: "urn:lab", value: "twin" }] }),
  observation("hidden-lab", "bela", {
    meta: restricted,
    identifier: [{ system: "urn:lab", value: "taken" }],
  }),
  observation("lab-amara", "amara", { identifier: [{ system: "urn:lab", value: "one" }] }),
  observation("to-delete", "amara"),
  observation("unread", "amara"),
  observation("unread-too", "amara"),
  { resourceType: "Practitioner", id: "vera", name: [{ family: "Vera" }] },
];

const rule = (
  types: readonly string[],
  interactions: readonly string[],
  show: "everything" | readonly string[],
) => ({
  types,
  interactions,
  show,
  ...(interactions.includes("delete") && { deletes: "unseen" }),
  why: "45 CFR 164.506(c)(2): treatment activities of a provider.",
  examples: interactions.includes("read")
    ? [{ says: "It may be read.", request: `${types[0]}/1`, is: "permitted" }]
    : [{ says: "It may not be read.", request: `${types[0]}/1`, is: "refused" }],
});
const shownOfPatients = [
  "meta.versionId",
  "identifier[system=urn:mrn]",
  "name.id",
  "name.use",
  "name.family",
  "telecom",
  "birthDate",
  "deceased[x]",
];
const policy = {
  format: "phylax.policy.v1",
  name: "writer",
  title: "Writes",
  purposes: ["PATRQT"],
  users: ["practitioner"],
  rules: [
    rule(["Patient"], ["read", "search", "update"], shownOfPatients),
    rule(
      ["Observation"],
      ["read", "search", "create", "update", "delete"],
      [
        "identifier",
        "status",
        "code",
        "component.code",
        "subject",
        "value[x]",
        "dataAbsentReason",
        "effective[x]",
      ],
    ),
    rule(["Condition"], ["create"], ["clinicalStatus", "code", "subject"]),
    rule(["Practitioner"], ["read", "search", "update"], "everything"),
  ],
};

// Labels withhold no row from amara herself: a relative signed in.
const ofAmara = { patient: "amara", fhirUser: "RelatedPerson/relative" };
const apps = {
  clinic: { policy: "writer", scopes: "system/*.cruds" },
  app: { policy: "writer", scopes: "patient/*.cruds", claims: ofAmara },
  reader: { policy: "writer", scopes: "system/*.rs" },
  doctor: { policy: "writer", scopes: "user/*.cruds", claims: { fhirUser: "Practitioner/vera" } },
  blind: { policy: "writer", scopes: "patient/*.cud", claims: ofAmara },
} as const;
type Who = keyof typeof apps;
let phylax: Door;
let ask: AskAs<Who>;

beforeAll(async () => {
  phylax = await startDoor({ resources: world });
  ask = await outsideApps(phylax, apps, [{ name: "writer", body: policy }]);
}, 120_000);
afterAll(() => phylax.close());

interface Resource {
  readonly [name: string]: unknown;
  readonly id: string;
}
function put(who: Who, path: string, resource: object, headers: Record<string, string> = {}): Promise<Reply> {
  return ask(who, path, fhirSending("PUT", resource, headers));
}
function post(
  who: Who,
  type: string,
  resource: object,
  headers: Record<string, string> = {},
): Promise<Reply> {
  return ask(who, type, fhirSending("POST", resource, headers));
}
function patch(
  who: Who,
  path: string,
  operations: unknown,
  headers: Record<string, string> = {},
): Promise<Reply> {
  return ask(who, path, {
    method: "PATCH",
    headers: { "content-type": "application/json-patch+json", ...headers },
    body: JSON.stringify(operations),
  });
}
const body = (reply: Reply) => JSON.parse(reply.text) as Resource;
const read = async (who: Who, path: string) => body(await ask(who, path));
/** The resource as the origin has it. */
const stored = async (path: string): Promise<Resource> =>
  (await fetch(`${phylax.dev.origin}/${path}`)).json();
const versionOf = (resource: Resource) => (resource["meta"] as { versionId: string }).versionId;

test("a client whose policy hides elements updates the visible elements, and the hidden elements survive at the origin", async ({
  expect,
}) => {
  const seen = await read("clinic", "Patient/amara");
  expect(JSON.stringify(seen)).not.toContain("canary");
  const changed = {
    ...seen,
    birthDate: "1980-01-03",
    name: [{ id: "n1", use: "official", family: "Okafor-Eze" }],
  };
  const reply = await put("clinic", "Patient/amara", changed, { "if-match": `W/"${versionOf(seen)}"` });
  expect(reply.status).toBe(200);
  expect(body(reply)).toMatchObject({ birthDate: "1980-01-03", name: [{ family: "Okafor-Eze" }] });
  expect(reply.text).not.toContain("canary");
  expect(reply.headers["etag"]).toMatch(/^"[\w-]{32}"$/u);
  expect(reply.headers).not.toHaveProperty("location");

  const { text, ...now } = await stored("Patient/amara");
  expect(now).toMatchObject({
    birthDate: "1980-01-03",
    name: [{ family: "Okafor-Eze", given: ["canary-given-of-amara"] }],
    identifier: [{ system: "urn:mrn", value: "mrn-amara" }, { value: "canary-ssn-of-amara" }],
    address: [{ city: "canary-city-of-amara" }],
  });
  expect(text, "a narrative that was generated from other elements is not kept").toBeUndefined();
});

test("a client with `u` and `d` and without `r` updates and deletes by the rule's view; the answer shows nothing of the row, and no guess at its content is confirmed", async ({
  expect,
}) => {
  const representation = { prefer: "return=representation" };
  expect((await ask("blind", "Observation/unread")).status).toBe(403);
  const { note: _hidden, ...visible } = observation("unread", "amara", { status: "amended" });
  const reply = await put("blind", "Observation/unread", visible, representation);
  expect([reply.status, reply.text, reply.headers["etag"]]).toEqual([200, "", undefined]);
  expect(await stored("Observation/unread")).toMatchObject({
    status: "amended",
    note: [{ text: "canary-note-of-unread" }],
  });

  // The tag of the row as a reader sees it: with it, a writer could test guesses.
  const tag = (await ask("app", "Observation/unread")).headers["etag"] ?? "";
  expect((await put("app", "Observation/unread", visible, { "if-match": tag })).status).toBe(200);
  const now = (await ask("app", "Observation/unread")).headers["etag"] ?? "";
  // Not 412: an answer that differs from that of an absent row would confirm the row without changing it.
  const guess = await put("blind", "Observation/unread", visible, { "if-match": now });
  const absent = { ...visible, id: "absent" };
  const none = await put("blind", "Observation/absent", absent, { "if-match": now });
  const issue = (text: string): unknown => JSON.parse(text).issue[0].details;
  expect([guess.status, issue(guess.text)]).toEqual([none.status, issue(none.text)]);
  expect(none.status).toBe(404);
  for (const id of ["unread", "absent"])
    expect(
      (await ask("blind", `Observation/${id}`, { method: "DELETE", headers: { "if-match": now } })).status,
    ).toBe(404);
  expect((await put("blind", "Observation/unread", visible, { "if-match": "*" })).status).toBe(200);
  const operations = [{ op: "test", path: "/status", value: "amended" }];
  expect((await patch("blind", "Observation/unread", operations)).status).toBe(403);

  const outside = { ...visible, id: "pulse-bela", subject: to("Patient/bela") };
  expect((await put("blind", "Observation/pulse-bela", outside)).status).toBe(404);
  expect((await put("blind", "Observation/absent", { ...visible, id: "absent" })).status).toBe(404);
  expect((await put("blind", "Observation/secret-amara", { ...visible, id: "secret-amara" })).status).toBe(
    404,
  );
  const created = await post("blind", "Observation", visible, representation);
  expect([created.status, created.text]).toEqual([201, ""]);
  const deleting = { method: "DELETE", headers: { prefer: "return=OperationOutcome" } };
  const deleted = await ask("blind", "Observation/unread-too", deleting);
  expect([deleted.status, deleted.text.includes("canary")]).toEqual([200, false]);
});

test("an unchanged write of the read resource is a new version with the same content", async ({ expect }) => {
  const before = await stored("Patient/bela");
  const reply = await put("clinic", "Patient/bela", await read("clinic", "Patient/bela"));
  expect(reply.status).toBe(200);
  const { meta: _before, ...old } = before;
  const { meta: _after, ...now } = await stored("Patient/bela");
  expect(now).toEqual(old);
});

test("the ledger has the intent with its patients, then the result, and the answer's content as a disclosure", async ({
  expect,
}) => {
  const reply = await patch("clinic", "Observation/pulse-amara", [
    { op: "replace", path: "/valueQuantity/value", value: 80 },
  ]);
  expect(reply.status).toBe(200);
  expect(await stored("Observation/pulse-amara")).toMatchObject({
    valueQuantity: { value: 80 },
    note: [{ text: "canary-note-of-pulse-amara" }],
  });
  const events = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
  expect(events.map(({ kind }) => kind)).toEqual(["intent", "write", "disclosure"]);
  for (const event of events) {
    expect(event.what).toMatchObject({ interaction: "patch", type: "Observation", id: "pulse-amara" });
    expect(event.patients.map((one) => one.patient)).toEqual(["main/Patient/amara"]);
  }
  expect(events[1]?.outcome).toEqual({ status: 200 });
  expect(JSON.stringify(reply.headers)).toContain("index=");
});

test("when the ledger cannot record, the origin gets no write", async ({ expect }) => {
  const seen = await read("clinic", "Observation/pulse-bela");
  phylax.inEachShard(breakLedger);
  const from = phylax.forwarded.length;
  const replies = [
    await put("clinic", "Observation/pulse-bela", { ...seen, status: "amended" }),
    await post("clinic", "Observation", observation("x", "bela", { note: undefined })),
    await ask("clinic", "Observation/pulse-bela", { method: "DELETE" }),
  ];
  phylax.inEachShard("DROP TRIGGER broken");
  expect(replies.map(({ status }) => status)).toEqual([503, 503, 503]);
  expect(phylax.forwarded.slice(from).filter((one) => !one.startsWith("GET "))).toEqual([]);
  expect(await stored("Observation/pulse-bela")).toMatchObject({ status: "final" });
});

test("BOLA: a patient's app writes its own patient's records alone; another patient's, a labelled and an absent record are the same 404", async ({
  expect,
}) => {
  const own = await read("app", "Observation/pulse-amara");
  expect((await put("app", "Observation/pulse-amara", { ...own, status: "amended" })).status).toBe(200);
  const refused: Reply[] = [];
  const costs: number[] = [];
  for (const id of ["pulse-bela", "secret-amara", "nothing"]) {
    for (const attempt of [
      () => put("app", `Observation/${id}`, { ...own, id }),
      () => patch("app", `Observation/${id}`, [{ op: "test", path: "/status", value: "final" }]),
      () => ask("app", `Observation/${id}`, { method: "DELETE" }),
    ]) {
      const from = phylax.forwarded.length;
      refused.push(await attempt());
      costs.push(phylax.forwarded.length - from);
    }
  }
  expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([404]));
  const faces = refused.map(({ text, headers }) => text.replaceAll(String(headers["x-request-id"]), ""));
  // an update's face also says how to create
  const [put404, patch404] = faces;
  expect(faces).toEqual(
    ["pulse-bela", "secret-amara", "nothing"].flatMap(() => [put404, patch404, patch404]),
  );
  expect(new Set(costs)).toEqual(new Set([1]));
  for (const id of ["pulse-bela", "secret-amara"])
    expect(await stored(`Observation/${id}`)).toMatchObject({ status: "final" });
});

test("a user writes the records of the patients by the policy's relation, no further records, and no element that decides a record's patient", async ({
  expect,
}) => {
  const own = await read("doctor", "Observation/pulse-amara");
  expect((await put("doctor", "Observation/pulse-amara", { ...own, status: "corrected" })).status).toBe(200);
  expect((await put("doctor", "Observation/pulse-bela", { ...own, id: "pulse-bela" })).status).toBe(404);
  const { id: _id, ...fresh } = own;
  expect((await post("doctor", "Observation", fresh)).status).toBe(201);
  expect((await post("doctor", "Observation", { ...fresh, subject: to("Patient/bela") })).status).toBe(403);
  expect(
    (await put("doctor", "Practitioner/vera", { resourceType: "Practitioner", id: "vera" })).status,
  ).toBe(403);
});

test("no resource is moved to another patient: not by a body, not by a patch, not by a client that may write both patients' records", async ({
  expect,
}) => {
  const own = await read("clinic", "Observation/lab-amara");
  for (const who of ["clinic", "app"] as const) {
    expect((await put(who, "Observation/lab-amara", { ...own, subject: to("Patient/bela") })).status).toBe(
      403,
    );
    const moved = [{ op: "replace", path: "/subject/reference", value: "Patient/bela" }];
    expect((await patch(who, "Observation/lab-amara", moved)).status).toBe(403);
    expect(
      (await post(who === "app" ? "app" : "reader", "Observation", { ...own, subject: to("Patient/bela") }))
        .status,
    ).toBe(403);
  }
  expect(await stored("Observation/lab-amara")).toMatchObject({ subject: to("Patient/amara") });
});

test("scopes and rules: without c, u or d, without a rule, or outside the compartment a write is 403 before the origin gets a request", async ({
  expect,
}) => {
  const own = await read("clinic", "Observation/lab-amara");
  const from = phylax.forwarded.length;
  const replies = [
    await put("reader", "Observation/lab-amara", own),
    await post("reader", "Observation", own),
    await ask("reader", "Observation/lab-amara", { method: "DELETE" }),
    await ask("clinic", "Patient/amara", { method: "DELETE" }),
    await post("clinic", "Patient", { resourceType: "Patient" }),
    await put("clinic", "Condition/c", { resourceType: "Condition", id: "c", subject: to("Patient/amara") }),
    await put("app", "Practitioner/vera", { resourceType: "Practitioner", id: "vera" }),
  ];
  expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 403));
  expect(phylax.forwarded.length).toBe(from);
});

test("a hidden element may not be written: 422 names each place, and quotes nothing", async ({ expect }) => {
  const seen = await read("clinic", "Patient/amara");
  const reply = await put("clinic", "Patient/amara", {
    ...seen,
    address: [{ city: "canary-sent" }],
    name: [{ id: "n1", family: "Okafor", given: ["canary-sent"] }],
    identifier: [
      { system: "urn:mrn", value: "mrn-amara" },
      { system: "urn:ssn", value: "canary-sent" },
    ],
  });
  expect(reply.status).toBe(422);
  const { issue } = body(reply) as unknown as { issue: { expression: string[] }[] };
  expect(issue.map(({ expression }) => expression[0])).toEqual([
    "Patient.identifier[1]",
    "Patient.name[0].given",
    "Patient.address",
  ]);
  expect(reply.text).not.toContain("canary");
  const invalid = await put("clinic", "Patient/amara", {
    ...seen,
    birthDate: "yesterday",
    gender: "canary-sent",
  });
  expect(invalid.status).toBe(422);
  expect(invalid.text).toContain("Patient.birthDate");
  expect(invalid.text).not.toContain("canary");
});

test("a patch applies to the visible resource: a test of a hidden value fails, whatever the value is, and a hidden place does not exist", async ({
  expect,
}) => {
  const guesses = ["canary-ssn-of-amara", "wrong"];
  for (const value of guesses) {
    expect(
      (await patch("clinic", "Patient/amara", [{ op: "test", path: "/identifier/1/value", value }])).status,
    ).toBe(422);
    expect(
      (await patch("clinic", "Patient/amara", [{ op: "test", path: "/address/0/city", value }])).status,
    ).toBe(422);
  }
  expect(
    (
      await patch("clinic", "Patient/amara", [
        { op: "copy", from: "/address/0/city", path: "/name/0/family" },
      ])
    ).status,
  ).toBe(422);
});

test("FHIRPath Patch, merge patch, XML, further encodings and non-strict JSON are refused by their form", async ({
  expect,
}) => {
  const send = async (
    method: string,
    type: string,
    text: string,
    path = "Observation/lab-amara",
    more: Record<string, string> = {},
  ) => (await ask("clinic", path, { method, headers: { "content-type": type, ...more }, body: text })).status;
  const own = JSON.stringify(await read("clinic", "Observation/lab-amara"));
  const byPath = await ask(
    "clinic",
    "Observation/lab-amara",
    fhirSending("PATCH", { resourceType: "Parameters" }),
  );
  expect([byPath.status, byPath.text]).toEqual([415, expect.stringContaining("FHIRPath Patch")]);
  expect(await send("PATCH", "application/merge-patch+json", "{}")).toBe(415);
  expect(await send("PUT", "application/fhir+xml", "<Observation/>")).toBe(415);
  expect(await send("PUT", "application/fhir+json; charset=latin1", own)).toBe(415);
  expect(await send("PUT", "application/fhir+json; fhirVersion=5.0", own)).toBe(415);
  expect(await send("PUT", "application/fhir+json", own, undefined, { "content-encoding": "gzip" })).toBe(
    415,
  );
  expect(await send("PUT", "application/fhir+json", own.replace("{", '{"status":"final",'))).toBe(400);
  expect(await send("PUT", "application/fhir+json", `{"resourceType":"Patient","id":"lab-amara"}`)).toBe(400);
  expect(await send("PUT", "application/fhir+json", own, "Observation/pulse-amara")).toBe(400);
  expect(await send("PUT", "application/fhir+json", `{"a":"${"x".repeat(1_048_577)}"}`)).toBe(413);
  expect(await send("PUT", "application/fhir+json", "")).toBe(400);
});

test("conditional forms find the rows that their client may see: hidden matches neither count nor show", async ({
  expect,
}) => {
  const { id: _id, note: _note, ...fresh } = observation("x", "amara");
  const of = (value: string) => ({ ...fresh, identifier: [{ system: "urn:lab", value }] });
  const criteria = (value: string) => ({ "if-none-exist": `identifier=urn:lab|${value}` });

  const found = await post("clinic", "Observation", of("one"), criteria("one"));
  expect(found.status).toBe(200);
  expect(found.headers["location"]).toBe(`${phylax.dev.fhir}/Observation/lab-amara`);
  const events = await eventsOf(phylax.dev, found.headers["x-request-id"]);
  expect(events.map(({ kind, patients }) => [kind, patients[0]?.patient])).toEqual([
    ["write", "main/Patient/amara"],
    ["disclosure", "main/Patient/amara"],
  ]);
  // HAPI's client sends the whole address of the search.
  for (const [address, status] of [
    [`${phylax.dev.fhir}/Observation`, 200],
    ["Observation", 200],
    [`${phylax.dev.fhir}/Condition`, 400],
    ["https://other.example/fhir/Observation", 400],
  ] as const) {
    const conditions = { "if-none-exist": `${address}?_format=json&identifier=urn:lab|one` };
    const reply = await post("clinic", "Observation", of("one"), conditions);
    expect([reply.status, reply.headers["location"]], address).toEqual([
      status,
      status === 200 ? `${phylax.dev.fhir}/Observation/lab-amara` : undefined,
    ]);
  }
  // no row states the system of a plain code: R4 defines it
  const inSystem = (system: string) => `identifier=urn:lab|one&status=${system}|final`;
  const [own, other] = [inSystem("http://hl7.org/fhir/observation-status"), inSystem("urn:other")];
  const known = await post("clinic", "Observation", of("one"), { "if-none-exist": own });
  expect([known.status, known.headers["location"]]).toEqual([200, found.headers["location"]]);
  expect((await ask("clinic", `Observation?${own}`)).text).toContain('"id":"lab-amara"');
  expect((await ask("clinic", `Observation?${other}`, { method: "DELETE" })).status).toBe(204);
  expect(await stored("Observation/lab-amara")).toMatchObject({ id: "lab-amara" });
  expect((await post("clinic", "Observation", of("twin"), criteria("twin"))).status).toBe(412);
  const [free, taken] = [
    await post("clinic", "Observation", of("free"), criteria("free")),
    await post("clinic", "Observation", of("taken"), criteria("taken")),
  ];
  expect([free.status, taken.status], "one that only a hidden row has is free").toEqual([201, 201]);

  const updated = await put("clinic", "Observation?identifier=urn:lab|free", {
    ...of("free"),
    status: "amended",
  });
  expect(updated.status).toBe(200);
  expect(body(updated).id).toBe(body(free).id);
  expect((await put("clinic", "Observation?identifier=urn:lab|new", of("new"))).status).toBe(201);
  expect(
    (await put("clinic", "Observation?identifier=urn:lab|other", { ...of("other"), id: "mine" })).status,
  ).toBe(404);
  expect((await put("clinic", "Observation?identifier=urn:lab|twin", of("twin"))).status).toBe(412);
  const patched = await patch("clinic", "Observation?identifier=urn:lab|new", [
    { op: "replace", path: "/status", value: "amended" },
  ]);
  expect(body(patched)).toMatchObject({ status: "amended" });
  expect((await ask("clinic", "Observation?identifier=urn:lab|new", { method: "DELETE" })).status).toBe(204);
  expect((await ask("clinic", "Observation?identifier=urn:lab|new", { method: "DELETE" })).status).toBe(204);
  expect((await ask("clinic", "Observation?identifier=urn:lab|twin", { method: "DELETE" })).status).toBe(412);
  expect((await ask("clinic", "Observation?note=x", { method: "DELETE" })).status).toBe(400);
  expect((await ask("clinic", "Observation", { method: "DELETE" })).status).toBe(412);
  expect((await ask("clinic", "Observation?date=2020", { method: "DELETE" })).status).toBe(400);
});

test("a client that may create and not read learns that the create is done, and no content, whatever it prefers", async ({
  expect,
}) => {
  const condition = { resourceType: "Condition", subject: to("Patient/amara"), code: loinc("x") };
  const reply = await post("clinic", "Condition", condition, { prefer: "return=representation" });
  expect(reply.status).toBe(201);
  expect(reply.text).toBe("");
  expect(reply.headers["location"]).toMatch(/\/v1\/fhir\/main\/Condition\/[\w.-]+\/_history\/1$/u);
  expect((await eventsOf(phylax.dev, reply.headers["x-request-id"])).map(({ kind }) => kind)).toEqual([
    "intent",
    "write",
  ]);
  expect((await post("clinic", "Condition", { ...condition, note: [{ text: "x" }] })).status).toBe(422);
});

test("Prefer decides the content of the answer; an outdated version is 412 without a word of the current version", async ({
  expect,
}) => {
  const seen = await read("clinic", "Observation/lab-amara");
  const minimal = await put("clinic", "Observation/lab-amara", seen, { prefer: "return=minimal" });
  expect([minimal.status, minimal.text]).toEqual([200, ""]);
  const outcome = await put("clinic", "Observation/lab-amara", seen, { prefer: "return=OperationOutcome" });
  expect(body(outcome)).toMatchObject({
    resourceType: "OperationOutcome",
    issue: [{ severity: "information" }],
  });
  const stale = await put("clinic", "Observation/lab-amara", seen, { "if-match": 'W/"1"' });
  expect(stale.status).toBe(412);
  expect(
    await eventsOf(phylax.dev, stale.headers["x-request-id"]),
    "that it is not current tells of the row",
  ).toMatchObject([
    { kind: "refusal" },
    { kind: "disclosure", patients: [{ patient: "main/Patient/amara", counts: { Observation: 1 } }] },
  ]);
  expect(stale.text).not.toMatch(/versionId|W\/|lab-amara/u);
  expect((await put("clinic", "Observation/lab-amara", seen, { "if-match": "nonsense" })).status).toBe(400);
  expect((await put("clinic", "Observation/lab-amara", seen, { "if-none-match": "*" })).status).toBe(412);
});
