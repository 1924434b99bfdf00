import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { Bundle, BundleEntry, Patient } from "@medplum/fhirtypes";
import { Client } from "fhir-kit-client";
import { afterAll, test } from "vitest";
import { startOrigin } from "../../../sandbox/origin/server.ts";

const origin = await startOrigin();
afterAll(() => origin.close());

async function send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(path === "" ? origin.url : `${origin.url}/${path}`, {
    method,
    headers: { "content-type": "application/fhir+json", ...headers },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, text };
}
const post = async (type: string, entry: readonly object[], headers: Record<string, string> = {}) => {
  const { status, text } = await send(
    "POST",
    "",
    { resourceType: "Bundle", type, ...(entry.length > 0 && { entry }) },
    headers,
  );
  return { status, text, bundle: JSON.parse(text) as Bundle };
};
const statuses = ({ entry = [] }: Bundle) => entry.map(({ response }) => response?.status);
const get = async <T>(path: string) => JSON.parse((await send("GET", path)).text) as T;
const total = async (query: string) => (await get<Bundle>(`${query}&_summary=count`)).total;

const write = (method: string, url: string, resource?: object, more: object = {}) => ({
  request: { method, url, ...more },
  ...(resource && { resource }),
});
const patient = (family: string, more: object = {}) => ({
  resourceType: "Patient",
  name: [{ family }],
  ...more,
});
const observation = (subject: string, more: object = {}) => ({
  resourceType: "Observation",
  status: "final",
  code: { text: "x" },
  subject: { reference: subject },
  ...more,
});
const uuid = (n: number) => `urn:uuid:00000000-0000-4000-8000-00000000000${n}`;

test("R4 http.html#brules: the entries of a batch succeed and fail each on its own", async ({ expect }) => {
  const { status, bundle } = await post("batch", [
    write("POST", "Patient", patient("Batch")),
    write("GET", "Patient/nobody"),
    write("GET", "Patient?family=batch"),
    write("PUT", "Patient/batched", patient("Other", { id: "batched" })),
    write("PUT", "Patient/batched", patient("Other", { id: "batched" }), { ifMatch: 'W/"7"' }),
    write("POST", "Patient", patient("Batch"), { ifNoneExist: "family=batch" }),
    write("GET", "Patient/batched", undefined, { ifNoneMatch: 'W/"1"' }),
    write("HEAD", "/Patient/batched"),
    write("POST", "Dragon", {}),
    write("GET", "Patient?colour=red"),
    write("GET", "https://elsewhere.test/Patient/1"),
    write("GET", "//elsewhere.test/Patient/1"),
    write("LINK", "Patient/batched"),
    write("POST", "", { resourceType: "Bundle", type: "batch" }),
    {},
    write("DELETE", "Patient/batched"),
  ]);
  expect([status, bundle.type]).toEqual([200, "batch-response"]);
  expect(statuses(bundle)).toEqual(
    "201 404 200 201 412 200 304 200 404 400 400 400 400 400 400 204".split(" "),
  );
  const [made, absent, search, put] = bundle.entry ?? [];
  expect(made?.response).toMatchObject({
    etag: 'W/"1"',
    location: `${origin.url}/Patient/${made?.resource?.id}/_history/1`,
  });
  // a failed entry has an outcome
  expect(absent?.response?.outcome).toMatchObject({ resourceType: "OperationOutcome" });
  expect(search?.resource).toMatchObject({ type: "searchset", total: 1 });
  expect(put?.fullUrl).toBe(`${origin.url}/Patient/batched`);
});

test("R4 http.html#trules: references by urn:uuid lead to the created resources, in every place, and digits stay", async ({
  expect,
}) => {
  const text = JSON.stringify({
    resourceType: "Bundle",
    type: "transaction",
    entry: [
      {
        fullUrl: uuid(1),
        ...write("POST", "Observation", observation(uuid(2), { valueQuantity: { value: "DIGITS" } })),
      },
      {
        fullUrl: uuid(2),
        ...write("POST", "Patient", {
          ...patient("Linked"),
          text: {
            status: "generated",
            div: `<div xmlns="http://www.w3.org/1999/xhtml"><a href="${uuid(1)}">x</a> ${uuid(1)}</div>`,
          },
          identifier: [{ system: "urn:ietf:rfc:3986", value: uuid(2) }],
          extension: [{ url: "http://example.org/about", valueUri: uuid(1) }],
          generalPractitioner: [{ reference: "urn:uuid:00000000-0000-4000-8000-999999999999" }],
        }),
      },
      {
        fullUrl: "http://other.test/Encounter/9",
        ...write("PUT", "Encounter/nine", {
          resourceType: "Encounter",
          id: "nine",
          status: "finished",
          class: { code: "AMB" },
        }),
      },
      write(
        "POST",
        "Observation",
        observation(uuid(2), { encounter: { reference: "http://other.test/Encounter/9" } }),
      ),
    ],
  }).replace('"DIGITS"', "7.00");
  const { status, text: answered } = await send("POST", "", text);
  const { type, entry = [] } = JSON.parse(answered) as Bundle;
  expect([status, type, statuses({ entry } as Bundle)]).toEqual([
    200,
    "transaction-response",
    ["201", "201", "201", "201"],
  ]);
  const [first, second, , fourth] = entry.map(({ resource }) => resource);
  expect(first).toMatchObject({ subject: { reference: `Patient/${second?.id}` } });
  expect(answered).toContain('"value":7.00');
  expect(fourth).toMatchObject({ encounter: { reference: "Encounter/nine" } });
  const there = await get<Patient>(`Patient/${second?.id}`);
  expect(there).toMatchObject({
    identifier: [{ value: uuid(2) }], // an identifier is no link
    extension: [{ valueUri: `Observation/${first?.id}` }],
    // no entry has this URL
    generalPractitioner: [{ reference: "urn:uuid:00000000-0000-4000-8000-999999999999" }],
  });
  expect(there.text?.div).toContain(`<a href="Observation/${first?.id}">x</a> ${uuid(1)}`);
  expect(await total(`Observation?patient=${second?.id}`)).toBe(2);
});

test("R4 http.html#trules: whatever their order, deletions come before creations, then changes, then reads", async ({
  expect,
}) => {
  await send("PUT", "Patient/old", patient("Order", { id: "old" }));
  await send("PUT", "Patient/kept", patient("Order", { id: "kept" }));
  const patch = {
    resourceType: "Binary",
    contentType: "application/json-patch+json",
    data: btoa('[{"op":"add","path":"/gender","value":"other"}]'),
  };
  const { bundle } = await post("transaction", [
    write("GET", "Patient?family=order&_sort=_id"),
    write("PATCH", "Patient/kept", patch),
    write("POST", "Patient", patient("Order")),
    write("PUT", "Patient/a", patient("Order", { id: "a" })),
    write("DELETE", "Patient/old"),
  ]);
  expect(statuses(bundle)).toEqual(["200", "200", "201", "201", "204"]); // in the order of the entries
  expect(bundle.entry?.[0]?.resource).toMatchObject({ total: 3 });
  expect((await get<Patient>("Patient/kept")).gender).toBe("other");
});

test("a transaction is all or nothing: the first refusal undoes creations, changes and deletions, and their history", async ({
  expect,
}) => {
  await send("PUT", "Patient/stays", patient("Stays", { id: "stays" }));
  const before = await get<Bundle>("_history?_count=1000");
  for (const [last, status] of [
    [write("PUT", "Patient/wrong", patient("X", { id: "wrong", birthDate: "never" })), 400],
    [write("PUT", "Patient/stays-not", patient("X", { id: "stays-not" }), { ifMatch: 'W/"9"' }), 412],
    [write("GET", "Patient/nobody"), 404],
    [write("PATCH", "Patient?family=nobody"), 404],
    [write("POST", "Patient", patient("X"), { ifNoneExist: "colour=red" }), 400],
    [write("POST", "Observation", observation("Patient?family=nobody-has-this-name")), 412],
    [write("LINK", "Patient/stays"), 400],
  ] as const) {
    const answer = await post("transaction", [
      write("POST", "Patient", patient("Undone")),
      write("PUT", "Patient/stays", patient("Undone", { id: "stays" })),
      write("PUT", "Patient/undone", patient("Undone", { id: "undone" })),
      write("DELETE", "Patient/kept"),
      last,
    ]);
    expect([answer.status, answer.bundle.resourceType], JSON.stringify(last)).toEqual([
      status,
      "OperationOutcome",
    ]);
  }
  expect(await total("Patient?family=undone")).toBe(0);
  expect((await send("GET", "Patient/undone")).status).toBe(404);
  expect(await get<Patient>("Patient/stays")).toMatchObject({
    name: [{ family: "Stays" }],
    meta: { versionId: "1" },
  });
  expect(await total("Patient?_id=kept,stays&family=order,stays")).toBe(2); // the index is as it was
  const after = await get<Bundle>("_history?_count=1000");
  expect(after.entry).toEqual(before.entry);
});

test("conditions of a transaction: create once, change a match, delete an existing resource, and refer by known values", async ({
  expect,
}) => {
  const doctor = { resourceType: "Practitioner", identifier: [{ system: "urn:npi", value: "99" }] };
  const bundle = (family: string) => [
    { fullUrl: uuid(3), ...write("POST", "Practitioner", doctor, { ifNoneExist: "identifier=urn:npi|99" }) },
    write(
      "PUT",
      `Patient?family=${family}`,
      patient(family, { generalPractitioner: [{ reference: uuid(3) }] }),
    ),
    write("POST", "Encounter", {
      resourceType: "Encounter",
      status: "finished",
      class: { code: "AMB" },
      participant: [{ individual: { reference: "Practitioner?identifier=urn:npi%7C99" } }],
    }),
    write("DELETE", "Patient?family=not-there"),
  ];
  const first = await post("transaction", bundle("Conditional"));
  const second = await post("transaction", bundle("Conditional"));
  expect([statuses(first.bundle), statuses(second.bundle)]).toEqual([
    ["201", "201", "201", "204"],
    ["200", "200", "201", "204"],
  ]);
  const ids = (entry: BundleEntry[] = []) => entry.slice(0, 2).map(({ resource }) => resource?.id);
  expect(ids(second.bundle.entry)).toEqual(ids(first.bundle.entry));
  const [id] = ids(first.bundle.entry);
  // once for the entry, once for the stored resource
  expect(await total(`Encounter?practitioner=${id}`)).toBe(2);
  expect(await total(`Patient?general-practitioner=${id}`)).toBe(1);
});

test("a transaction with two entries for the same resource, or with one name twice, is refused", async ({
  expect,
}) => {
  await send("PUT", "Patient/twice", patient("Twice", { id: "twice" }));
  const put = write("PUT", "Patient/twice", patient("Twice", { id: "twice" }));
  for (const entry of [
    [put, put],
    [put, write("DELETE", "Patient/twice")],
    [put, write("PUT", "Patient?family=twice", patient("Twice"))],
    [
      { fullUrl: uuid(4), ...write("POST", "Patient", patient("A")) },
      { fullUrl: uuid(4), ...write("POST", "Patient", patient("B")) },
    ],
  ])
    expect((await post("transaction", entry)).status).toBe(400);
  expect((await post("transaction", [])).bundle).toMatchObject({ type: "transaction-response" });
  expect((await post("collection", [])).status).toBe(400);
  expect((await send("POST", "", patient("No bundle"))).status).toBe(400);
});

test("Prefer: return=minimal leaves the resources out of the entries that write", async ({ expect }) => {
  const { bundle } = await post(
    "transaction",
    [write("POST", "Patient", patient("Quiet")), write("GET", "Patient?family=quiet")],
    {
      prefer: "return=minimal",
    },
  );
  expect(bundle.entry?.map(({ resource }) => resource?.resourceType)).toEqual([undefined, "Bundle"]);
});

const data = join(import.meta.dirname, "../../../../shared/data/fhir");
const files = ["synthea-2019", "synthea-2020"].flatMap((dir) => {
  const folder = join(data, dir);
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
});
test.skipIf(files.length === 0)(
  "each of Synthea's transactions is taken whole, by fhir-kit-client, and its chart hangs together (skipped without ../shared/data)",
  async ({ expect }) => {
    const client = new Client({ baseUrl: origin.url });
    for (const file of files) {
      const sent = JSON.parse(gunzipSync(readFileSync(file)).toString()) as Bundle & { type: "transaction" };
      // a transaction-response
      const response = (await client.transaction({ body: sent as never })) as unknown as Bundle;
      expect(new Set(statuses(response)), file).toEqual(new Set(["201"]));
      const stored = response.entry?.map(({ resource }) => resource) ?? [];
      expect(stored).toHaveLength(sent.entry?.length ?? 0);
      expect(JSON.stringify(stored)).not.toContain('"reference":"urn:uuid:');
      const patients = stored.filter((resource) => resource?.resourceType === "Patient");
      const observations = stored.filter((resource) => resource?.resourceType === "Observation").length;
      expect([patients.length, await total(`Observation?patient=${patients[0]?.id}`)], file).toEqual([
        1,
        observations,
      ]);
    }
  },
);
