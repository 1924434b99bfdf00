import type { Binary, Bundle, Observation, OperationOutcome, Patient } from "@medplum/fhirtypes";
import { Client } from "fhir-kit-client";
import { afterAll, test } from "vitest";
import { startOrigin } from "../../../sandbox/origin/server.ts";
import { readReply, type FhirReply } from "../../support/fhir-parts.ts";

const origin = await startOrigin();
afterAll(() => origin.close());

const send = async <T = Patient>(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
  base = origin.url,
): Promise<FhirReply<T>> =>
  readReply(
    await fetch(`${base}/${path}`, {
      method,
      headers: { "content-type": "application/fhir+json", ...headers },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    }),
  );
const patient = (more: object = {}) => ({ resourceType: "Patient", ...more });
const jsonPatch = { "content-type": "application/json-patch+json" };
const stored = async (id: string) => (await send("GET", `Patient/${id}`)).body;

test("R4 http.html#create: create gives an id of its own, 201, where it is and which version it is", async ({
  expect,
}) => {
  const made = await send(
    "POST",
    "Patient",
    patient({ id: "mine", meta: { versionId: "7", lastUpdated: "2001-01-01T00:00:00Z" } }),
  );
  const { id, meta } = made.body;
  expect([made.status, made.headers.get("etag"), made.headers.get("location")]).toEqual([
    201,
    'W/"1"',
    `${origin.url}/Patient/${id}/_history/1`,
  ]);
  expect([id === "mine", meta?.versionId, meta?.lastUpdated?.slice(0, 4) === "2001"]).toEqual([
    false,
    "1",
    false,
  ]);
  expect(Date.parse(made.headers.get("last-modified") ?? "")).toBeLessThanOrEqual(Date.now());
});

test("R4 http.html#update: update wants the id in its body, creates under it, and counts on", async ({
  expect,
}) => {
  expect((await send("PUT", "Patient/one", patient())).status).toBe(400);
  expect((await send("PUT", "Patient/one", patient({ id: "two" }))).status).toBe(400);
  expect((await send("PUT", "Patient/one", { resourceType: "Practitioner", id: "one" })).status).toBe(400);
  const made = await send("PUT", "Patient/one", patient({ id: "one" }));
  expect([made.status, made.headers.get("location")]).toEqual([201, `${origin.url}/Patient/one/_history/1`]);
  const changed = await send("PUT", "Patient/one", patient({ id: "one", gender: "male" }));
  expect([changed.status, changed.headers.get("etag"), changed.headers.get("location")]).toEqual([
    200,
    'W/"2"',
    null,
  ]);
  expect((await send("PUT", `Patient/${"x".repeat(65)}`, patient({ id: "x".repeat(65) }))).status).toBe(400);
});

test("R4 http.html#concurrency: If-Match limits a write to the version that was read: otherwise 412, or 409 in HAPI's mode", async ({
  expect,
}) => {
  const hapi = await startOrigin({ staleVersion: 409 });
  for (const [base, stale] of [
    [origin.url, 412],
    [hapi.url, 409],
  ] as const) {
    const write = async (method: string, ifMatch: string, body?: unknown, headers = {}) =>
      (await send(method, "Patient/held", body, { ...headers, "if-match": ifMatch }, base)).status;
    const held = patient({ id: "held" });
    const change = [{ op: "add", path: "/gender", value: "female" }];
    expect(await write("PUT", 'W/"1"', held)).toBe(stale); // it is not there
    expect(await write("PUT", "*", held)).toBe(stale);
    await send("PUT", "Patient/held", held, {}, base);
    expect(await write("PUT", 'W/"2"', held)).toBe(stale);
    expect(await write("PUT", 'W/"1"', held)).toBe(200);
    expect(await write("PATCH", 'W/"1"', change, jsonPatch)).toBe(stale);
    expect(await write("PATCH", '"2"', change, jsonPatch)).toBe(200);
    expect(await write("PUT", "three", held)).toBe(400);
    expect(await write("DELETE", 'W/"2"')).toBe(stale);
    expect(await write("DELETE", 'W/"1", W/"3"')).toBe(204);
  }
  await hapi.close();
});

test("R4 http.html#delete: delete answers 204, also for an absent resource; a deleted resource answers 410, is not found, stays in its history, and can be created again", async ({
  expect,
}) => {
  await send("PUT", "Patient/short", patient({ id: "short" }));
  const deleted = await send("DELETE", "Patient/short");
  expect([deleted.status, deleted.text]).toEqual([204, ""]);
  expect((await send("DELETE", "Patient/short")).status).toBe(204);
  expect((await send("DELETE", "Patient/never")).status).toBe(204);
  expect([(await send("GET", "Patient/short")).status, (await send("GET", "Patient/never")).status]).toEqual([
    410, 404,
  ]);
  expect((await send("PATCH", "Patient/short", [], jsonPatch)).status).toBe(410);
  expect((await send<Bundle>("GET", "Patient?_id=short")).body.total).toBe(0);
  const again = await send("PUT", "Patient/short", patient({ id: "short" }));
  expect([again.status, again.headers.get("etag")]).toEqual([201, 'W/"3"']);
});

test("R4 http.html#ccreate: If-None-Exist creates once, and never with an ambiguous condition", async ({
  expect,
}) => {
  const create = (condition: string) =>
    send("POST", "Patient", patient({ identifier: [{ system: "urn:mrn", value: "7" }] }), {
      "if-none-exist": condition,
    });
  const first = await create("identifier=urn:mrn|7");
  const second = await create("Patient?identifier=urn:mrn%7C7");
  expect([first.status, second.status, second.body.id]).toEqual([201, 200, first.body.id]);
  expect(second.headers.get("location")).toBe(null);
  await send("POST", "Patient", patient({ identifier: [{ system: "urn:mrn", value: "7" }] }));
  expect((await create("identifier=urn:mrn|7")).status).toBe(412);
  for (const condition of ["colour=red", "", "_count=1"])
    expect((await create(condition)).status, condition).toBe(400);
  expect(
    (await send("POST", "Patient", patient(), { "if-none-exist": "colour=red", prefer: "handling=lenient" }))
      .status,
  ).toBe(400);
});

test("R4 http.html#cond-update: a conditional update creates, changes the only match, and refuses every further case", async ({
  expect,
}) => {
  const named = (family: string, more: object = {}) => patient({ name: [{ family }], ...more });
  const put = (condition: string, body: object, headers = {}) =>
    send("PUT", `Patient?${condition}`, body, headers);
  const made = await put("family=upsert", named("Upsert"));
  expect(made.status).toBe(201);
  const { id } = made.body;
  const changed = await put("family=upsert", named("Upsert", { gender: "male" }));
  expect([changed.status, changed.body.id, changed.headers.get("etag")]).toEqual([200, id, 'W/"2"']);
  expect((await put("family=upsert", named("Upsert", { id: "other" }))).status).toBe(400);
  expect((await put("family=upsert", named("Upsert"), { "if-match": 'W/"1"' })).status).toBe(412);
  expect((await put("family=nobody", named("Nobody", { id: "chosen" }))).status).toBe(201);
  expect((await put("family=still-nobody", named("Nobody", { id: "chosen" }))).status).toBe(409);
  await send("POST", "Patient", named("Upsert"));
  expect((await put("family=upsert", named("Upsert"))).status).toBe(412);
  // an empty condition would match any patient
  expect((await send("PUT", "Patient", named("Upsert"))).status).toBe(400);
});

test("R4 http.html#delete: a conditional delete deletes one resource or nothing, never many, and never all", async ({
  expect,
}) => {
  const made = (await send("POST", "Patient", patient({ name: [{ family: "Leaving" }] }))).body;
  expect((await send("DELETE", "Patient")).status).toBe(400);
  expect((await send("DELETE", "Patient?colour=red")).status).toBe(400);
  expect((await send("DELETE", "Patient?family=leaving")).status).toBe(204);
  expect((await send("GET", `Patient/${made.id}`)).status).toBe(410);
  expect((await send("DELETE", "Patient?family=leaving")).status).toBe(204);
  for (const id of ["twin-a", "twin-b"])
    await send("PUT", `Patient/${id}`, patient({ id, name: [{ family: "Twin" }] }));
  expect((await send("DELETE", "Patient?family=twin")).status).toBe(412);
  expect((await send("GET", "Patient/twin-a")).status).toBe(200);
});

test("RFC 6902: a JSON Patch adds, removes, replaces, moves, copies and tests, and keeps every digit", async ({
  expect,
}) => {
  await send(
    "PUT",
    "Observation/exact",
    '{"resourceType":"Observation","id":"exact","status":"final","code":{"text":"x"},"valueQuantity":{"value":7.00,"unit":"mg"},"note":[{"text":"a"},{"text":"b/~"}]}',
  );
  const patch = (...operations: string[]) =>
    send("PATCH", "Observation/exact", `[${operations.join(",")}]`, jsonPatch);
  const { text } = await patch(
    '{"op":"test","path":"/valueQuantity/value","value":7}',
    '{"op":"test","path":"/note/1","value":{"text":"b/~"}}',
    '{"op":"add","path":"/note/0","value":{"text":"first"}}',
    '{"op":"add","path":"/note/-","value":{"text":"last"}}',
    '{"op":"remove","path":"/note/1"}',
    '{"op":"replace","path":"/status","value":"amended"}',
    '{"op":"copy","from":"/valueQuantity","path":"/referenceRange","value":0}',
    '{"op":"remove","path":"/referenceRange"}',
    '{"op":"add","path":"/referenceRange","value":[{"low":{"value":1.10}}]}',
    '{"op":"move","from":"/note/0","path":"/note/2"}',
  );
  expect(text).toContain('"value":7.00');
  expect(text).toContain('"low":{"value":1.10}');
  const after = JSON.parse(text) as Observation;
  expect([after.status, after.note?.map(({ text: words }) => words), after.meta?.versionId]).toEqual([
    "amended",
    ["b/~", "last", "first"],
    "2",
  ]);
});

test("a patch that cannot be applied whole is not applied at all", async ({ expect }) => {
  await send("PUT", "Patient/whole", patient({ id: "whole", gender: "female", name: [{ family: "A" }] }));
  const change = { op: "replace", path: "/gender", value: "male" };
  for (const [operations, status] of [
    [[change, { op: "test", path: "/name/0/family", value: "B" }], 422],
    [[change, { op: "remove", path: "/birthDate" }], 422],
    [[change, { op: "replace", path: "/birthDate", value: "1990" }], 422],
    [[change, { op: "add", path: "/name/7", value: {} }], 422],
    [[change, { op: "add", path: "/name/01", value: {} }], 422],
    [[change, { op: "move", from: "/name", path: "/name/0" }], 422],
    [[change, { op: "replace", path: "/id", value: "other" }], 422],
    [[change, { op: "replace", path: "/resourceType", value: "Person" }], 422],
    [[change, { op: "remove", path: "" }], 422],
    [[change, { op: "add", path: "/__proto__", value: {} }], 422],
    [[change, { op: "add", path: "/colour", value: "red" }], 400], // an element that R4 does not know
    [[change, { op: "add", path: "/birthDate", value: "never" }], 400],
    [[change, { op: "add", path: "birthDate", value: "1990" }], 400],
    [[change, { op: "add", path: "/birthDate" }], 400],
    [[change, { op: "multiply", path: "/gender" }], 400],
    [{ op: "test" }, 400],
  ] as const)
    expect(
      (await send("PATCH", "Patient/whole", operations, jsonPatch)).status,
      JSON.stringify(operations),
    ).toBe(status);
  expect(await stored("whole")).toMatchObject({ gender: "female", meta: { versionId: "1" } });
  expect(
    (await send("PATCH", "Patient/whole", "<diff/>", { "content-type": "application/xml-patch+xml" })).status,
  ).toBe(415);
  expect((await send("PATCH", "Patient/nobody", [change], jsonPatch)).status).toBe(404);
});

test("R4 http.html#patch: a FHIRPath Patch, and a conditional patch of the only match", async ({
  expect,
}) => {
  await send("PUT", "Patient/path", patient({ id: "path", name: [{ family: "Path" }] }));
  const operation = (value: string) => ({
    resourceType: "Parameters",
    parameter: [
      {
        name: "operation",
        part: [
          { name: "type", valueCode: "add" },
          { name: "path", valueString: "Patient" },
          { name: "name", valueString: "birthDate" },
          { name: "value", valueDate: value },
        ],
      },
    ],
  });
  expect((await send("PATCH", "Patient/path", operation("1990-01-01"))).status).toBe(200);
  expect((await stored("path")).birthDate).toBe("1990-01-01");
  const gender = [{ op: "add", path: "/gender", value: "other" }];
  expect((await send("PATCH", "Patient?birthdate=1990-01-01&family=path", gender, jsonPatch)).status).toBe(
    200,
  );
  expect((await stored("path")).gender).toBe("other");
  expect((await send("PATCH", "Patient?family=nobody-at-all", gender, jsonPatch)).status).toBe(404);
  for (const id of ["pair-a", "pair-b"])
    await send("PUT", `Patient/${id}`, patient({ id, name: [{ family: "Pair" }] }));
  expect((await send("PATCH", "Patient?family=pair", gender, jsonPatch)).status).toBe(412);
});

test("R4 http.html#ops: Prefer decides the body of the answer to a write; its headers stay", async ({
  expect,
}) => {
  for (const [method, path, body, headers] of [
    ["POST", "Patient", patient(), {}],
    ["PUT", "Patient/prefer", patient({ id: "prefer" }), {}],
    ["PATCH", "Patient/prefer", [{ op: "add", path: "/active", value: true }], jsonPatch],
  ] as const) {
    const minimal = await send(method, path, body, { ...headers, prefer: "return=minimal" });
    expect([minimal.text, minimal.headers.get("etag") === null], method).toEqual(["", false]);
    const whole = await send(method, path, body, { ...headers, prefer: "return=representation" });
    expect(whole.body.resourceType, method).toBe("Patient");
    const outcome = await send<OperationOutcome>(method, path, body, {
      ...headers,
      prefer: "return=OperationOutcome; handling=strict",
    });
    expect([outcome.body.resourceType, outcome.headers.get("etag") === null], method).toEqual([
      "OperationOutcome",
      false,
    ]);
  }
  const deleted = await send<OperationOutcome>("DELETE", "Patient/prefer", undefined, {
    prefer: "return=OperationOutcome",
  });
  expect([deleted.status, deleted.body.resourceType]).toEqual([200, "OperationOutcome"]);
});

test("a body that is not a resource, or not FHIR JSON, is refused with its error", async ({ expect }) => {
  for (const [body, type, status] of [
    ["", "application/fhir+json", 400],
    ["[]", "application/fhir+json", 400],
    ["7", "application/fhir+json", 400],
    ["{}", "application/fhir+json", 400],
    ["{", "application/fhir+json", 400],
    ['{"resourceType":"Person"}', "application/fhir+json", 400],
    ["<Patient/>", "application/fhir+xml", 415],
    ["resourceType=Patient", "application/x-www-form-urlencoded", 415],
  ] as const)
    expect((await send("POST", "Patient", body, { "content-type": type })).status, body).toBe(status);
});

test("R4 binary.html: a Binary is stored and read as content or as a resource, whichever is spoken", async ({
  expect,
}) => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const made = await fetch(`${origin.url}/Binary`, {
    method: "POST",
    headers: { "content-type": "image/png", "x-security-context": "Patient/ann" },
    body: bytes,
  });
  const { id, contentType, data = "", securityContext }: Binary = await made.json();
  expect([
    made.status,
    contentType,
    securityContext?.reference,
    Buffer.from(data, "base64").equals(bytes),
  ]).toEqual([201, "image/png", "Patient/ann", true]);

  const raw = await fetch(`${origin.url}/Binary/${id}`, { headers: { accept: "image/png" } });
  expect([
    raw.headers.get("content-type"),
    raw.headers.get("x-security-context"),
    raw.headers.get("etag"),
  ]).toEqual(["image/png", "Patient/ann", 'W/"1"']);
  expect(Buffer.from(await raw.arrayBuffer()).equals(bytes)).toBe(true);
  for (const [query, accept] of [
    ["", "application/fhir+json"],
    ["?_format=json", "image/png"],
  ] as const)
    expect(
      await (await fetch(`${origin.url}/Binary/${id}${query}`, { headers: { accept } })).json(),
    ).toMatchObject({
      resourceType: "Binary",
    });

  const put = await send<Binary>("PUT", "Binary/letter", "Dear all", { "content-type": "text/plain" });
  expect([put.status, put.body.data]).toEqual([201, Buffer.from("Dear all").toString("base64")]);
  const resource = { resourceType: "Binary", contentType: "text/plain", data: "SGk=" };
  const asResource = (await send("POST", "Binary", resource)).body;
  expect(
    await (await fetch(`${origin.url}/Binary/${asResource.id}`, { headers: { accept: "*/*" } })).text(),
  ).toBe("Hi");
});

test("fhir-kit-client writes, changes, patches and deletes", async ({ expect }) => {
  const client = new Client({ baseUrl: origin.url });
  const made = await client.create({
    resourceType: "Patient",
    body: { resourceType: "Patient", gender: "unknown" },
  });
  const id = String(made["id"]);
  expect(
    await client.update({
      resourceType: "Patient",
      id,
      body: { resourceType: "Patient", id, gender: "male" },
    }),
  ).toMatchObject({
    gender: "male",
  });
  const patched = await client.patch({
    resourceType: "Patient",
    id,
    jsonPatch: [{ op: "replace", path: "/gender", value: "female" }],
  });
  expect(patched).toMatchObject({ gender: "female", meta: { versionId: "3" } });
  await client.delete({ resourceType: "Patient", id });
  await expect(client.read({ resourceType: "Patient", id })).rejects.toMatchObject({
    response: { status: 410 },
  });
});
