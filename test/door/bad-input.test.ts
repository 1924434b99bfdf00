import { afterAll, beforeAll, test } from "vitest";
import { parseReceipt } from "#ledger/read-receipt";
import { send } from "../../cli/connection/mutual-tls.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";

let phylax: Door;
beforeAll(async () => {
  phylax = await startDoor();
}, 60_000);
afterAll(() => phylax.close());

const long = "a".repeat(7_000);
const cases: readonly [
  name: string,
  path: string,
  sending?: { method?: string; headers?: Record<string, string>; body?: string },
][] = [
  ["an unknown path", "no/such/path/at/all"],
  ["an unknown type", "Patiens/amara-okafor"],
  ["a lower-case type", "patient/amara-okafor"],
  ["a malformed id", `Patient/${"a".repeat(65)}`],
  ["an id with an underscore", "Patient/a_b"],
  ["an encoded slash in an id", "Patient/amara%2Fokafor"],
  ["an absolute URL as path", "https://evil.example/Patient"],
  ["an unknown parameter", "Patient?favourite-colour=blue"],
  ["an unknown modifier", "Observation?patient:not=amara-okafor"],
  ["a chain through what may be of several types", "Observation?based-on.subject.name=x"],
  ["a reverse chain by no reference", "Patient?_has:Observation:code:code=1234-5"],
  ["an include of no reference", "Observation?patient=amara-okafor&_include=Observation:code"],
  ["a filter", "Patient?_filter=name eq x".replaceAll(" ", "%20")],
  ["bad UTF-8 in the query", "Patient?family=%FF%FE"],
  ["a broken escape", "Patient?family=%G1"],
  ["a control character", "Patient?family=%00"],
  ["a long query", `Patient?family=${long}${long}`],
  ["a token in the URL", "Patient/amara-okafor?access_token=x"],
  ["a malformed version", "Patient/amara-okafor/_history/1_2"],
  ["a page's link that nobody sealed", "Patient?_page=AAAA"],
  ["a posted search at the system level", "_search", { method: "POST", body: "" }],
  ["a history", "Patient/_history"],
  ["an operation that is not known", "Patient/amara-okafor/$graph"],
  ["a search of a whole compartment", "Practitioner/amara-okafor/*"],
  ["XML", "Patient/amara-okafor?_format=xml"],
  [
    "a create",
    "Patient",
    {
      method: "POST",
      headers: { "content-type": "application/fhir+json" },
      body: '{"resourceType":"Patient"}',
    },
  ],
  ["an update", "Patient/amara-okafor", { method: "PUT", body: '{"resourceType":"Patient"}' }],
  ["a patch", "Patient/amara-okafor", { method: "PATCH", body: "[]" }],
  ["a delete", "Patient/amara-okafor", { method: "DELETE" }],
  ["a batch", "", { method: "POST", body: '{"resourceType":"Bundle","type":"batch"}' }],
  ["an odd method", "Patient/amara-okafor", { method: "OPTIONS" }],
  ["only XML accepted", "Patient/amara-okafor", { headers: { accept: "application/fhir+xml" } }],
  ["headers beyond reason", "Patient/amara-okafor", { headers: { "x-large": "b".repeat(40_000) } }],
  ["a scheme nobody knows", "Patient/amara-okafor", { headers: { authorization: "Hoba abc" } }],
];

test.for(cases)(
  "%s is a 4xx OperationOutcome, recorded, and nothing reaches the origin",
  async ([, path, sending], { expect }) => {
    const before = phylax.forwarded.length;
    const reply = await phylax.ask(
      "telehealth",
      path.startsWith("https:") ? `${phylax.dev.fhir}/${path}` : path,
      sending,
    );
    expect(reply.status, reply.text).toBeGreaterThanOrEqual(400);
    expect(reply.status).toBeLessThan(500);
    expect(JSON.parse(reply.text)).toMatchObject({ resourceType: "OperationOutcome" });
    expect(reply.headers["content-type"]).toMatch(/^application\/fhir\+json/u);
    expect(parseReceipt(String(reply.headers["phylax-receipt"])).ok).toBe(true);
    expect(phylax.forwarded.length).toBe(before);
  },
);

test("above the transport's limits the front answers 414 and 431 with an OperationOutcome", async ({
  expect,
}) => {
  const url = await phylax.ask("telehealth", `Patient?family=${"a".repeat(17_000)}`);
  const headers = await phylax.ask("telehealth", "Patient/amara-okafor", {
    headers: { "x-large": "b".repeat(140_000) },
  });
  expect([url.status, headers.status]).toEqual([414, 431]);
  for (const { text } of [url, headers])
    expect(JSON.parse(text)).toMatchObject({ resourceType: "OperationOutcome" });
});

test("an unsupported method is answered with the supported methods (RFC 9110 §15.5.6)", async ({
  expect,
}) => {
  const { status, headers } = await phylax.ask("telehealth", "Patient/amara-okafor", { method: "OPTIONS" });
  expect({ status, allow: headers["allow"] }).toEqual({
    status: 405,
    allow: "GET, HEAD, PUT, PATCH, DELETE",
  });
});

test("absent and unknown ids are the same 404", async ({ expect }) => {
  const reply = await phylax.ask("telehealth", "Patient/nobody-by-this-id");
  expect(reply.status).toBe(404);
  expect(JSON.parse(reply.text)).toMatchObject({
    resourceType: "OperationOutcome",
    issue: [{ code: "not-found" }],
  });
});

test("a path outside FHIR answers problem details with a request id (RFC 9457)", async ({ expect }) => {
  for (const [path, method] of [
    ["/nothing", "GET"],
    ["/oauth/token/", "POST"],
    ["/oauth/userinfo", "POST"],
    ["/healthz", "POST"],
  ] as const) {
    const reply = await phylax.ask("telehealth", `${phylax.dev.gateway}${path}`, { method });
    expect(reply.status, path).toBe(404);
    expect(reply.headers["content-type"]).toBe("application/problem+json");
    expect(JSON.parse(reply.text)).toMatchObject({
      status: 404,
      instance: `urn:phylax:request:${String(reply.headers["x-request-id"])}`,
    });
  }
});

test("liveness, readiness and the well-known documents answer without a certificate, and are true", async ({
  expect,
}) => {
  const get = async (path: string): Promise<Record<string, unknown>> => {
    const reply = await send(phylax.dev, undefined, phylax.dev.gateway + path);
    expect(reply.status, path).toBe(200);
    return JSON.parse(reply.text);
  };
  expect(await get("/healthz")).toEqual({ status: "ok" });
  expect(await get("/readyz")).toEqual({
    status: "ready",
    dependencies: { registry: true, ledger: true },
    logs: expect.toSatisfy((logs: object) => Object.values(logs).every((state) => state === "good")),
    origins: { main: "ready" },
    probes: { main: "never" },
  });
  expect(await get("/.well-known/oauth-authorization-server")).toMatchObject({
    issuer: phylax.dev.gateway,
    token_endpoint: phylax.dev.tokenEndpoint,
    grant_types_supported: ["client_credentials"],
    tls_client_certificate_bound_access_tokens: true,
  });
  expect(await get("/.well-known/oauth-protected-resource/v1/fhir/main")).toMatchObject({
    resource: phylax.dev.fhir,
  });
  const { keys } = await get("/oauth/jwks");
  expect(keys).toHaveLength(1);
  expect(JSON.stringify(keys)).not.toContain('"d"');
});
