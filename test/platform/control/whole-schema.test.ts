import { agreementKinds } from "#identity/agreement";
import { exportJWK, generateKeyPair } from "jose";
import { test } from "vitest";
import { z } from "zod";
import { instant } from "#kernel/clock";
import { allowedPlaces } from "#platform/config/allowed-places";
import { regions } from "#kernel/region";
import { applyRegistry } from "#platform/registry/apply-registry";
import { registryDocument } from "#registry/document";
import { withExternalClient } from "../../support/registry-file.ts";
import { emptyRegistry, sampleFile } from "./registry.ts";

/*
 * A member of the schema that the database refuses would be found by the first operator who uses it. The entries below
 * have each member of the schema and each of its choices, and a new member without an entry fails the first test.
 */

const sample = await withExternalClient(await sampleFile());
const keyOf = async (alg: string) => exportJWK((await generateKeyPair(alg, { extractable: true })).publicKey);
const jwks = { keys: [await keyOf("RS256"), await keyOf("ES256"), await keyOf("EdDSA")] };
const digits = (n: number) => `${n}`.padStart(43, "A");
const web = (path: string) => `https://issuer.example.org/${path}`;

const subjects = {
  subjectDn: "CN=payer",
  sanDns: "payer.example.org",
  sanUri: "https://payer.example.org/client",
  sanIp: "192.0.2.1",
  sanEmail: "client@payer.example.org",
};
const clients = [
  ...regions.map((region, n) => ({
    id: `in-${region}`,
    kind: "telehealth",
    auth: "self_signed_tls_client_auth",
    certificates: [digits(n)],
    region,
  })),
  ...Object.entries(subjects).map(([name, value]) => ({
    id: `by-${name}`,
    kind: "payer",
    auth: "tls_client_auth",
    certificates: [{ issuerDn: "CN=Authority", [name]: value }],
  })),
  {
    id: "with-all",
    kind: "research",
    status: "suspended",
    auth: "private_key_jwt",
    jwksUri: "https://client.example.org/jwks",
    assertionProfile: "smart",
    dpop: true,
    idPrefix: "harbor-",
    corsOrigins: ["https://app.example.org"],
    organization: ["http://hl7.org/fhir/sid/us-npi|1234567893"],
    entity: { name: "Harbor Research", address: "1 Quay, Portland" },
  },
  {
    id: "of-keys",
    kind: "payer",
    status: "active",
    auth: "private_key_jwt",
    jwks,
    assertionProfile: "fapi2",
    dpop: false,
    certificates: [digits(90)],
  },
  {
    id: "of-issuer",
    kind: "patient",
    auth: "external",
    issuer: web("whole"),
    externalClientId: "app-2",
    certificates: [digits(91)],
    patient: "amara",
    unboundUntil: "2026-12-01",
  },
];

const token = {
  secret: "ORIGIN_SECRET",
  clientId: "phylax",
  tokenEndpoint: web("token"),
  scope: "system/*.rs",
};
const further = { form: { resource: "urn:hospital" }, binding: "HOSPITAL" };
const credentials = [
  { kind: "none" },
  { kind: "bearer", secret: "ORIGIN_TOKEN", binding: "HOSPITAL" },
  { kind: "private_key_jwt", ...token, ...further, audience: web("") },
  { kind: "client_secret_basic", ...token, ...further },
  { kind: "client_secret_post", ...token, ...further },
  { kind: "mtls", binding: "HOSPITAL" },
];
const interactions = [
  "read",
  "vread",
  "update",
  "patch",
  "delete",
  "history-instance",
  "history-type",
  "create",
  "search-type",
];
const capabilities = (is: boolean, everything: string) => ({
  updateAsCreate: is,
  honoursIfMatchOnUpdate: is,
  honoursIfNoneExist: is,
  searchByPost: is,
  everything,
  elements: is,
  chains: is,
  total: is,
  strict: is,
  pageLinks: is,
  pageMax: 1_000,
  types: { Patient: { interactions, search: ["_id", "name"] } },
});
const headers = { "x-api-key": { secret: "ORIGIN_KEY" }, "x-tenant": { value: "north" } };
const origins = [
  ...credentials.map((each, n) => ({ credentials: each, transactions: n % 2 === 0 ? "atomic" : "partial" })),
  ...[true, false].map((is) => ({
    forwardClientCert: is,
    honoursIfMatchOnDelete: is,
    acceptsSearchInUrl: is,
    capabilities: capabilities(is, is ? "with-type" : "without-type"),
    consents: { readEverySeconds: 60, verified: is ? "origin" : "verification" },
  })),
  {
    alsoKnownAs: ["https://fhir-2.example.org/r4"],
    leasedWrites: ["update", "delete"],
    capabilities: capabilities(true, "none"),
    limits: { timeoutSeconds: 5, concurrent: 8, concurrentPerClient: 4 },
    organization: ["http://hl7.org/fhir/sid/us-npi|1234567893"],
    signInAt: web("whole"),
    headers: { ...headers, traceparent: { from: "trace" } },
    storage: [{ base: "https://fhir.example.org/files/", headers, bytesMax: 1_000_000 }],
  },
].map((more, n) => {
  const named = { name: `origin-${n}`, url: `https://fhir.example.org/${n}` };
  return Object.assign(named, { credentials: { kind: "none" } }, more);
});

const capabilityCodes = valuesOf(schemaAt("issuers", "endpoints", "capabilities"));
const issuers = [
  {
    iss: web("whole"),
    jwks,
    algs: ["PS256", "ES256", "EdDSA", "Ed25519"],
    audience: "phylax",
    purpose: { claim: "purpose_of_use" },
    claims: { client: "azp", patient: "patient", fhirUser: "fhirUser", scope: "scope", patientIsUser: true },
    endpoints: {
      ...Object.fromEntries(
        ["authorization", "token", "jwks", "introspection", "revocation", "registration", "management"].map(
          (name) => [name, web(name)],
        ),
      ),
      grantTypes: ["authorization_code", "client_credentials"],
      authMethods: ["private_key_jwt"],
      signingAlgs: ["RS384", "ES384"],
      capabilities: capabilityCodes,
      scopes: ["openid"],
    },
  },
  ...Object.entries({
    client_secret_basic: {},
    private_key_jwt: { jwksUri: web("jwks"), algs: ["ES256"] },
  }).map(([kind, keys]) =>
    Object.assign(keys, {
      iss: web(kind),
      introspection: {
        endpoint: web("introspect"),
        clientId: "phylax",
        credentials: { kind, secret: "ISSUER_SECRET" },
      },
      audience: "phylax",
      purpose: { fixed: ["TREAT"] },
      claims: { patientIsUser: false },
    }),
  ),
];

const kinds = [
  { id: "emergency", purposes: ["ETREAT"] },
  ...agreementKinds.map((kind) => ({ id: kind, kind })),
];
const agreements = sample.agreements
  .slice(0, 1)
  .flatMap((one) => kinds.map((kind) => Object.assign({}, one, kind)));
const policies = sample.policies.slice(0, 1).map(({ body }) => ({
  name: "emergency",
  body: Object.assign({}, body, { name: "emergency", purposes: ["ETREAT"] }),
}));
const quotas = {
  default: { requests: 100, windowSeconds: 60 },
  perSubject: { requests: 10, windowSeconds: 60 },
  records: { records: 10_000, windowSeconds: 3_600 },
};
const granted = { client: "telehealth", scopes: "system/*.rs", quotas };
const grants = [
  ...[true, false].map((is) =>
    Object.assign({}, granted, {
      origin: is ? "origin-0" : "origin-1",
      purpose: "TREAT",
      agreement: "telehealth-baa",
      policy: "treat",
      signedRequests: is,
      signedResponses: is,
      keyedWrites: is,
      measureElements: is,
    }),
  ),
  {
    ...granted,
    origin: "origin-0",
    purpose: "ETREAT",
    agreement: "emergency",
    policy: "emergency",
    breakGlass: { acr: ["urn:step-up"], maxSeconds: 300 },
  },
];

type Schema = Readonly<Record<string, unknown>>;
function schemaAt(...path: readonly string[]): Schema {
  let schema = z.toJSONSchema(registryDocument, { io: "input" }) as Schema;
  for (const name of path) {
    const items = (schema["items"] ?? schema) as Schema;
    schema = (items["properties"] as Readonly<Record<string, Schema>>)[name] ?? {};
  }
  return schema;
}
function valuesOf({ items }: Schema): readonly unknown[] {
  return (items as { readonly enum: readonly unknown[] }).enum;
}

/** Each member of a schema, and each value that it lists. */
function choicesOf(schema: Schema, at = ""): readonly string[] {
  if ("not" in schema) return []; // a member that must be absent
  const found = [...((schema["enum"] ?? []) as unknown[]), ...("const" in schema ? [schema["const"]] : [])]
    .concat(schema["type"] === "boolean" ? [true, false] : [])
    .map((value) => `${at}=${JSON.stringify(value)}`);
  for (const one of (schema["anyOf"] ?? schema["oneOf"] ?? []) as Schema[]) found.push(...choicesOf(one, at));
  for (const [name, one] of Object.entries((schema["properties"] ?? {}) as Readonly<Record<string, Schema>>))
    if (!("not" in one)) found.push(`${at}/${name}`, ...choicesOf(one, `${at}/${name}`));
  for (const each of [schema["items"], schema["additionalProperties"]])
    if (typeof each === "object") found.push(...choicesOf(each as Schema, `${at}/*`));
  return found;
}

/** Each choice that a value makes. A name of a record's key stands as the schema's `*` too. */
function madeBy(value: unknown, at = ""): readonly string[] {
  if (typeof value !== "object" || value === null) return [`${at}=${JSON.stringify(value)}`];
  const found: string[] = [];
  for (const [name, member] of Object.entries(value))
    for (const place of Array.isArray(value) ? [`${at}/*`] : [`${at}/${name}`, `${at}/*`])
      found.push(place, ...madeBy(member, place));
  return found;
}

const file = {
  ...sample,
  issuers: [...sample.issuers, ...issuers],
  clients: [...sample.clients, ...clients],
  agreements: [...sample.agreements, ...agreements],
};
const lists = { issuers, origins, clients, agreements, policies, grants };

test("the entries of this test have each member of the registry's schema and each of its choices", ({
  expect,
}) => {
  const made = new Set(madeBy({ $schema: "", ...file, origins, grants, policies: sample.policies }));
  const open = choicesOf(schemaAt()).filter((choice) => !made.has(choice) && !choice.startsWith("/policies"));
  expect(open).toEqual([]);
});

test(
  "the database takes each entry that the schema of the registry file allows",
  { timeout: 60_000 },
  async ({ expect }) => {
    const registry = await emptyRegistry();
    const allowed = allowedPlaces({
      ORIGIN_HOSTS: "fhir.example.org",
      IDENTITY_HOSTS: "issuer.example.org client.example.org",
      SECRET_HOSTS: ["ORIGIN_TOKEN", "ORIGIN_SECRET", "ORIGIN_KEY", "ISSUER_SECRET", "HOSPITAL"]
        .flatMap((name) => [`${name}@fhir.example.org`, `${name}@issuer.example.org`])
        .join(" "),
    });
    const clock = () => instant(Date.UTC(2026, 10, 24));
    const desk = { clock, publicUrl: "https://gateway.example.org", allowed };
    expect(await applyRegistry(registry, sample, "add", desk)).toMatchObject({ ok: true });
    const known: Record<string, unknown> = structuredClone(sample);
    for (const [list, entries] of Object.entries(lists))
      for (const entry of entries) {
        known[list] = ((known[list] ?? []) as unknown[]).concat(entry);
        const applied = await applyRegistry(registry, known, "add", desk);
        expect(applied, JSON.stringify({ entry, applied })).toMatchObject({
          ok: true,
          value: { changed: 0 },
        });
      }
  },
);
