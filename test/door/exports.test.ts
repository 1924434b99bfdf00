import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { JWK } from "jose";
import type { Resource } from "@medplum/fhirtypes";
import { afterAll, beforeAll, test, vi } from "vitest";
import { keyProof } from "../../cli/connection/key-proof.ts";
import { send, type Reply } from "../../cli/connection/mutual-tls.ts";
import { inLane } from "../support/lane.ts";
import { restricted } from "../support/fhir-parts.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { requestOf } from "../support/in-process/mutual-tls.ts";

let phylax: Door;
beforeAll(async () => {
  phylax = await startDoor();
}, 60_000);
afterAll(() => phylax.close());

interface Row {
  readonly resourceType: string;
  readonly id: string;
}
interface Manifest {
  readonly transactionTime: string;
  readonly request: string;
  readonly output: readonly { readonly type: string; readonly url: string }[];
  readonly error: readonly { readonly url: string }[];
}

const start = (client: string, path: string) =>
  phylax.ask(client, path, { headers: { prefer: "respond-async" } });
const text = (reply: Reply) => reply.text;
const rows = (reply: Reply): readonly Row[] =>
  text(reply)
    .split("\n")
    .filter((line) => line !== "")
    .map((line): Row => JSON.parse(line));
const named = (list: readonly Row[]) =>
  list.map(({ resourceType, id }) => `${resourceType}/${id}`).toSorted();

async function manifestOf(client: string, path: string): Promise<Manifest> {
  const kickOff = await start(client, path);
  if (kickOff.status !== 202) throw new Error(`${kickOff.status} ${kickOff.text}`);
  const status = await phylax.ask(client, String(kickOff.headers["content-location"]));
  if (status.status !== 200) throw new Error(`${status.status} ${status.text}`);
  return JSON.parse(status.text);
}

test("an export has the rows that the client's own searches show, each once, type by type", async ({
  expect,
}) => {
  const manifest = await manifestOf("payer", "$export?_type=Observation,Condition,Patient");
  expect(manifest.output.map(({ type }) => type)).toEqual(["Observation", "Condition", "Patient"]);
  for (const { type, url } of manifest.output) {
    const file = await phylax.ask("payer", url);
    expect(file.status, file.text).toBe(200);
    expect(file.headers["content-type"]).toBe("application/fhir+ndjson");
    const search = await phylax.ask("payer", `${type}?_count=1000`);
    const { entry = [] } = JSON.parse(search.text) as { entry?: { resource: Row }[] };
    expect(named(rows(file))).toEqual(named(entry.map(({ resource }) => resource)));
    expect(rows(file).length).toBeGreaterThan(0);
  }
});

test("Patient level has types with patients alone, and a POST with Parameters asks as a GET does", async ({
  expect,
}) => {
  const parameters = {
    resourceType: "Parameters",
    parameter: [
      { name: "_since", valueInstant: "2000-01-01T00:00:00Z" },
      { name: "_elements", valueString: "Patient.birthDate" },
    ],
  };
  const kickOff = await phylax.ask("payer", "Patient/$export", {
    method: "POST",
    headers: { "content-type": "application/fhir+json", prefer: "respond-async" },
    body: JSON.stringify(parameters),
  });
  expect(kickOff.status, kickOff.text).toBe(202);
  const status = await phylax.ask("payer", String(kickOff.headers["content-location"]));
  const { output } = JSON.parse(status.text) as Manifest;
  const types = output.map(({ type }) => type);
  expect(types).toContain("Patient");
  expect(types).not.toContain("Practitioner");
  const file = await phylax.ask("payer", output.find(({ type }) => type === "Patient")?.url ?? "");
  expect(rows(file).length).toBeGreaterThan(0);
  for (const row of rows(file)) expect(Object.keys(row)).not.toContain("name");
});

test("P1: each page of a file is on record with its patients, under the authority of the download", async ({
  expect,
}) => {
  const { output } = await manifestOf("payer", "$export?_type=Observation");
  const before = (await phylax.records()).length;
  const file = await phylax.ask("payer", output[0]?.url ?? "");
  const records = (await phylax.records()).slice(0);
  expect(records.length).toBeGreaterThan(before);
  const events = records.flatMap(({ event }) => (event?.authority === undefined ? [] : event));
  const named = new Set(events.flatMap(({ patients }) => patients.map(({ patient }) => patient)));
  const subjects = rows(file).flatMap((row) => {
    const subject: unknown = Reflect.get(row, "subject");
    const reference: unknown = typeof subject === "object" && subject && Reflect.get(subject, "reference");
    return typeof reference === "string" ? `main/${reference}` : [];
  });
  expect(subjects.length).toBeGreaterThan(0);
  for (const subject of subjects) expect([...named]).toContain(subject);
  expect(events.every(({ what }) => what?.path?.startsWith("$export-file/"))).toBe(true);
});

test("the export of another client is as unknown as no export, and a deleted one is unknown to its own", async ({
  expect,
}) => {
  const kickOff = await start("payer", "$export?_type=Patient");
  const location = String(kickOff.headers["content-location"]);
  const absent = location.replace(/[0-9a-f]{32}$/u, "0".repeat(32));
  const fileOf = (status: string) => `${status.replace("$export-status", "$export-file")}/1`;
  const without = (reply: Reply) => [reply.status, reply.text.replace(/Request [0-9a-f]+/u, "")];
  for (const [own, none] of [
    [location, absent],
    [fileOf(location), fileOf(absent)],
  ] as const)
    expect(without(await phylax.ask("telehealth", own))).toEqual(
      without(await phylax.ask("telehealth", none)),
    );
  expect((await phylax.ask("telehealth", location)).status).toBe(404);
  expect((await phylax.ask("telehealth", location, { method: "DELETE" })).status).toBe(404);
  expect((await phylax.ask("payer", location)).status).toBe(200);
  expect((await phylax.ask("payer", location, { method: "DELETE" })).status).toBe(202);
  for (const gone of [location, fileOf(location)]) expect((await phylax.ask("payer", gone)).status).toBe(404);
});

test.for([
  ["$export?_type=Nothing", 400, "(_type)"],
  ["$export?_type=Patient&_typeFilter=Patient%3F_sort%3Dname", 400, "(_typeFilter)"],
  ["Patient/$export?patient=Patient/a", 400, "(patient)"],
  ["Patient/$export?organizeOutputBy=Patient", 400, "(organizeOutputBy)"],
  ["Patient/$export?includeAssociatedData=LatestProvenanceResources", 400, "(includeAssociatedData)"],
  ["$export?_since=yesterday", 400, "(_since)"],
  ["Group/nowhere/$export", 403, "no rule"],
  ["$export-status/x", 404, "no such export"],
  ["$export-file/x/1", 404, "no such export"],
] as const)("%s is refused, by a text that names the fault", async ([path, status, named], { expect }) => {
  const reply = await start("payer", path);
  expect([reply.status, JSON.parse(reply.text)], reply.text).toEqual([
    status,
    expect.objectContaining({ resourceType: "OperationOutcome" }),
  ]);
  expect(reply.text).toContain(named);
});

test("an ignored name and a type that the client may not search are in a file of errors, and nothing else is", async ({
  expect,
}) => {
  const kickOff = await phylax.ask("payer", "$export?_type=Patient,AuditEvent&organizeOutputBy=Patient", {
    headers: { prefer: "respond-async, handling=lenient" },
  });
  const status = await phylax.ask("payer", String(kickOff.headers["content-location"]));
  const { output, error } = JSON.parse(status.text) as Manifest;
  expect(output.map(({ type }) => type)).toEqual(["Patient"]);
  const errors = await phylax.ask("payer", error[0]?.url ?? "");
  expect(errors.text).toContain("organizeOutputBy");
  expect(errors.text).toContain("AuditEvent");
});

test("a type of _type without a file is refused by its name, on record, and under handling=lenient has a message", async ({
  expect,
}) => {
  const kickOff = (handling: string) =>
    phylax.ask("payer", "Patient/$export?_type=Patient,Practitioner,AuditEvent", {
      headers: { prefer: `respond-async, handling=${handling}` },
    });
  const before = (await phylax.records()).length;
  const strict = await kickOff("strict");
  expect([strict.status, strict.text]).toEqual([
    400,
    expect.stringContaining("(Practitioner,AuditEvent)") as string,
  ]);
  const reasons = (await phylax.records()).slice(before).flatMap(({ event }) => event?.outcome?.reason ?? []);
  expect(reasons).toEqual(["export_type_withheld"]);
  const lenient = await kickOff("lenient");
  const status = await phylax.ask("payer", String(lenient.headers["content-location"]));
  const { output, error } = JSON.parse(status.text) as Manifest;
  expect(output.map(({ type }) => type)).toEqual(["Patient"]);
  const messages = text(await phylax.ask("payer", error[0]?.url ?? ""));
  for (const type of ["Practitioner", "AuditEvent"]) expect(messages).toContain(type);
});

test("a row that may no longer leave at the download is not in the file, and nothing says why", async ({
  expect,
}) => {
  const row = (id: string, more: object = {}): Resource => ({
    resourceType: "Observation",
    id,
    status: "final",
    category: [
      {
        coding: [
          { system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "laboratory" },
        ],
      },
    ],
    code: { coding: [{ system: "http://loinc.org", code: "718-7" }] },
    subject: { reference: "Patient/amara-okafor" },
    meta: { lastUpdated: "2026-01-01T00:00:00Z", ...more },
  });
  phylax.origin.load([row("stays"), row("withdrawn")]);
  const filter = "$export?_type=Observation&_typeFilter=Observation%3F_id%3Dstays,withdrawn";
  const manifest = await manifestOf("payer", filter);
  const file = () => phylax.ask("payer", manifest.output[0]?.url ?? "");
  expect(named(rows(await file()))).toEqual(["Observation/stays", "Observation/withdrawn"]);
  phylax.origin.load([row("stays"), row("withdrawn", restricted)]);
  const later = await file();
  expect([later.status, named(rows(later))]).toEqual([200, ["Observation/stays"]]);
});

const laboratory = (id: string, patient: string, more: object = {}): Resource => ({
  resourceType: "Observation",
  id,
  status: "final",
  category: [
    {
      coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "laboratory" }],
    },
  ],
  code: { coding: [{ system: "http://loinc.org", code: "718-7" }] },
  subject: { reference: `Patient/${patient}` },
  meta: { lastUpdated: "2026-01-01T00:00:00Z" },
  ...more,
});

test("a Group's export has the rows of its members at the download, and of the named patients alone", async ({
  expect,
}) => {
  const of = (id: string, more: object = {}) => ({ entity: { reference: `Patient/${id}` }, ...more });
  const group = (...member: ReturnType<typeof of>[]): Resource => ({
    resourceType: "Group",
    id: "cohort",
    type: "person",
    actual: true,
    member,
  });
  const patients = ["left", "member", "stays", "past"].map((id): Resource => ({
    resourceType: "Patient",
    id,
    meta: { lastUpdated: "2026-01-01T00:00:00Z" },
  }));
  phylax.origin.load([
    ...patients,
    ...["left", "member", "stays", "past"].map((id) => laboratory(`of-${id}`, id)),
    group(
      of("member", { period: { end: new Date().toISOString().slice(0, 10) } }),
      of("stays", { period: { end: new Date().toISOString().slice(0, 4) } }),
      of("left", { inactive: true }),
      of("past", { period: { end: "2026-01" } }),
    ),
  ]);
  const files = async (manifest: Manifest) =>
    Promise.all(manifest.output.map(async ({ url }) => named(rows(await phylax.ask("telehealth", url)))));
  const manifest = await manifestOf("telehealth", "Group/cohort/$export?_type=Patient,Observation");
  expect(await files(manifest)).toEqual([
    ["Patient/member", "Patient/stays"],
    ["Observation/of-member", "Observation/of-stays"],
  ]);
  phylax.origin.load([group(of("stays"))]);
  expect(await files(manifest)).toEqual([["Patient/stays"], ["Observation/of-stays"]]);
  const ask = (patient: string) =>
    phylax.ask("telehealth", "Group/cohort/$export", {
      method: "POST",
      headers: { "content-type": "application/fhir+json", prefer: "respond-async" },
      body: JSON.stringify({
        resourceType: "Parameters",
        parameter: [
          { name: "_type", valueString: "Patient" },
          { name: "patient", valueReference: { reference: `Patient/${patient}` } },
        ],
      }),
    });
  expect((await ask("stays")).status).toBe(202);
  const [gone, absent] = [await ask("member"), await ask("no-such-patient")];
  expect([gone.status, absent.status], gone.text).toEqual([400, 400]);
  expect((await start("telehealth", "Group/nowhere/$export")).status).toBe(404);
});

test("an export of named patients has the rows that they own, also for a policy that hides performers", async ({
  expect,
}) => {
  phylax.origin.load([
    laboratory("own", "amara-okafor"),
    laboratory("of-other", "someone", { performer: [{ reference: "Patient/amara-okafor" }] }),
  ]);
  for (const client of ["payer", "telehealth"]) {
    const kickOff = await phylax.ask(client, "Patient/$export", {
      method: "POST",
      headers: { "content-type": "application/fhir+json", prefer: "respond-async" },
      body: JSON.stringify({
        resourceType: "Parameters",
        parameter: [
          { name: "_type", valueString: "Observation" },
          { name: "patient", valueReference: { reference: "Patient/amara-okafor" } },
        ],
      }),
    });
    const status = await phylax.ask(client, String(kickOff.headers["content-location"]));
    const { output } = JSON.parse(status.text) as Manifest;
    const file = await phylax.ask(client, output[0]?.url ?? "");
    expect(file.status, file.text).toBe(200);
    expect(named(rows(file))).toContain("Observation/own");
    expect(named(rows(file))).not.toContain("Observation/of-other");
  }
});

test("a request that no record could hold is refused, on record", async ({ expect }) => {
  const before = (await phylax.records()).length;
  const reply = await phylax.ask("payer", "Patient/$export", {
    method: "POST",
    headers: { "content-type": "application/fhir+json", prefer: "respond-async" },
    body: JSON.stringify({
      resourceType: "Parameters",
      parameter: Array.from({ length: 600 }, (_, n) => ({
        name: "patient",
        valueReference: { reference: `Patient/${String(n).padStart(64, "0")}` },
      })),
    }),
  });
  const reasons = (await phylax.records()).slice(before).flatMap(({ event }) => event?.outcome?.reason ?? []);
  expect([reply.status, reasons], reply.text).toEqual([413, ["form_too_large"]]);
});

test("elements without a type limit the rows of each type, also of one that has no such element", async ({
  expect,
}) => {
  const { output } = await manifestOf("payer", "$export?_type=Patient,Observation&_elements=birthDate");
  const files = await Promise.all(output.map(async ({ url }) => rows(await phylax.ask("payer", url))));
  const kept = files.map((list) => list.flatMap((row) => Object.keys(row)));
  expect(kept[0]).toContain("birthDate");
  expect(kept[1]).toContain("status"); // mandatory
  for (const name of ["name", "subject", "category", "valueQuantity"])
    expect(kept.flat()).not.toContain(name);
});

test("a row that meets two filters is in the file once", async ({ expect }) => {
  phylax.origin.load([laboratory("both", "amara-okafor")]);
  const filter = (text: string) => `_typeFilter=${encodeURIComponent(`Observation?${text}`)}`;
  const manifest = await manifestOf(
    "payer",
    `$export?_type=Observation&${filter("_id=both")}&${filter("_id=both,none")}`,
  );
  expect(manifest.output).toHaveLength(1);
  expect(named(rows(await phylax.ask("payer", manifest.output[0]?.url ?? "")))).toEqual(["Observation/both"]);
});

test("a file is compressed for a client that asks so, and HEAD asks for no row", async ({ expect }) => {
  phylax.origin.load([laboratory("zipped", "amara-okafor")]);
  const manifest = await manifestOf(
    "payer",
    "$export?_type=Observation&_typeFilter=Observation%3F_id%3Dzipped",
  );
  const url = manifest.output[0]?.url ?? "";
  const plain = await phylax.ask("payer", url);
  const { clientCa } = phylax.dev;
  const fetched = async (method: string) => {
    const headers = { authorization: `Bearer ${await phylax.token("payer")}`, "accept-encoding": "gzip" };
    return phylax.within(() =>
      phylax.fetch(requestOf(clientCa.cert, phylax.client("payer").cert, url, { method, headers })),
    );
  };
  const zipped = await fetched("GET");
  expect(zipped.headers.get("content-encoding")).toBe("gzip");
  expect(gunzipSync(Buffer.from(await zipped.arrayBuffer())).toString()).toBe(plain.text);
  const before = (await phylax.records()).length;
  const head = await fetched("HEAD");
  expect([head.status, await head.text()]).toEqual([200, ""]);
  const after = (await phylax.records()).slice(before).flatMap(({ event }) => event?.what?.interaction ?? []);
  expect(after.filter((each) => each !== "token")).toEqual(["$export-file"]);
});

test("each request for an export is on record by a name of its own, with what it asks for", async ({
  expect,
}) => {
  const before = (await phylax.records()).length;
  const kickOff = await start("payer", "$export?_type=Patient&_since=2020-01-01T00:00:00Z");
  const location = String(kickOff.headers["content-location"]);
  await phylax.ask("payer", location);
  await phylax.ask("payer", location, { method: "DELETE" });
  const events = (await phylax.records()).slice(before).flatMap(({ event }) => event?.what ?? []);
  const exports = events.filter(({ interaction }) => interaction?.startsWith("$export") === true);
  const names = exports.map(({ interaction = "" }) => interaction);
  expect(names.toSorted()).toEqual(["$export", "$export-cancel", "$export-status"]);
  expect(exports.find(({ interaction }) => interaction === "$export")?.parameters).toEqual([
    ["_since", "2020-01-01T00:00:00Z"],
    ["_type", "Patient"],
  ]);
});

test("a client has 200 exports at most, and the rest of 1,000 kick-offs is refused without harm to another client", async ({
  expect,
}) => {
  const statuses: number[] = [];
  for (let round = 0; round < 10; round += 1)
    statuses.push(
      ...(await Promise.all(
        Array.from({ length: 100 }, async () => (await start("research", "$export?_type=Patient")).status),
      )),
    );
  expect(statuses.filter((status) => status === 202)).toHaveLength(200);
  expect(new Set(statuses)).toEqual(new Set([202, 429]));
  const reasons = (await phylax.records()).flatMap(({ event }) => event?.outcome?.reason ?? []);
  expect(
    reasons.filter((reason) => reason === "too_many_exports"),
    "each is on record",
  ).toHaveLength(statuses.filter((status) => status === 429).length);
  expect((await start("payer", "$export?_type=Patient")).status).toBe(202);
}, 120_000);

test("a clock that is set back in the middle of a file gives the whole file, or breaks it off", async ({
  expect,
}) => {
  phylax.origin.load(many);
  const { output } = await manifestOf("payer", "$export?_type=Observation");
  const whole = rows(await phylax.ask("payer", output[0]?.url ?? "")).length;
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  try {
    const read = await readAcross("payer", async () => void vi.setSystemTime(Date.now() - 3_600_000));
    expect(read.isWhole ? read.lines : whole).toBe(whole);
  } finally {
    vi.useRealTimers();
  }
});

test("a client with a key takes a file of several pages by one proof, and the records count each line", async ({
  expect,
}) => {
  const client = phylax.client("telehealth-mobile");
  const token = await phylax.token(client.id);
  let nonce: string | undefined;
  const ask = async (path: string): Promise<Reply> => {
    const url = path.startsWith("https:") ? path : `${phylax.dev.fhir}/${path}`;
    const proof = await keyProof(JSON.parse(readFileSync(client.jwk ?? "", "utf8")) as JWK, {
      url: url.split("?")[0] ?? "",
      method: "GET",
      nonce,
      token,
    });
    const headers = { authorization: `DPoP ${token}`, dpop: proof, prefer: "respond-async" };
    const reply = await phylax.within(() => send(phylax.dev, undefined, url, { headers }));
    const isNew = nonce === undefined && reply.headers["dpop-nonce"] !== undefined;
    nonce = reply.headers["dpop-nonce"]?.toString() ?? nonce;
    return reply.status === 401 && isNew ? ask(path) : reply;
  };
  const kickOff = await ask("$export?_type=Observation");
  expect(kickOff.status, kickOff.text).toBe(202);
  const manifest = JSON.parse((await ask(String(kickOff.headers["content-location"]))).text) as Manifest;
  const before = (await phylax.records()).length;
  const file = await ask(manifest.output[0]?.url ?? "");
  expect(file.status, file.text).toBe(200);
  const events = (await phylax.records()).slice(before).flatMap(({ event }) => event ?? []);
  const counted = events
    .filter(({ kind }) => kind === "disclosure")
    .map(({ counts }) => counts["Observation"] ?? 0)
    .reduce((sum, count) => sum + count, 0);
  expect([rows(file).length > 0, counted]).toEqual([true, rows(file).length]);
});

test.for([
  ["Patient?phone=555", 403, "parameter_hidden"],
  ["Patient?no-such-parameter=1", 400, "parameter_unknown"],
  ["Patient?birthdate=yesterday", 400, "parameter_value_malformed"],
] as const)(
  "the filter %s is refused at the start, on record, also behind a filter that is fine",
  async ([filter, status, reason], { expect }) => {
    const before = (await phylax.records()).length;
    const filters = ["Patient?gender=female", filter].map(
      (each) => `_typeFilter=${encodeURIComponent(each)}`,
    );
    const reply = await start("payer", `$export?_type=Patient&${filters.join("&")}`);
    expect([reply.status, reply.text.includes("OperationOutcome")], reply.text).toEqual([status, true]);
    const reasons = (await phylax.records())
      .slice(before)
      .flatMap(({ event }) => event?.outcome?.reason ?? []);
    expect(reasons).toEqual([reason]);
  },
);

/** 2,600 rows: six pages of a file. */
const many = Array.from({ length: 2_600 }, (_, n) => ({
  resourceType: "Observation" as const,
  id: `many-${n}`,
  status: "final" as const,
  category: [
    {
      coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "vital-signs" }],
    },
  ],
  code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
  subject: { reference: "Patient/amara-okafor" },
}));

/** Begins a download, acts after the first bytes, and reads to the end. */
async function readAcross(client: string, act: (file: string) => Promise<void>) {
  const { output } = await manifestOf(client, "$export?_type=Observation");
  const { clientCa } = phylax.dev;
  const headers = { authorization: `Bearer ${await phylax.token(client)}` };
  const response = await phylax.within(() =>
    phylax.fetch(requestOf(clientCa.cert, phylax.client(client).cert, output[0]?.url ?? "", { headers })),
  );
  if (response.status !== 200 || response.body === null) throw new Error(await response.text());
  let [body, isWhole] = ["", true];
  let hasActed = false;
  try {
    for await (const chunk of response.body) {
      body += Buffer.from(chunk).toString();
      if (!hasActed) await act(output[0]?.url ?? "");
      hasActed = true;
    }
  } catch {
    isWhole = false;
  }
  return { lines: body.split("\n").length - 1, isWhole };
}

test("a file goes on after its token has ended, because it is asked under a stored authority", async ({
  expect,
}) => {
  phylax.origin.load(many);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  try {
    const read = await readAcross("telehealth", async () => void vi.setSystemTime(Date.now() + 600_000));
    expect(read.isWhole).toBe(true);
    expect(read.lines).toBeGreaterThanOrEqual(many.length);
  } finally {
    vi.useRealTimers();
  }
});

test("a delete of an export ends a download of it at the next page, on record", async ({ expect }) => {
  phylax.origin.load(many);
  const before = (await phylax.records()).length;
  const read = await readAcross("telehealth", async (file) => {
    const status = file.replace("$export-file", "$export-status").replace(/\/1$/u, "");
    expect((await phylax.ask("telehealth", status, { method: "DELETE" })).status).toBe(202);
  });
  expect(read.isWhole).toBe(false);
  expect(read.lines).toBeLessThan(many.length);
  const refused = (await phylax.records()).slice(before).flatMap(({ event }) => event ?? []);
  expect(refused.filter(({ outcome }) => outcome?.reason === "authority_ended")).toHaveLength(1);
});

const rounds = inLane({ fast: 1, slow: 3, long: 20 });

test(
  "P4: a denial ends a download that has begun within ten seconds",
  { timeout: 30_000 * rounds },
  async ({ expect }) => {
    phylax.origin.load(many);
    const [operator] = phylax.dev.operators;
    const denial = (path: string) =>
      phylax.within(() =>
        send(phylax.dev, operator, `${phylax.dev.ops}/api/${path}`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ kind: "client", client: "telehealth" }),
        }),
      );
    for (let round = 0; round < rounds; round += 1) {
      const read = await readAcross("telehealth", async () => {
        expect((await denial("revocations")).status).toBe(200);
        await new Promise((resolve) => void setTimeout(resolve, 8_000));
      });
      expect((await denial("revocations/lift")).status).toBe(200);
      expect(read.isWhole).toBe(false);
      expect(read.lines, "what was asked before").toBeLessThan(many.length);
      const isBack = async () => (await start("telehealth", "$export?_type=Patient")).status === 202;
      await vi.waitUntil(isBack, { timeout: 12_000, interval: 500 });
    }
  },
);
