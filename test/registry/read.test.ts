import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import * as z from "zod";
import { readRegistry } from "#registry/read";
import { registryDocument } from "#registry/document";
import { registryFile, withExternalClient, withSignIn, withValue } from "../support/registry-file.ts";

const publicUrl = "https://gateway.example.org";
const file = await registryFile();

test("a whole registry file is read, and an empty one too", ({ expect }) => {
  expect(readRegistry(file, publicUrl)).toMatchObject({
    ok: true,
    value: { clients: [{ status: "active", assertionProfile: "fapi2", dpop: false }] },
  });
  expect(readRegistry({}, publicUrl)).toMatchObject({ ok: true, value: { clients: [], grants: [] } });
});

const bad: readonly (readonly [string, string, unknown])[] = [
  ["/clents", "/clents", []],
  ["/clients/0/colour", "/clients/0/colour", "red"],
  ["/clients/0/id", "/clients/0/id", "tele health"],
  ["/clients/0/status", "/clients/0/status", "Active"],
  ["/clients/0/jwks", "/clients/0/jwks", undefined],
  ["/clients/0/jwks/keys/0/d", "/clients/0/jwks/keys/0/d", "A".repeat(43)],
  ["/clients/0/jwks/keys/0/kty", "/clients/0/jwks/keys/0/kty", "oct"],
  ["/clients/0/certificates", "/clients/0/certificates", []],
  ["/clients/0/certificates/0", "/clients/0/certificates/0", "sha256//AAAA"],
  ["/agreements/0/to", "/agreements/0/to", "2025-01-01"],
  ["/agreements/0/from", "/agreements/0/from", "last year"],
  ["/agreements/0/documentHash", "/agreements/0/documentHash", "abc"],
  ["/agreements/0/purposes/0", "/agreements/0/purposes/0", "treatment"],
  ["/grants/0/scopes", "/grants/0/scopes", "system/*.sr"],
  ["/grants/0/quotas/default/requests", "/grants/0/quotas/default/requests", 0],
  ["/grants/0/quotas/perSubject", "/grants/0/quotas/perSubject/requests", { requests: 0, windowSeconds: 1 }],
  [
    "/grants/0/quotas/records",
    "/grants/0/quotas/records/requests",
    { records: 9, windowSeconds: 1, requests: 1 },
  ],
  ["/grants/0/quotas/burst", "/grants/0/quotas/burst", { requests: 1, windowSeconds: 1 }],
  ["/origins/0/url", "/origins/0/url", "http://fhir.example.org/r4"],
  ["/origins/0/url", "/origins/0/url", "https://user:pass@fhir.example.org/r4"],
  ["/origins/0/url", "/origins/0/url", "https://fhir.example.org/r4/"],
  ["/origins/0/url", "/origins/0/url", "https://fhir.example.org/r4?tenant=1"],
  ["/policies/0/name", "/policies/0/name", "Treat"],
];

test.for(bad)("a fault at %s is refused with its pointer", ([at, pointer, value], { expect }) => {
  expect(readRegistry(withValue(file, at, value), publicUrl)).toMatchObject({
    ok: false,
    error: { reason: "invalid", pointer },
  });
});

const external = await withExternalClient(file);

test("a file with an external issuer and its client is read, and a file with a client that authenticates by its certificate alone", ({
  expect,
}) => {
  expect(readRegistry(external, publicUrl)).toMatchObject({
    ok: true,
    value: { clients: [{}, { auth: "external", patient: "amara" }] },
  });
  const tls = withValue(withValue(file, "/clients/0/auth", "tls_client_auth"), "/clients/0/jwks", undefined);
  expect(readRegistry(tls, publicUrl)).toMatchObject({
    ok: true,
    value: { clients: [{ auth: "tls_client_auth" }] },
  });
});

const introspection = {
  endpoint: "https://issuer.example.org/introspect",
  clientId: "phylax",
  credentials: { kind: "client_secret_basic", secret: "ISSUER_SECRET" },
};
const keyed = {
  kind: "private_key_jwt",
  secret: "ORIGIN_KEY",
  clientId: "phylax",
  tokenEndpoint: "https://fhir.example.org/token",
};

test("T18, T39, T40: keys may be fetched, tokens may be introspected, and an origin may require assertions", ({
  expect,
}) => {
  const changed = (changes: Readonly<Record<string, unknown>>) =>
    Object.entries(changes).reduce(
      (document: unknown, [path, value]) => withValue(document, path, value),
      external,
    );
  const good: readonly Readonly<Record<string, unknown>>[] = [
    { "/issuers/0/jwks": undefined, "/issuers/0/jwksUri": "https://issuer.example.org/jwks?tenant=1" },
    ...[
      "https://issuer.example.org/.well-known/openid-configuration",
      "https://issuer.example.org/.well-known/oauth-authorization-server",
    ].map((address) => ({ "/issuers/0/jwks": undefined, "/issuers/0/jwksUri": address })),
    // Keys below the metadata URL.
    {
      "/issuers/0/jwks": undefined,
      "/issuers/0/jwksUri": "https://other.example.org/.well-known/openid-configuration/jwks",
    },
    { "/clients/0/jwks": undefined, "/clients/0/jwksUri": "https://client.example.org/jwks" },
    { "/clients/1/jwksUri": "https://client.example.org/jwks" }, // for its signed requests
    { "/issuers/0/introspection": introspection },
    { "/issuers/0/introspection": introspection, "/issuers/0/jwks": undefined, "/issuers/0/algs": [] },
    { "/origins/0/credentials": keyed },
  ];
  for (const changes of good)
    expect(readRegistry(changed(changes), publicUrl), JSON.stringify(changes)).toMatchObject({ ok: true });
  const unasked = changed({ "/issuers/0/introspection": introspection, "/issuers/0/jwks": undefined });
  expect(readRegistry(unasked, publicUrl), "an algorithm without keys").toMatchObject({
    ok: false,
    error: { pointer: "/issuers/0/algs" },
  });
});

const badExternal: readonly (readonly [string, string, unknown])[] = [
  ["/issuers/0/iss", "/issuers/0/iss", publicUrl],
  ["/issuers/0/iss", "/issuers/0/iss", `${publicUrl}:443/another`],
  ["/issuers/0/iss", "/issuers/0/iss", "http://issuer.example.org"],
  ["/issuers/0/iss", "/issuers/0/iss", "https://issuer.example.org?x=1"],
  ["/issuers/0/iss", "/issuers/0/iss", "https://user:secret@issuer.example.org"],
  ["/issuers/0/jwks", "/issuers/0/jwks", undefined],
  ["/issuers/0/jwks/keys/0/d", "/issuers/0/jwks/keys/0/d", "A".repeat(43)],
  ["/issuers/0/algs/0", "/issuers/0/algs/0", "HS256"],
  ["/issuers/0/algs/1", "/issuers/0/algs/1", "PS256"], // no RSA key
  ["/issuers/0/audience", "/issuers/0/audience", ""],
  ["/issuers/0/purpose", "/issuers/0/purpose", { claim: "a..b" }],
  ["/issuers/0/purpose", "/issuers/0/purpose", {}],
  ["/issuers/0/purpose/fixed/0", "/issuers/0/purpose/fixed", ["BTG"]],
  ["/issuers/0/claims/subject", "/issuers/0/claims/subject", "sub"],
  ["/clients/1/issuer", "/clients/1/issuer", undefined],
  ["/clients/1/externalClientId", "/clients/1/externalClientId", undefined],
  ["/clients/1/certificates", "/clients/1/certificates", []],
  ["/clients/0/issuer", "/clients/0/auth", "external"],
  ["/clients/0/issuer", "/clients/0/issuer", "https://issuer.example.org"],
  ["/clients/0/externalClientId", "/clients/0/externalClientId", "app"],
  ["/clients/0/patient", "/clients/0/patient", "amara"],
  ["/issuers/0/jwksUri", "/issuers/0/jwksUri", "https://issuer.example.org/jwks"], // in addition to jwks
  ["/issuers/0/jwksUri", "/issuers/0/jwksUri", "http://issuer.example.org/jwks"],
  ["/issuers/0/jwksUri", "/issuers/0/jwksUri", "https://user:secret@issuer.example.org/jwks"],
  ["/issuers/0/algs", "/issuers/0/algs", []],
  [
    "/issuers/0/introspection/endpoint",
    "/issuers/0/introspection",
    { ...introspection, endpoint: "http://issuer.example.org/introspect" },
  ],
  [
    "/issuers/0/introspection/credentials/kind",
    "/issuers/0/introspection",
    { ...introspection, credentials: { kind: "none" } },
  ],
  [
    "/issuers/0/introspection/credentials/secret",
    "/issuers/0/introspection",
    { ...introspection, credentials: { kind: "client_secret_basic", secret: "the secret itself" } },
  ],
  ["/clients/0/jwksUri", "/clients/0/jwksUri", "https://client.example.org/jwks"], // in addition to jwks
  ["/clients/1/jwksUri", "/clients/1/jwksUri", "https://client.example.org/.well-known/openid-configuration"],
  ["/clients/1/jwksUri", "/clients/1/jwksUri", "http://client.example.org/jwks"],
  ["/clients/1/jwksUri", "/clients/1/jwksUri", "https://client.example.org/jwks#one"],
  [
    "/origins/0/credentials/tokenEndpoint",
    "/origins/0/credentials",
    { ...keyed, tokenEndpoint: "http://fhir.example.org/token" },
  ],
];

test.for(badExternal)(
  "a fault of an external issuer or client at %s is refused with its pointer",
  ([pointer, at, value], { expect }) => {
    expect(readRegistry(withValue(external, at, value), publicUrl)).toMatchObject({
      ok: false,
      error: { reason: "invalid", pointer },
    });
  },
);

const unsupported: readonly (readonly [string, string, unknown])[] = [
  ["/grants/0/scopes", "/grants/0/scopes", "system/Observation.rs?code:in=718-7"],
  [
    "/grants/0/scopes",
    "/grants/0/scopes",
    "system/*.rs patient/Observation.rs?category=laboratory&date:missing=true",
  ],
];

test.for(unsupported)(
  "a feature that this version cannot enforce at %s is refused by its pointer",
  ([at, pointer, value], { expect }) => {
    expect(readRegistry(withValue(external, at, value), publicUrl)).toMatchObject({
      ok: false,
      error: { reason: "not_supported", pointer },
    });
  },
);

test("no refusal quotes a value from the file", ({ expect }) => {
  const placed = [
    ...bad.map(([at, , value]) => [at, value] as const),
    ...[...badExternal, ...unsupported].map(([, at, value]) => [at, value] as const),
  ];
  for (const [at, value] of placed) {
    const read = readRegistry(withValue(external, at, value), publicUrl);
    const quoted =
      typeof value === "string" && value.length > 5 && !read.ok && read.error.problem.includes(value);
    expect(quoted, at).toBe(false);
  }
});

test("the format is published as a JSON Schema", ({ expect }) => {
  const schema = z.toJSONSchema(registryDocument, { io: "input" });
  const published: unknown = JSON.parse(
    readFileSync(join(import.meta.dirname, "../../docs/registry.schema.json"), "utf8"),
  );
  // if this fails: npm run generate
  expect(published).toEqual(JSON.parse(JSON.stringify(schema)));
  expect(schema).toMatchObject({ type: "object", additionalProperties: false });
  expect(Object.keys(schema.properties ?? {}).sort()).toEqual([
    "$schema",
    "agreements",
    "clients",
    "grants",
    "issuers",
    "origins",
    "policies",
  ]);
});

test("a client with key-bound tokens needs no certificate, unless it authenticates by certificate", ({
  expect,
}) => {
  const keyBound = withValue(withValue(external, "/clients/0/dpop", true), "/clients/0/certificates", []);
  expect(readRegistry(keyBound, publicUrl)).toMatchObject({
    ok: true,
    value: { clients: [{ dpop: true, certificates: [] }, {}] },
  });
  expect(
    readRegistry(
      withValue(withValue(keyBound, "/clients/0/auth", "tls_client_auth"), "/clients/0/jwks", undefined),
      publicUrl,
    ),
  ).toMatchObject({
    ok: false,
    error: { pointer: "/clients/0/certificates" },
  });
  const signedIn = withValue(withValue(external, "/clients/1/dpop", true), "/clients/1/certificates", []);
  expect(readRegistry(signedIn, publicUrl)).toMatchObject({ ok: true });
});

test("alsoKnownAs has FHIR bases of any scheme, since they are never called, and each only once", ({
  expect,
}) => {
  const named = (alsoKnownAs: unknown) => {
    const read = readRegistry(withValue(file, "/origins/0/alsoKnownAs", alsoKnownAs), publicUrl);
    return read.ok ? undefined : read.error;
  };
  expect(named(["http://ehr.internal:8080/R4", "https://fhir.example.org/r5"])).toBeUndefined();
  for (const bad of [
    [],
    ["https://x.example/"],
    ["https://x.example/r4?x"],
    ["https://u@x.example/r4"],
    ["ftp://x.example/r4"],
    "https://x.example/r4",
  ])
    expect(named(bad)?.pointer, JSON.stringify(bad)).toMatch(/^\/origins\/0\/alsoKnownAs/u);
  expect(named(["https://fhir.example.org/r4"])).toEqual({
    reason: "invalid",
    pointer: "/origins/0/alsoKnownAs/0",
    problem: "appears twice",
  });
  expect(named(["https://x.example/r4", "https://x.example/r4"])?.pointer).toBe("/origins/0/alsoKnownAs/1");
});

test("T2: an origin is called by https; plain http is for a loopback host only", ({ expect }) => {
  const at = (url: string) => readRegistry(withValue(external, "/origins/0/url", url), publicUrl).ok;
  const loopback = ["http://localhost:8080/r4", "http://127.0.0.1/r4", "http://[::1]:1/fhir"];
  for (const url of ["https://fhir.example.org/r4", ...loopback]) expect(at(url), url).toBe(true);
  for (const url of [
    "http://fhir.example.org/r4",
    "http://10.0.0.1/r4",
    "http://localhost.example.org/r4",
    "ftp://localhost/r4",
  ])
    expect(at(url), url).toBe(false);
});

const name = { issuerDn: "CN=Partner CA", sanDns: "api.lab.example" };

test("T21: certificates may be registered by thumbprint or by five kinds of names, and names only under an authority", ({
  expect,
}) => {
  const names = [
    name,
    { issuerDn: "CN=Partner CA", subjectDn: "CN=lab,O=St. Mary\\, Inc." },
    { issuerDn: "CN=Partner CA", sanUri: "spiffe://lab.example/api" },
    { issuerDn: "CN=Partner CA", sanIp: "2001:db8::7" },
    { issuerDn: "CN=Partner CA", sanEmail: "api@lab.example" },
  ];
  expect(
    readRegistry(withValue(file, "/clients/0/certificates", ["A".repeat(43), ...names]), publicUrl),
  ).toMatchObject({ ok: true });
  const itself = withValue(
    withValue(file, "/clients/0/auth", "self_signed_tls_client_auth"),
    "/clients/0/jwks",
    undefined,
  );
  expect(readRegistry(itself, publicUrl)).toMatchObject({ ok: true });
  for (const [pointer, certificates] of [
    ["/clients/0/certificates/1", ["A".repeat(43), name]],
    ["/clients/0/certificates", []],
  ] as const) {
    expect(readRegistry(withValue(itself, "/clients/0/certificates", certificates), publicUrl)).toMatchObject(
      { error: { pointer } },
    );
  }
});

test.for<readonly [string, unknown]>([
  ["two names", { ...name, subjectDn: "CN=lab" }],
  ["no authority", { sanDns: "api.lab.example" }],
  ["an authority without a name", { ...name, issuerDn: "" }],
  ["no name", { issuerDn: "CN=Partner CA" }],
  ["a wildcard", { ...name, sanDns: "*.lab.example" }],
  ["no address", { issuerDn: "CN=Partner CA", sanIp: "192.0.2" }],
])("T21: %s is no way to know a certificate", ([, certificate], { expect }) => {
  expect(readRegistry(withValue(file, "/clients/0/certificates", [certificate]), publicUrl)).toMatchObject({
    ok: false,
    error: { reason: "invalid", pointer: expect.stringMatching(/^\/clients\/0\/certificates\/0/u) },
  });
});

test("the pages of browser apps are exact origins, as browsers write them", ({ expect }) => {
  const read = (origin: string) =>
    readRegistry(withValue(file, "/clients/0/corsOrigins", [origin]), publicUrl);
  for (const good of [
    "https://app.example.org",
    "https://app.example.org:8443",
    "http://localhost:3000",
    "http://127.0.0.1:3000",
  ])
    expect(read(good), good).toMatchObject({ ok: true });
  const bad = [
    "*",
    "null",
    "https://*.example.org",
    "https://app.example.org/",
    "https://APP.example.org",
    "https://app.example.org:443",
    "http://app.example.org",
    "https://user@app.example.org",
    "capacitor://localhost",
  ];
  for (const origin of bad)
    expect(read(origin), origin).toMatchObject({ error: { pointer: "/clients/0/corsOrigins/0" } });
});

test("T41: only an issuer's own metadata URL is accepted, as RFC 8414 and OpenID Connect place it", ({
  expect,
}) => {
  const verdict = (iss: string, jwksUri: string) => {
    const changes = {
      "/issuers/0/iss": iss,
      "/clients/1/issuer": iss,
      "/issuers/0/jwks": undefined,
      "/issuers/0/jwksUri": jwksUri,
    };
    const read = readRegistry(
      Object.entries(changes).reduce(
        (document: unknown, [path, value]) => withValue(document, path, value),
        external,
      ),
      publicUrl,
    );
    return read.ok ? "taken" : "pointer" in read.error && read.error.pointer;
  };
  const host = "https://issuer.example.org";
  for (const iss of [`${host}/a`, `${host}/a/`]) {
    expect(verdict(iss, `${host}/a/.well-known/openid-configuration`)).toBe("taken");
    expect(verdict(iss, `${host}/.well-known/oauth-authorization-server/a`)).toBe("taken");
    for (const another of [
      `${host}/b/.well-known/openid-configuration`,
      `${host}/.well-known/openid-configuration`,
      `${host}/.well-known/oauth-authorization-server`,
      `${host}/.well-known/oauth-authorization-server/a/b`,
      `https://other.example.org/a/.well-known/openid-configuration`,
      `${host}/a/.well-known/openid-configuration?tenant=b`,
    ])
      expect(verdict(iss, another), another).toBe("/issuers/0/jwksUri");
  }
});

const signIn = await withSignIn(file);

test.for<readonly [string, string, unknown]>([
  ["/issuers/0/endpoints/token", "/issuers/0/endpoints/token", undefined],
  ["/issuers/0/endpoints/token", "/issuers/0/endpoints/token", "http://issuer.example.org/token"],
  ["/issuers/0/endpoints/authorization", "/issuers/0/endpoints/authorization", "javascript:alert(1)"],
  [
    "/issuers/0/endpoints/authorization",
    "/issuers/0/endpoints/authorization",
    "https://user@issuer.example.org/authorize",
  ],
  ["/issuers/0/endpoints/userinfo", "/issuers/0/endpoints/userinfo", "https://issuer.example.org/userinfo"],
  ["/issuers/0/endpoints/capabilities/0", "/issuers/0/endpoints/capabilities", ["smart-app-state"]],
  ["/issuers/0/endpoints/capabilities", "/issuers/0/endpoints/capabilities", []],
  ["/issuers/0/endpoints/scopes/0", "/issuers/0/endpoints/scopes", ["openid fhirUser"]],
  ["/issuers/0/endpoints/jwks", "/issuers/0/endpoints/jwks", undefined], // with sso-openid-connect
  ["/origins/0/signInAt", "/origins/0/signInAt", "http://issuer.example.org"],
])(
  "a fault of the sign-in endpoints at %s is refused with its pointer",
  ([pointer, at, value], { expect }) => {
    expect(readRegistry(signIn, publicUrl)).toMatchObject({ ok: true });
    expect(readRegistry(withValue(signIn, at, value), publicUrl)).toMatchObject({
      ok: false,
      error: { reason: "invalid", pointer },
    });
  },
);

test("the keys of ID tokens default to the issuer's key URL, not to its metadata URL", ({ expect }) => {
  const verdict = (jwksUri: string) => {
    const changes = {
      "/issuers/0/endpoints/jwks": undefined,
      "/issuers/0/jwks": undefined,
      "/issuers/0/jwksUri": jwksUri,
    };
    return readRegistry(
      Object.entries(changes).reduce(
        (document: unknown, [path, value]) => withValue(document, path, value),
        signIn,
      ),
      publicUrl,
    );
  };
  expect(verdict("https://issuer.example.org/jwks")).toMatchObject({ ok: true });
  expect(verdict("https://issuer.example.org/.well-known/openid-configuration")).toMatchObject({
    error: { reason: "invalid", pointer: "/issuers/0/endpoints/jwks" },
  });
});

test("the sign-in example in docs/registry.md is read unchanged", ({ expect }) => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/registry.md"), "utf8");
  const shown: unknown = JSON.parse(
    /sign in\n\n```json\n(?<body>[\s\S]*?)```/u.exec(page)?.groups?.["body"] ?? "",
  );
  expect(readRegistry(shown, publicUrl)).toMatchObject({
    ok: true,
    value: { origins: [{ signInAt: "https://login.hospital.example" }] },
  });
});
