import type { Bundle, Observation, OperationOutcome, Patient, Resource } from "@medplum/fhirtypes";
import { afterAll, test } from "vitest";
import { startOrigin } from "../../../sandbox/origin/server.ts";
import { fhirSending, readReply, type FhirReply } from "../../support/fhir-parts.ts";

const origin = await startOrigin();
afterAll(() => origin.close());

const observation = (id: string, code: string, effectiveDateTime: string | undefined, more: object = {}) => ({
  resourceType: "Observation",
  id,
  status: "final",
  category: [{ coding: [{ code: "vital-signs" }] }],
  code: { coding: [{ system: "http://loinc.org", code }] },
  subject: { reference: "Patient/ann" },
  ...(effectiveDateTime !== undefined && { effectiveDateTime }),
  ...more,
});
const stored: object[] = [
  {
    resourceType: "Patient",
    id: "ann",
    meta: {
      lastUpdated: "2020-05-05T05:05:05.678Z",
      tag: [{ system: "urn:t", code: "kept" }],
      security: [{ system: "urn:s", code: "R" }],
      profile: ["http://example.org/p"],
    },
    text: { status: "generated", div: '<div xmlns="http://www.w3.org/1999/xhtml">Ann</div>' },
    identifier: [
      {
        type: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/v2-0203", code: "MR" }] },
        system: "urn:mrn",
        value: "7",
      },
    ],
    name: [{ family: "Arbor" }],
    birthDate: "1980-01-01",
    _birthDate: { extension: [{ url: "http://example.org/time", valueString: "noon" }] },
    deceasedBoolean: false,
    maritalStatus: { text: "married" },
  },
  observation("w1", "weight", "2020-01-01"),
  observation("w2", "weight", "2024-01-01"),
  observation("w3", "weight", "2022-01-01"),
  observation("h1", "height", "2019-01-01", {
    code: {
      coding: [
        { system: "http://loinc.org", code: "height" },
        { system: "urn:own", code: "h" },
      ],
    },
  }),
  observation("h2", "h", "2021-01-01", { code: { coding: [{ system: "urn:own", code: "h" }] } }),
  observation("u1", "undated", undefined),
  observation("u2", "undated", "1999-01-01"),
  { ...observation("other", "weight", "2025-01-01"), subject: { reference: "Patient/ben" } },
];
await origin.load(stored as Resource[]); // each of them a resource

const get = async <T>(
  path: string,
  headers: Record<string, string> = {},
  method = "GET",
): Promise<FhirReply<T>> =>
  readReply(
    await fetch(`${origin.url}/${path}`, {
      method,
      headers: { accept: "application/fhir+json", ...headers },
    }),
  );
const ids = async (path: string) =>
  ((await get<Bundle>(path)).body.entry ?? []).map(({ resource }) => resource?.id);

test("R4 http.html#cread: a conditional read answers 304 for the client's current version, by version before time", async ({
  expect,
}) => {
  for (const [headers, status] of [
    [{ "if-none-match": 'W/"1"' }, 304],
    [{ "if-none-match": 'W/"7", "1"' }, 304],
    [{ "if-none-match": "*" }, 304],
    [{ "if-none-match": 'W/"2"' }, 200],
    [{ "if-modified-since": "Tue, 05 May 2020 05:05:05 GMT" }, 304],
    [{ "if-modified-since": "Tue, 05 May 2020 05:05:04 GMT" }, 200],
    [{ "if-modified-since": "lately" }, 200],
    [{ "if-none-match": 'W/"2"', "if-modified-since": "Tue, 05 May 2026 05:05:05 GMT" }, 200],
  ] as const) {
    const answer = await get("Patient/ann", headers);
    expect([answer.status, answer.headers.get("etag")], JSON.stringify(headers)).toEqual([status, 'W/"1"']);
    expect(answer.text === "").toBe(status === 304);
  }
  expect((await get("Patient/ann/_history/1", { "if-none-match": 'W/"1"' })).status).toBe(304);
  expect((await get("Patient/nobody", { "if-none-match": "*" })).status).toBe(404);
});

test("HEAD answers as GET would, without its body", async ({ expect }) => {
  for (const path of ["Patient/ann", "Patient?_id=ann", "metadata", "Patient/nobody", "Patient?colour=red"]) {
    const [head, whole] = [await get(path, {}, "HEAD"), await get(path)];
    expect([head.status, head.text], path).toEqual([whole.status, ""]);
    for (const name of ["content-type", "etag", "last-modified", "content-location"])
      expect(head.headers.get(name), name).toBe(whole.headers.get(name));
  }
});

test("R4 search.html#summary, #elements: _elements and _summary reduce a resource, keep the required elements, and mark it", async ({
  expect,
}) => {
  const shown = async (query: string) => {
    // the only Patient
    const search = (await get<Bundle>(`Patient?_id=ann&${query}`)).body.entry?.[0]?.resource as Patient;
    // a read is reduced in the same way
    expect((await get<Patient>(`Patient/ann?${query}`)).body).toEqual(search);
    expect(search.meta?.tag).toEqual([
      { system: "urn:t", code: "kept" },
      { system: "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", code: "SUBSETTED" },
    ]);
    return Object.keys(search).toSorted();
  };
  expect(await shown("_elements=birthDate,deceased")).toEqual([
    "_birthDate",
    "birthDate",
    "deceasedBoolean",
    "id",
    "meta",
    "resourceType",
  ]);
  expect(await shown("_elements=Patient.name,Observation.status")).toEqual([
    "id",
    "meta",
    "name",
    "resourceType",
  ]);
  expect(await shown("_summary=text")).toEqual(["id", "meta", "resourceType", "text"]);
  expect(await shown("_summary=data")).not.toContain("text");
  const summary = await shown("_summary=true");
  expect([summary.includes("name"), summary.includes("maritalStatus"), summary.includes("text")]).toEqual([
    true,
    false,
    false,
  ]);
  const cut = (await get<Observation>("Observation/w1?_elements=subject")).body;
  // code and status are required
  expect(Object.keys(cut).toSorted()).toEqual(["code", "id", "meta", "resourceType", "status", "subject"]);
  expect((await get<Patient>("Patient/ann?_summary=false")).body.maritalStatus).toBeDefined();
});

test("_elements reduces the matches, and included resources only if it names their type", async ({
  expect,
}) => {
  const keys = async (query: string) =>
    ((await get<Bundle>(`Observation?_id=w1&_include=Observation:patient&${query}`)).body.entry ?? []).map(
      ({ resource }) => Object.keys(resource ?? {}).length,
    );
  const [whole, some, named] = [
    await keys("_summary=false"),
    await keys("_elements=subject"),
    await keys("_elements=subject,Patient.name"),
  ];
  expect([some[0], some[1]]).toEqual([6, whole[1]]);
  expect(named).toEqual([6, 4]);
  expect((await get("Observation?_include=Observation:patient&_summary=text")).status).toBe(400);
  for (const query of ["_summary=brief", "_total=some"])
    expect((await get(`Patient?${query}`)).status, query).toBe(400);
});

test("R4 search.html#total, #summary: _total=none leaves the total out, _summary=count is the total alone", async ({
  expect,
}) => {
  const totals = async (query: string) => {
    const { total, entry } = (await get<Bundle>(`Observation?patient=ann&${query}`)).body;
    return [total, entry?.length];
  };
  expect(await totals("_total=accurate")).toEqual([7, 7]);
  expect(await totals("_total=none")).toEqual([undefined, 7]);
  expect(await totals("_summary=count")).toEqual([7, undefined]);
  expect(await totals("_summary=count&_include=Observation:patient")).toEqual([7, undefined]);
});

test("R4 search.html, parameters of all resources and modifiers: by tag, label, profile, time of change, and type of an identifier", async ({
  expect,
}) => {
  for (const [query, found] of [
    ["_tag=urn:t|kept", ["ann"]],
    ["_tag=lost", []],
    ["_security=R", ["ann"]],
    ["_security:not=R", []],
    ["_profile=http://example.org/p", ["ann"]],
    ["_profile:below=http://example.org", ["ann"]],
    ["_profile:above=http://example.org/p/q", ["ann"]],
    ["_lastUpdated=2020-05", ["ann"]],
    ["_lastUpdated=gt2021", []],
    ["identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|7", ["ann"]],
    ["identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|SS|7", []],
    ["identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|8", []],
  ] as const)
    expect(await ids(`Patient?${query}`), query).toEqual(found);
});

test("R4 search.html#content, #list: by words of the narrative or of the whole, and by the members of a list", async ({
  expect,
}) => {
  await origin.load([
    {
      resourceType: "List",
      id: "weights",
      status: "current",
      mode: "working",
      entry: ["w3", "w1"].map((id) => ({ item: { reference: `Observation/${id}` } })),
    },
  ]);
  for (const [query, found] of [
    ["Patient?_text=ANN", ["ann"]],
    ["Patient?_text=xhtml", []], // a word of the markup
    ["Patient?_text=arbor", []],
    ["Patient?_content=arbor", ["ann"]],
    ["Patient?_content=married%20arbor", ["ann"]],
    ["Patient?_content=arbor%20single", []],
    ["Observation?_list=weights", ["w3", "w1"]],
    ["Patient?_list=weights", []],
    ["Observation?_list=none", []],
  ] as const)
    expect(await ids(query), query).toEqual(found);
});

test("$lastn: the latest of each kind of one subject's observations; a shared coding makes them one kind", async ({
  expect,
}) => {
  expect(await ids("Observation/$lastn?patient=ann&category=vital-signs")).toEqual(["w2", "h2", "u2"]);
  expect(await ids("Observation/$lastn?patient=Patient/ann&category=vital-signs&max=2")).toEqual([
    "w2",
    "w3",
    "h2",
    "h1",
    "u2",
    "u1",
  ]);
  expect(await ids("Observation/$lastn?patient=ann&code=weight&max=10")).toEqual(["w2", "w3", "w1"]);
  const posted = await fetch(
    `${origin.url}/Observation/$lastn`,
    fhirSending("POST", {
      resourceType: "Parameters",
      parameter: [
        { name: "subject", valueString: "Patient/ann" },
        { name: "code", valueString: "weight" },
        { name: "max", valuePositiveInt: 1 },
      ],
    }),
  );
  const { entry }: Bundle = await posted.json();
  expect(entry?.map(({ resource }) => resource?.id)).toEqual(["w2"]);
  for (const query of [
    "category=vital-signs",
    "patient=ann&max=0",
    "patient=ann&max=few",
    "patient=ann&colour=red",
  ])
    expect((await get(`Observation/$lastn?${query}`)).status, query).toBe(400);
  expect((await get("Patient/$lastn?patient=ann")).status).toBe(404);
});

test("$validate answers 200 with the errors of a posted or stored resource, and stores nothing", async ({
  expect,
}) => {
  const post = async (path: string, body: object) => {
    const response = await fetch(`${origin.url}/${path}`, fhirSending("POST", body));
    const { issue }: OperationOutcome = await response.json();
    return [response.status, issue[0]?.severity];
  };
  const good = { resourceType: "Patient", birthDate: "1990-01-01" };
  const bad = { resourceType: "Patient", birthDate: "never" };
  const inParameters = (resource: object) => ({
    resourceType: "Parameters",
    parameter: [
      { name: "mode", valueCode: "create" },
      { name: "resource", resource },
    ],
  });
  expect(await post("Patient/$validate", good)).toEqual([200, "information"]);
  expect(await post("Patient/$validate", bad)).toEqual([200, "error"]);
  expect(await post("Patient/$validate", inParameters(good))).toEqual([200, "information"]);
  expect(await post("Patient/ann/$validate", inParameters(bad))).toEqual([200, "error"]);
  expect(await post("Observation/$validate", good)).toEqual([200, "error"]);
  expect((await get<OperationOutcome>("Patient/ann/$validate")).body.issue[0]?.severity).toBe("information");
  expect((await get("Patient/nobody/$validate")).status).toBe(404);
  expect(await ids("Patient?birthdate=1990-01-01")).toEqual([]);
});

test("R4 http.html#history: the history of a type and of all, the newest first, with deletions and since when", async ({
  expect,
}) => {
  const put = async (type: string, id: string) =>
    await fetch(`${origin.url}/${type}/${id}`, fhirSending("PUT", { resourceType: type, id }));
  const since = new Date().toISOString();
  await put("Practitioner", "a");
  await put("Person", "b");
  await put("Practitioner", "a");
  await fetch(`${origin.url}/Practitioner/a`, { method: "DELETE" });
  const steps = async (path: string) => {
    const { type, total, entry = [] } = (await get<Bundle>(path)).body;
    return [
      type,
      total,
      entry.map(
        ({ request, response }) => `${request?.method} ${request?.url} ${response?.status} ${response?.etag}`,
      ),
    ];
  };
  const practitioner = [
    'DELETE Practitioner/a 204 W/"3"',
    'PUT Practitioner/a 200 W/"2"',
    'PUT Practitioner/a 201 W/"1"',
  ];
  expect(await steps("Practitioner/_history")).toEqual(["history", 3, practitioner]);
  expect(await steps(`_history?_since=${since}`)).toEqual([
    "history",
    4,
    [...practitioner.slice(0, 2), 'PUT Person/b 201 W/"1"', ...practitioner.slice(2)],
  ]);
  expect((await get<Bundle>("_history?_count=2")).body.link?.map(({ relation }) => relation)).toEqual([
    "self",
    "first",
    "next",
    "last",
  ]);
  // loaded with the oldest time
  expect(((await get<Bundle>("_history?_count=1000")).body.entry ?? []).at(-1)?.resource?.id).toBe("ann");
  expect((await get<Bundle>("Basic/_history")).body.total).toBe(0);
  expect((await get("Dragon/_history")).status).toBe(404);
});
