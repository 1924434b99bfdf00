import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import * as fc from "fast-check";
import { test } from "vitest";
import { conditionalReferences, readBatch, withReferences } from "#fhir/batch";
import { readJson, type Json } from "#fhir/json/json";
import { noSharedData } from "../phi/shared-data.ts";

const base = "https://gateway.example/v1/fhir/main";
const bundle = (type: string, ...entry: Json[]): Json => ({ resourceType: "Bundle", type, entry });
const entry = (method: string, url: string, more: Record<string, Json> = {}): Json => ({
  request: { method, url },
  ...more,
});
const reason = (body: Json) => {
  const read = readBatch(body, base);
  return read.ok ? "read" : read.error.reason;
};

test("a batch is read into requests: method, path, query, conditions, resource", ({ expect }) => {
  const read = readBatch(
    bundle(
      "transaction",
      entry("POST", "Patient", { fullUrl: "urn:uuid:1", resource: { resourceType: "Patient" } }),
      {
        request: { method: "PUT", url: "Observation/1", ifMatch: 'W/"2"' },
        resource: { resourceType: "Observation" },
      },
      entry("GET", "Observation?patient=1&_count=5"),
      {
        request: { method: "POST", url: "Patient", ifNoneExist: "identifier=urn:a|1" },
        resource: { resourceType: "Patient" },
      },
    ),
    base,
  );
  if (!read.ok || read.value.kind !== "transaction") return expect(read).toBeUndefined();
  expect(
    read.value.entries.map(({ method, segments, query }) => [method, segments.join("/"), query]),
  ).toEqual([
    ["POST", "Patient", ""],
    ["PUT", "Observation/1", ""],
    ["GET", "Observation", "patient=1&_count=5"],
    ["POST", "Patient", ""],
  ]);
  expect(read.value.entries.map(({ header }) => [header("if-match"), header("if-none-exist")])).toEqual([
    [null, null],
    ['W/"2"', null],
    [null, null],
    [null, "identifier=urn:a|1"],
  ]);
  expect(read.value.entries[0]?.fullUrl).toBe("urn:uuid:1");
});

test.for<[string, Json]>([
  ["not_a_batch_or_transaction", "Bundle"],
  ["not_a_batch_or_transaction", { resourceType: "Patient", type: "batch" }],
  ["not_a_batch_or_transaction", bundle("searchset")],
  ["not_a_batch_or_transaction", bundle("history", entry("GET", "Patient/1"))],
  ["not_a_batch_or_transaction", { resourceType: "Bundle", type: "batch", entry: {} }],
  ["entry_malformed", bundle("transaction", "GET Patient/1")],
  ["entry_malformed", bundle("transaction", {})],
  ["entry_malformed", bundle("transaction", entry("get", "Patient/1"))],
  ["entry_malformed", bundle("transaction", entry("TRACE", "Patient/1"))],
  ["entry_malformed", bundle("transaction", { request: { method: "GET", url: 1 as unknown as Json } })],
  [
    "entry_malformed",
    bundle("transaction", { request: { method: "GET", url: "Patient/1", unless: "never" } }),
  ],
  [
    "entry_malformed",
    bundle("transaction", { request: { method: "GET", url: "Patient/1", ifMatch: ["a"] } }),
  ],
  ["entry_malformed", bundle("transaction", entry("POST", "Patient", { resource: [] }))],
  ["entry_malformed", bundle("transaction", entry("POST", "Patient", { fullUrl: null }))],
  ["entry_malformed", bundle("transaction", entry("POST", "Patient", { also: "this" }))],
  ["entry_url_malformed", bundle("transaction", entry("GET", "https://origin.example/fhir/Patient/1"))],
  ["entry_url_malformed", bundle("transaction", entry("GET", "//origin.example/Patient/1"))],
  ["entry_url_malformed", bundle("transaction", entry("GET", base))],
  ["entry_url_malformed", bundle("transaction", entry("GET", `${base}/`))],
  ["entry_url_malformed", bundle("transaction", entry("GET", `${base}//Patient/1`))],
  ["entry_url_malformed", bundle("transaction", entry("GET", `${base}2/Patient/1`))],
  ["entry_url_malformed", bundle("transaction", entry("GET", `${base}Patient/1`))],
  ["entry_url_malformed", bundle("transaction", entry("GET", `${base}/${base}/Patient/1`))],
  ["entry_url_malformed", bundle("transaction", entry("GET", `${base}/Patient/%31`))],
  [
    "entry_url_malformed",
    bundle("transaction", entry("GET", "https://gateway.example/v1/fhir/other/Patient/1")),
  ],
  [
    "entry_url_malformed",
    bundle("transaction", entry("GET", "https://GATEWAY.example/v1/fhir/main/Patient/1")),
  ],
  ["entry_repeated", bundle("transaction", entry("PUT", "Patient/1"), entry("DELETE", `${base}/Patient/1`))],
  ["entry_url_malformed", bundle("transaction", entry("GET", "/"))],
  ["entry_url_malformed", bundle("transaction", entry("GET", "///Patient/1"))],
  ["entry_url_malformed", bundle("transaction", entry("GET", "Patient//1"))],
  ["entry_url_malformed", bundle("transaction", entry("GET", "Patient/%31"))],
  ["entry_url_malformed", bundle("transaction", entry("GET", "Patient/1#a"))],
  ["entry_url_malformed", bundle("transaction", entry("GET", ""))],
  ["entry_url_malformed", bundle("transaction", entry("GET", "//"))],
  ["entry_url_malformed", bundle("transaction", entry("GET", "//?name=a"))],
  ["entry_url_malformed", bundle("transaction", entry("GET", "Patient/1//"))],
  ["entry_url_malformed", bundle("transaction", { request: { method: "GET" } })],
  ["entry_repeated", bundle("transaction", entry("PUT", "Patient/1"), entry("DELETE", "Patient/1"))],
  [
    "entry_repeated",
    bundle(
      "transaction",
      entry("POST", "Patient", { fullUrl: "urn:uuid:1" }),
      entry("POST", "Patient", { fullUrl: "urn:uuid:1" }),
    ),
  ],
  ["too_many_entries", bundle("batch", ...Array.from({ length: 51 }, () => entry("GET", "Patient/1")))],
  ["too_many_entries", bundle("transaction", ...Array.from({ length: 51 }, () => entry("GET", "Patient/1")))],
  [
    "too_many_entries",
    bundle("transaction", ...Array.from({ length: 1_001 }, () => entry("POST", "Patient"))),
  ],
])("%s: %j", ([expected, body], { expect }) => {
  expect(reason(body)).toBe(expected);
});

test("an entry of a batch that cannot be read leaves the further entries, at most fifty in all", ({
  expect,
}) => {
  const faulty = [
    null,
    {},
    entry("TRACE", "Patient/1"),
    entry("GET", "https://origin.example/fhir/Patient/1"),
    entry("POST", "Patient", { fullUrl: null }),
    { request: { method: "DELETE", url: "Patient/1", ifMatch: ["a"] } },
    entry("GET", "Patient/1"),
  ];
  const read = readBatch(bundle("batch", ...faulty), base);
  if (!read.ok || read.value.kind !== "batch") return expect(read).toBeUndefined();
  const malformed = (at: number) => ({ ok: false, error: { reason: "entry_malformed", at } });
  expect(read.value.entries).toMatchObject([
    malformed(0),
    malformed(1),
    malformed(2),
    { ok: false, error: { reason: "entry_url_malformed", at: 3 } },
    malformed(4),
    malformed(5),
    { ok: true, value: { method: "GET", segments: ["Patient", "1"] } },
  ]);
  expect(reason(bundle("batch", ...Array.from({ length: 51 }, () => null)))).toBe("too_many_entries");
});

test("an entry's URL below the client's own base is the relative URL, and its spaces and letters need no escapes", ({
  expect,
}) => {
  const read = (url: string, ifNoneExist = "identifier=a") => {
    const batch = readBatch(bundle("transaction", { request: { method: "GET", url, ifNoneExist } }), base);
    const entry = batch.ok && batch.value.kind === "transaction" ? batch.value.entries[0] : undefined;
    if (entry === undefined) return undefined;
    const { segments, query, header } = entry;
    return [segments.join("/"), query, header("if-none-exist")];
  };
  for (const url of ["Patient/1", "Patient/1/", "Patient?name=a", "?_type=Patient", "Patient/1/_history/2"]) {
    expect(read(url), url).toBeDefined();
    expect(read(url.startsWith("?") ? base + url : `${base}/${url}`), url).toEqual(read(url));
  }
  const escaped = "name=%C3%96d%C3%B6n%20van%20%F0%9F%8F%A5";
  expect(read("Patient?name=Ödön van 🏥", " name=Ödön van 🏥 ")).toEqual(["Patient", escaped, escaped]);
  expect(read(`Patient?${escaped}`, `?${escaped}`)).toEqual(["Patient", escaped, `?${escaped}`]);
  // no FHIR value has these: the query's own reading refuses them
  for (const sign of ["\u0000", "\t", "\u0085", "\ud800"])
    expect(read(`Patient?name=${sign}`), JSON.stringify(sign)).toEqual([
      "Patient",
      `name=${sign}`,
      "identifier=a",
    ]);
});

test("an entry's fullUrl may equal its URL, and conditional references are found", ({ expect }) => {
  expect(
    reason(
      bundle(
        "transaction",
        entry("PUT", "Patient/1", { fullUrl: "Patient/1", resource: { resourceType: "Patient" } }),
      ),
    ),
  ).toBe("read");
  const resource = {
    subject: { reference: "Patient/1" },
    performer: [{ reference: "Practitioner?identifier=a|1" }, { reference: "#p?" }],
  };
  expect(conditionalReferences(resource)).toEqual(["Practitioner?identifier=a|1"]);
  for (const reference of [
    "/Practitioner?identifier=1",
    "https://api.example/fhir/Practitioner?identifier=1",
    "./Practitioner?_id=1",
    "?x=1",
  ])
    expect(conditionalReferences({ performer: [{ reference }] })).toEqual([reference]);
});

test("a new resource of a transaction whose fullUrl is an address gets a name that no entry has, in the references to it too", ({
  expect,
}) => {
  const [here, taken] = [
    "http://example.org/fhir/Encounter/1",
    "urn:uuid:5ca1ab1e-0000-8000-8000-000000000001",
  ];
  const refers = (reference: string): Json => ({ resourceType: "Observation", encounter: { reference } });
  const read = readBatch(
    bundle(
      "transaction",
      entry("POST", "Encounter", { fullUrl: here, resource: { resourceType: "Encounter" } }),
      entry("POST", "Encounter", { fullUrl: taken, resource: { resourceType: "Encounter" } }),
      entry("PUT", "Encounter/3", {
        fullUrl: `${base}/Encounter/3`,
        resource: { resourceType: "Encounter" },
      }),
      ...[here, `${here}/_history/1`, "Encounter/1", taken, `${base}/Encounter/3`].map((reference) =>
        entry("POST", "Observation", { resource: refers(reference) }),
      ),
    ),
    base,
  );
  if (!read.ok || read.value.kind !== "transaction") return expect(read).toBeUndefined();
  const name = "urn:uuid:5ca1ab1e-0000-8000-8000-000000000002";
  expect(read.value.entries.slice(0, 3).map(({ fullUrl }) => fullUrl)).toEqual([
    name,
    taken,
    `${base}/Encounter/3`,
  ]);
  expect(read.value.entries.slice(3).map(({ resource }) => resource)).toEqual(
    [name, `${here}/_history/1`, "Encounter/1", taken, `${base}/Encounter/3`].map(refers),
  );
});

test("a relative reference leads to the new resource with this address below the root of its own entry's fullUrl", ({
  expect,
}) => {
  const [root, patient] = ["http://example.org/fhir", { resourceType: "Patient" }];
  const refers = (reference: string): Json => ({ resourceType: "Observation", subject: { reference } });
  const subjectOf = (fullUrl: string | undefined, reference: string) => {
    const read = readBatch(
      bundle(
        "transaction",
        entry("POST", "Patient", { fullUrl: `${root}/Patient/1`, resource: patient }),
        entry("POST", "Observation", { ...(fullUrl && { fullUrl }), resource: refers(reference) }),
      ),
      base,
    );
    return read.ok && read.value.kind === "transaction" && read.value.entries[1]?.resource?.["subject"];
  };
  const name = "urn:uuid:5ca1ab1e-0000-8000-8000-000000000001";
  expect(subjectOf(`${root}/Observation/2`, "Patient/1")).toEqual({ reference: name });
  for (const [fullUrl, reference] of [
    [`${root}/Observation/2`, "Patient/2"],
    ["http://other.example/fhir/Observation/2", "Patient/1"],
    ["urn:uuid:11111111-1111-4111-8111-111111111111", "Patient/1"],
    [undefined, "Patient/1"],
  ] as const)
    expect(subjectOf(fullUrl, reference), fullUrl).toEqual({ reference });
});

test("a relative reference leads to an entry below the root of its own entry's fullUrl also where no entry makes a new resource", ({
  expect,
}) => {
  const root = "http://example.org/fhir";
  const observation: Json = { resourceType: "Observation", subject: { reference: "Patient/1" } };
  const patient: Json = { resourceType: "Patient", id: "77" };
  const read = readBatch(
    bundle(
      "transaction",
      entry("PUT", "Patient/77", { fullUrl: `${root}/Patient/1`, resource: patient }),
      entry("PUT", "Observation/2", { fullUrl: `${root}/Observation/2`, resource: observation }),
    ),
    base,
  );
  expect(
    read.ok && read.value.kind === "transaction" && read.value.entries[1]?.resource?.["subject"],
  ).toEqual({
    reference: `${root}/Patient/1`,
  });
});

test("a batch may read a resource twice, and so may a transaction", ({ expect }) => {
  for (const type of ["batch", "transaction"])
    expect(reason(bundle(type, entry("GET", "Patient/1"), entry("GET", "Patient/1")))).toBe("read");
  expect(reason({ resourceType: "Bundle", type: "batch" })).toBe("read");
});

test("reading a body never throws", ({ expect }) => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (item, request) => {
      const read = readJson(
        new TextEncoder().encode(JSON.stringify(bundle("batch", item as Json, { request: request as Json }))),
      );
      if (read.ok) expect(typeof reason(read.value)).toBe("string");
    }),
  );
});

test("references are replaced at any position, and no further texts are", ({ expect }) => {
  const resource: Json = {
    subject: { reference: "urn:uuid:1", display: "urn:uuid:1" },
    performer: [{ reference: "urn:uuid:2" }, { reference: "Practitioner/1" }],
    contained: [{ subject: { reference: "urn:uuid:1" } }],
    reference: { reference: "urn:uuid:1" },
    note: "urn:uuid:1",
  };
  expect(withReferences(resource, (text) => (text === "urn:uuid:1" ? "Patient/7" : undefined))).toEqual({
    subject: { reference: "Patient/7", display: "urn:uuid:1" },
    performer: [{ reference: "urn:uuid:2" }, { reference: "Practitioner/1" }],
    contained: [{ subject: { reference: "Patient/7" } }],
    reference: { reference: "Patient/7" },
    note: "urn:uuid:1",
  });
});

test.skipIf(noSharedData)(
  "Synthea's transactions and google's gateway requests are read (needs ../shared/data)",
  ({ expect }) => {
    const root = join(import.meta.dirname, "../../../shared/data/fhir");
    const files = ["synthea-2019", "synthea-2020", "gateway-requests"].flatMap((folder) =>
      readdirSync(join(root, folder)).map((name) => join(root, folder, name)),
    );
    const read = files.map((file) => {
      const bytes = readFileSync(file);
      const body = readJson(file.endsWith(".gz") ? gunzipSync(bytes) : bytes);
      return body.ok ? reason(body.value) : body.error.reason;
    });
    expect(read.length).toBeGreaterThan(10);
    expect(read.filter((one) => one === "read").length).toBeGreaterThanOrEqual(10);
  },
);
