import { afterAll, beforeAll, test } from "vitest";
import type { Sending } from "../../cli/connection/mutual-tls.ts";
import { fhirJson } from "../support/fhir-parts.ts";
import { idsOf, mustAllowWorld, type AllowedReply } from "../support/must-allow.ts";

type World = Awaited<ReturnType<typeof mustAllowWorld>>;

// Media types, headers, posted forms and operations of stock clients.

let door: World["door"];
let ask: World["ask"];
beforeAll(async () => {
  ({ door, ask } = await mustAllowWorld());
}, 60_000);
afterAll(() => door.close());

const parameters = (...parameter: object[]) => JSON.stringify({ resourceType: "Parameters", parameter });
const fhir5 = "application/fhir+json; fhirVersion=5.0";
const form = "application/x-www-form-urlencoded";
/** Method, path, headers, body, and the status of the answer. */
const forms: readonly (readonly [
  string,
  string,
  Readonly<Record<string, string>>,
  string | undefined,
  number,
])[] = [
  // media types
  ...[
    "application/fhir+json",
    "application/fhir+json; charset=utf-8",
    "application/fhir+json;fhirVersion=4.0",
    "application/json+fhir",
    "application/fhir+json; fhirVersion=4.0; charset=UTF-8",
    "application/json",
    "application/json; charset=utf-8",
    "text/json",
    "application/*",
    "*/*",
    "text/html,application/xhtml+xml,*/*;q=0.8",
    "application/fhir+xml;q=0.5, application/fhir+json",
  ].map((accept) => ["GET", "Patient/ann", { accept }, undefined, 200] as const),
  ...[
    "json",
    "application/json",
    "application/fhir%2Bjson",
    "application/fhir+json",
    "application/json%2Bfhir",
    "text/json",
  ].map((format) => ["GET", `Observation?_format=${format}&_pretty=true`, {}, undefined, 200] as const),
  // preferences, conditions and headers of stock clients
  ...[
    { prefer: "handling=lenient" },
    { prefer: "handling=strict" },
    { prefer: "return=minimal" },
    { prefer: "respond-async, handling=lenient" },
    { "if-none-match": 'W/"1"' },
    { "if-modified-since": "Fri, 27 Nov 2020 00:00:00 GMT" },
    { "cache-control": "no-cache", "accept-language": "de", "accept-encoding": "gzip" },
  ].map((headers) => ["GET", "Patient/ann", headers, undefined, 200] as const),
  ["GET", "Patient/ann", { "if-none-match": "*" }, undefined, 304],
  ["GET", "Observation?code=code-1&_elements=valueQuantity", {}, undefined, 200],
  ["HEAD", "Patient/ann", {}, undefined, 200],
  ["HEAD", "Observation?code=code-1", {}, undefined, 200],
  // searches that are posted, in a compartment, or by criteria of each type
  ["POST", "Observation/_search", { "content-type": form }, "code=code-1", 200],
  [
    "POST",
    "Observation/_search?code=code-1",
    { "content-type": `${form};charset=utf-8` },
    "status=final",
    200,
  ],
  ["POST", "Patient/ann/Observation/_search", { "content-type": form }, "code=code-1", 200],
  ...[
    "Patient/ann/Observation?date=ge2026-01-01&date=lt2026-02-01",
    "Observation?date=sa2026-01-15,eb2026-01-15",
    "Observation?date=ne2026-01-01",
    "Observation?date=ap2026-01-01",
    "Observation?code=http://loinc.org%7Ccode-1,http://loinc.org%7C",
    "Observation?code=%7Ccode-1",
    "Observation?_id=o1-laboratory,o1-vital-signs,none",
    "Observation?_lastUpdated=gt2020-01-01&_lastUpdated=le2030-01-01",
    "Observation?_sort=status,-date",
    "Observation?encounter:missing=true",
    "Observation?code:not=code-1",
    "Observation?value-quantity=gt4%7Chttp://unitsofmeasure.org%7Cmg",
    "Observation?_include=*",
    "Observation?_include:iterate=Patient:general-practitioner&_include=Observation:patient",
    "Patient?_revinclude:iterate=Provenance:target",
    "Patient?_has:Observation:patient:_has:Provenance:target:recorded=gt2020",
    "Patient?name:exact=ann",
    "Patient?name:contains=nn",
    "Observation?_count=5000",
    "Observation?_total=none",
    // versions and listings
    "Patient/ann/_history",
    "Patient/ann/_history?_count=1&_since=2020-01-01T00:00:00Z",
    "Patient/ann/$everything?_type=Observation,Condition&start=2020-01-01&_count=2",
    "Observation/$lastn?patient=ann&category=vital-signs&max=1",
  ].map((path) => ["GET", path, {}, undefined, 200] as const),
  // an operation that is posted, as clients do by default
  ["POST", "Patient/ann/$everything", {}, undefined, 200],
  ["POST", "Patient/ann/$everything", fhirJson, parameters(), 200],
  [
    "POST",
    "Patient/ann/$everything?_count=5",
    fhirJson,
    parameters({ name: "_type", valueCode: "Condition" }, { name: "start", valueDate: "2020-01-01" }),
    200,
  ],
  ["POST", "Patient/ann/$everything", fhirJson, parameters({ name: "_count", valueInteger: 3 }), 200],
  ["POST", "Observation/$lastn?patient=ann", {}, undefined, 200],
  [
    "POST",
    "Observation/$lastn",
    fhirJson,
    parameters({ name: "patient", valueString: "ann" }, { name: "max", valueInteger: 1 }),
    200,
  ],
  ["POST", "Observation/$lastn", fhirJson, parameters({ name: "max", valueInteger: 1 }), 400],
  ["POST", "Patient/ben/$everything", fhirJson, parameters(), 404],
  ["POST", "Patient/ann/$everything", fhirJson, parameters({ name: "x", valueString: "y" }), 400],
  ["POST", "Patient/ann/$everything", fhirJson, parameters({ name: "start", part: [] }), 400],
  ["POST", "Patient/ann/$everything", fhirJson, "{}", 400],
  ...["application/fhir+json;", "application/fhir+json; charset=utf8"].map(
    (type) => ["POST", "Patient/ann/$everything", { "content-type": type }, parameters(), 200] as const,
  ),
  ["POST", "Patient/ann/$everything", { "content-type": "text/plain" }, "start=2020", 415],
  // another version of FHIR (R4 §3.1.0.1.10)
  ["GET", "Patient/ann", { accept: fhir5 }, undefined, 406],
  ["POST", "Patient/ann/$everything", { "content-type": fhir5 }, parameters(), 415],
  [
    "POST",
    "Patient/ann/$everything?_count=5",
    fhirJson,
    parameters({ name: "_count", valueInteger: 3 }),
    400,
  ],
];
test.for(forms)("%s %s %o %s", async ([method, path, headers, body, status], { expect }) => {
  const reply = await ask("patient", "patient/*.rs", path, {
    method,
    headers,
    ...(body !== undefined && { body }),
  });
  expect(reply.status, reply.text).toBe(status);
  expect(reply.text).not.toContain('"Patient/ben"');
});

test("an entry of a batch and an id may be written with the gateway's own address, by which nothing more is found", async ({
  expect,
}) => {
  const { fhir } = door.dev;
  const post = async (url: string) => {
    const entry = [{ request: { method: "GET", url } }];
    const body = JSON.stringify({ resourceType: "Bundle", type: "batch", entry });
    const reply = await ask("patient", "patient/*.rs", "", { method: "POST", headers: fhirJson, body });
    const { entry: [answer] = [] } = reply.body as {
      entry?: { response: { status: string }; resource?: object }[];
    };
    return { status: answer?.response.status, ids: idsOf({ body: answer?.resource ?? {} }) };
  };
  for (const url of ["Patient/ann", "Observation?code=code-1", "Patient?_id=ann", "Observation?status=final"])
    expect(await post(`${fhir}/${url}`), url).toEqual(await post(url));
  expect((await post(`${fhir}/Patient/ann`)).ids).toEqual(["ann"]);
  expect((await post(`${fhir}/Patient/ben`)).status).toBe("404");
  for (const base of [
    `${fhir}2`,
    fhir.replace("https:", "http:"),
    fhir.replace("main", "other"),
    door.dev.origin,
  ])
    expect((await post(`${base}/Patient/ann`)).status, base).toBe("400");
  const own = await ask("patient", "patient/*.rs", "Patient?_id=Patient/ann,Patient/ben");
  expect([own.status, idsOf(own)]).toEqual([200, ["ann"]]);
  expect((await ask("patient", "patient/*.rs", "Patient?_id=Observation/ann")).status).toBe(400);
});

test("operations that list rows are entries of a batch, each as by itself; what they may not, they may not there", async ({
  expect,
}) => {
  const urls = [
    "Patient/ann/$everything?_type=Observation,Condition",
    "Observation/$lastn?patient=ann",
    "Patient/ann/_history",
    "Patient/ann/*?_type=Condition",
    "?_type=Condition,Encounter&patient=ann",
    "Patient/ben/$everything",
    "Patient/ann/$disclosures",
  ];
  const posted = [
    ...urls.map((url) => ({ request: { method: "GET", url } })),
    { request: { method: "POST", url: "Patient/ann/$everything" } },
  ];
  const body = JSON.stringify({ resourceType: "Bundle", type: "batch", entry: posted });
  const sent = { method: "POST", headers: fhirJson, body };
  const reply = await ask("patient", "patient/*.rs", "", sent);
  expect(reply.status, reply.text).toBe(200);
  const { entry: answers } = JSON.parse(reply.text) as {
    entry: { response: { status: string }; resource?: AllowedReply["body"] }[];
  };
  for (const [index, url] of urls.slice(0, 5).entries()) {
    const alone = await ask("patient", "patient/*.rs", url);
    expect(idsOf({ body: answers[index]?.resource ?? {} }), url).toEqual(idsOf(alone));
    expect(idsOf(alone).length, url).toBeGreaterThan(0);
  }
  expect(answers.slice(5).map(({ response }) => response.status)).toEqual(["404", "400", "400"]);
  // a page of an entry leads on
  const one = { request: { method: "GET", url: "Patient/ann/$everything?_count=1" } };
  const first = await ask("patient", "patient/*.rs", "", {
    ...sent,
    body: JSON.stringify({ resourceType: "Bundle", type: "batch", entry: [one] }),
  });
  const { entry: [page] = [] } = JSON.parse(first.text) as {
    entry?: { resource: { link: { relation: string; url: string }[] } }[];
  };
  const next = page?.resource.link.find(({ relation }) => relation === "next")?.url ?? "";
  expect((await ask("patient", "patient/*.rs", next)).status).toBe(200);
});

test("an entry of a batch may begin or end with a slash, or search the base; an entry that is not served leaves the rest", async ({
  expect,
}) => {
  const urls = ["/Patient/ann", "Observation?code=code-1", "/Condition?patient=ann", "Patient/ann/*"];
  urls.push("Patient/ann/", "?_type=Observation&patient=ann", "?_type=Observation,Condition", "?code=code-1");
  const entry = urls.map((url) => ({ request: { method: "GET", url } }));
  const body = JSON.stringify({ resourceType: "Bundle", type: "batch", entry });
  const { status, text } = await ask("patient", "patient/*.rs", "", {
    method: "POST",
    headers: fhirJson,
    body,
  });
  expect(status, text).toBe(200);
  const answers = (JSON.parse(text) as { entry: { response: { status: string } }[] }).entry;
  const statuses = ["200", "200", "200", "200", "200", "200", "200", "400"];
  expect(answers.map(({ response }) => response.status.slice(0, 3))).toEqual(statuses);
  for (const url of ["//other.example/Patient/ann", "https://other.example/Patient/ann", "/../Patient/ann"]) {
    const sent = JSON.stringify({
      resourceType: "Bundle",
      type: "batch",
      entry: [{ request: { method: "GET", url } }],
    });
    const reply = await ask("patient", "patient/*.rs", "", { method: "POST", headers: fhirJson, body: sent });
    const refused = reply.status === 400 || /"status":"4\d\d/u.test(reply.text);
    expect(refused, `${url} ${reply.text}`).toBe(true);
  }
});

test("a posted search with an empty body has its criteria in its URL, and need not say what the body is", async ({
  expect,
}) => {
  const post = (body: string, headers = {}) => {
    const sent = new TextEncoder().encode(body); // no text: a Request adds no Content-Type of its own
    const path = "Observation/_search?code=code-1";
    return ask("patient", "patient/*.rs", path, { method: "POST", body: sent, headers });
  };
  const reply = await post("");
  expect(reply.status, reply.text).toBe(200);
  expect(idsOf(reply)).toEqual(idsOf(await ask("patient", "patient/*.rs", "Observation?code=code-1")));
  expect((await post("status=final")).status).toBe(415);
  expect((await post("", { "content-type": "text/plain" })).status).toBe(415);
});

test("the 401 of an Authorization that cannot be read has the address of the base's metadata (RFC 9728)", async ({
  expect,
}) => {
  const [base = ""] = /\/v1\/fhir\/.*$/u.exec(door.dev.fhir) ?? [];
  const metadata = `resource_metadata="${door.dev.gateway}/.well-known/oauth-protected-resource${base}"`;
  for (const authorization of ["Basic YTpi", "Bearer", "Bearer a b", "nonsense"]) {
    const reply = await ask("patient", "patient/*.rs", "Patient/ann", { headers: { authorization } });
    expect(reply.status, authorization).toBe(401);
    expect(reply.headers.get("www-authenticate"), authorization).toContain(`Bearer ${metadata}`);
  }
});

test("a posted $everything has the entries of its GET, within its parameters", async ({ expect }) => {
  const entriesOf = async (path: string, sending: Sending) =>
    idsOf(await ask("patient", "patient/*.rs", path, sending));
  const body = parameters({ name: "_type", valueCode: "Condition" });
  const posted = await entriesOf("Patient/ann/$everything", { method: "POST", headers: fhirJson, body });
  expect(posted).toEqual(await entriesOf("Patient/ann/$everything?_type=Condition", { method: "GET" }));
  expect(posted).toContain("c1");
  expect(posted).not.toContain("o1-laboratory");
});

test("an unknown operation is 400 by its name", async ({ expect }) => {
  for (const [method, path] of [
    ["GET", "Patient/ann/$graph"],
    ["POST", "Patient/$match"],
    ["GET", "$docref"],
  ] as const) {
    const { status, text } = await ask("patient", "patient/*.rs", path, { method });
    expect([status, text], path).toEqual([400, expect.stringContaining(`(${path.replace(/.*\$/u, "$")})`)]);
  }
});
