import type { Bundle, CapabilityStatement, OperationOutcome, Patient, Resource } from "@medplum/fhirtypes";
import { afterAll, test } from "vitest";
import { parseExact } from "../../../sandbox/origin/exact-json.ts";
import type { OriginRequest } from "../../../sandbox/origin/memory-origin.ts";
import { startOrigin } from "../../../sandbox/origin/server.ts";
import { fhirSending, readReply, type FhirReply } from "../../support/fhir-parts.ts";

const requests: OriginRequest[] = [];
const origin = await startOrigin({ onRequest: (request) => requests.push(request) });
afterAll(() => origin.close());

const observation = (id: string, patient: string, more: object = {}) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { coding: [{ system: "http://loinc.org", code: id }] },
  subject: { reference: `Patient/${patient}` },
  ...more,
});
const stored = parseExact(
  JSON.stringify([
    {
      resourceType: "Patient",
      id: "ann",
      birthDate: "1980-01-01",
      meta: { lastUpdated: "2020-05-05T05:05:05Z", versionId: "9" },
    },
    { resourceType: "Patient", id: "ann-2", birthDate: "1970-01-01" },
    observation("a", "ann", { effectiveDateTime: "2024-03-01T23:30:00-05:00" }),
    observation("b", "ann", { effectiveDateTime: "2024-03-02T03:00:00Z" }),
    observation("c", "ann-2", { effectiveDateTime: "2024-01" }),
    observation("d", "ann"),
  ]),
) as Resource[]; // each of them a resource
await origin.load(stored);
await origin.load([
  parseExact(
    '{"resourceType":"Observation","id":"exact","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/exact"},"valueQuantity":{"value":1.10},"component":[{"code":{"text":"y"},"valueQuantity":{"value":12345678901234567890.0}}]}',
  ) as Resource,
]); // an Observation

const call = async <T = OperationOutcome>(path: string, init?: RequestInit): Promise<FhirReply<T>> =>
  readReply(await fetch(`${origin.url}/${path}`, init));
const send = <T>(method: string, path: string, body: string, type = "application/fhir+json") =>
  call<T>(path, { method, body, headers: { "content-type": type } });
const found = async (query: string) =>
  ((await call<Bundle>(query)).body.entry ?? []).map(({ resource }) => resource?.id);

test("a read has the validators and the absolute URLs of a real server", async ({ expect }) => {
  const { status, headers, body } = await call<Patient>("Patient/ann");
  expect([status, headers.get("content-type")]).toEqual([200, "application/fhir+json; charset=utf-8"]);
  expect([headers.get("etag"), headers.get("last-modified")]).toEqual([
    'W/"1"',
    "Tue, 05 May 2020 05:05:05 GMT",
  ]);
  expect(headers.get("content-location")).toBe(`${origin.url}/Patient/ann/_history/1`);
  expect(body.meta).toEqual({ versionId: "1", lastUpdated: "2020-05-05T05:05:05Z" });
});

test("a search returns its matches with absolute URLs, and without a further page no link to it", async ({
  expect,
}) => {
  const { body } = await call<Bundle>("Observation?patient=ann&_sort=date");
  expect(body).toMatchObject({
    resourceType: "Bundle",
    type: "searchset",
    total: 3,
    link: [{ relation: "self", url: `${origin.url}/Observation?patient=ann&_sort=date` }],
  });
  expect(body.link).toHaveLength(1);
  expect(body.entry?.map(({ fullUrl, search }) => [fullUrl, search?.mode])).toEqual(
    ["b", "a", "d"].map((id) => [`${origin.url}/Observation/${id}`, "match"]),
  );
});

test("the same search by POST and inside a batch is as strict", async ({ expect }) => {
  const form = "application/x-www-form-urlencoded";
  expect(
    (await send<Bundle>("POST", "Observation/_search", "patient=ann&code=http%3A%2F%2Floinc.org%7Ca", form))
      .body.total,
  ).toBe(1);
  expect((await send("POST", "Observation/_search", "colour=red", form)).status).toBe(400);
  const batch = (url: string) =>
    send<Bundle>(
      "POST",
      "",
      JSON.stringify({ resourceType: "Bundle", type: "batch", entry: [{ request: { method: "GET", url } }] }),
    );
  expect((await batch("Observation?patient=ann")).body.entry?.[0]?.resource).toMatchObject({ total: 3 });
  expect((await batch("Observation?colour=red")).body.entry?.[0]?.response?.status).toBe("400");
});

test("an unknown id, type, parameter, modifier, value, path or body is refused with an OperationOutcome", async ({
  expect,
}) => {
  for (const [path, status] of [
    ["Patient/nobody", 404],
    ["Dragon/1", 404],
    ["Dragon", 404],
    ["Patient/ann/_history/7", 404],
    ["", 404],
    ["?_type=Dragon", 400],
    ["Patient/ann/Dragon", 404],
    ["Practitioner/x/Observation", 404],
    ["Observation?colour=red", 400],
    ["Observation?patient:Dragon=ann", 400],
    ["Observation?date=soon", 400],
    ["Observation?_count=many", 400],
    ["Observation?_content=", 400],
    ["Observation?_sort=colour", 400],
    ["Observation?_format=xml", 400],
    ["Observation?subject.colour=ann", 400],
    ["Observation?_include=Observation:colour", 400],
    ["Observation?_revinclude=Observation", 400],
    ["Patient/ann?colour=red", 400],
  ] as const) {
    const answer = await call(path);
    expect([answer.status, answer.body.resourceType], path).toEqual([status, "OperationOutcome"]);
  }
  expect((await send("POST", "Patient", "{")).status).toBe(400);
  expect((await send("POST", "Dragon", '{"resourceType":"Dragon"}')).status).toBe(404);
  expect((await fetch(origin.url.replace("/fhir", "/elsewhere"))).status).toBe(404);
});

test("numbers keep their digits through load, read, search, create and patch", async ({ expect }) => {
  for (const path of ["Observation/exact", "Observation?patient=exact"]) {
    const { text } = await call(path);
    expect(text).toContain('"value":1.10');
    expect(text).toContain('"value":12345678901234567890.0');
  }
  const made = await send<Resource>(
    "POST",
    "Observation",
    '{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":7.00}}',
  );
  expect(made.text).toContain('"value":7.00');
  const patched = await send(
    "PATCH",
    `Observation/${made.body.id}`,
    '[{"op":"add","path":"/issued","value":"2026-01-01T00:00:00Z"}]',
    "application/json-patch+json",
  );
  expect(patched.text).toContain('"value":7.00');
  // and are found by their value
  expect(await found("Observation?value-quantity=7.00")).toEqual([made.body.id]);
});

test("writes are counted versions under ids that the server gives; a deleted resource answers 410", async ({
  expect,
}) => {
  const made = await send<Patient>(
    "POST",
    "Patient",
    '{"resourceType":"Patient","id":"mine","gender":"female"}',
  );
  const id = made.body.id ?? "";
  expect(made.status).toBe(201);
  expect(id).not.toBe("mine");
  expect(made.headers.get("location")).toBe(`${origin.url}/Patient/${id}/_history/1`);

  const put = (gender: string, version?: string) =>
    call(
      `Patient/${id}`,
      fhirSending(
        "PUT",
        { resourceType: "Patient", id, gender },
        { ...(version !== undefined && { "if-match": `W/"${version}"` }) },
      ),
    );
  expect((await put("male", "7")).status).toBe(412);
  expect((await put("male", "1")).headers.get("etag")).toBe('W/"2"');
  expect((await call<Patient>(`Patient/${id}/_history/1`)).body.gender).toBe("female");
  const history = async () =>
    (await call<Bundle>(`Patient/${id}/_history`)).body.entry?.map(
      ({ resource }) => resource?.meta?.versionId,
    );
  expect([await history(), await history()]).toEqual([
    ["2", "1"],
    ["2", "1"],
  ]);
  expect(await found(`Patient?_id=${id}&gender=female`)).toEqual([]); // the index forgets the old version

  expect((await call(`Patient/${id}`, { method: "DELETE" })).status).toBe(204);
  expect((await call(`Patient/${id}`)).status).toBe(410);
  expect((await call<Patient>(`Patient/${id}/_history/2`)).body.gender).toBe("male");
  expect((await call(`Patient/${id}/_history/3`)).status).toBe(410);
  expect((await call(`Patient/${id}/_history/4`)).status).toBe(404);
  expect((await call("Patient/nobody/_history")).status).toBe(404);
  const life = (await call<Bundle>(`Patient/${id}/_history`)).body.entry;
  expect(life?.map(({ request, resource }) => [request?.method, resource?.meta?.versionId])).toEqual([
    ["DELETE", undefined],
    ["PUT", "2"],
    ["POST", "1"],
  ]);
  expect(await found(`Patient?_id=${id}`)).toEqual([]);
  expect((await put("other")).headers.get("etag")).toBe('W/"4"'); // created again, with the count continued
  expect(await history()).toEqual(["4", undefined, "2", "1"]);
  expect((await send("PUT", "Patient/new-one", '{"resourceType":"Patient","id":"new-one"}')).status).toBe(
    201,
  );
});

test("a reference that changes is no longer found under the old target", async ({ expect }) => {
  await origin.load([observation("moving", "before") as Resource]); // an Observation
  expect(await found("Observation?patient=before")).toEqual(["moving"]);
  await origin.load([observation("moving", "after") as Resource]); // an Observation
  expect([await found("Observation?patient=before"), await found("Observation?patient=after")]).toEqual([
    [],
    ["moving"],
  ]);
});

test("a conditional create asks the same search", async ({ expect }) => {
  const create = (condition: string) =>
    call("Patient", {
      method: "POST",
      body: '{"resourceType":"Patient","birthDate":"1950-01-01"}',
      headers: { "content-type": "application/fhir+json", "if-none-exist": condition },
    });
  expect((await create("birthdate=1950-01-01")).status).toBe(201);
  expect((await create("birthdate=1950-01-01")).status).toBe(200);
  expect((await create("birthdate=gt1900-01-01")).status).toBe(412);
  expect((await create("colour=red")).status).toBe(400);
});

test("a resource that is not valid R4 is not stored", async ({ expect }) => {
  for (const body of [
    '{"resourceType":"Patient","birthDate":"never"}',
    '{"resourceType":"Patient","colour":"red"}',
    '{"resourceType":"Observation","status":"final"}',
  ])
    expect((await send("POST", JSON.parse(body).resourceType, body)).status, body).toBe(400);
});

test("metadata names every type with the parameters that it is searched by", async ({ expect }) => {
  const { body } = await call<CapabilityStatement>("metadata");
  const rest = body.rest?.[0]?.resource ?? [];
  expect([body.fhirVersion, body.implementation?.url, rest.length]).toEqual(["4.0.1", origin.url, 146]);
  const names = (type: string) =>
    rest.find((resource) => resource.type === type)?.searchParam?.map(({ name }) => name) ?? [];
  expect(names("Observation")).toEqual(
    expect.arrayContaining(["_id", "_lastUpdated", "patient", "subject", "code", "date", "value-quantity"]),
  );
  for (const name of names("Condition"))
    expect((await call(`Condition?${name}:missing=true`)).status, name).toBe(200);
  const { searchInclude = [], searchRevInclude = [] } = rest.find(({ type }) => type === "Condition") ?? {};
  expect(searchInclude).toEqual(expect.arrayContaining(["*", "Condition:patient", "Condition:encounter"]));
  expect(searchRevInclude).toEqual(
    expect.arrayContaining(["*", "Procedure:reason-reference", "Provenance:target"]),
  );
  for (const name of searchInclude) expect((await call(`Condition?_include=${name}`)).status, name).toBe(200);
  for (const name of searchRevInclude)
    expect((await call(`Condition?_revinclude=${name}`)).status, name).toBe(200);
});

test("the listener gets each request, with its query", async ({ expect }) => {
  requests.length = 0;
  await call("Patient?_id=ann");
  expect(requests.map(({ method, path }) => [method, path])).toEqual([["GET", "/fhir/Patient?_id=ann"]]);
});
