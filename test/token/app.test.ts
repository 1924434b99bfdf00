import { decodeJwt, decodeProtectedHeader } from "jose";
import { test } from "vitest";
import type { ProofSink } from "#audit/ports";
import type { ClientGrant, ClientRecord } from "#identity/client";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { at, fhirBase, newKey, presented, publicUrl, tokenEndpoint } from "../support/credentials.ts";
import {
  ask,
  assertion,
  clientKey,
  endpoint,
  form,
  post,
  record,
  stranger,
} from "../support/token-endpoint.ts";
test("a client that proves itself twice over gets a token bound to its certificate, and that is on record", async ({
  expect,
}) => {
  const door = endpoint();
  const { status, headers, body } = await ask(door, post(await form()));
  expect({ status, body }).toMatchObject({
    status: 200,
    body: { token_type: "Bearer", expires_in: 300, scope: "system/*.rs" },
  });
  expect([headers.get("cache-control"), headers.get("pragma")], "RFC 6749 §5.1").toEqual([
    "no-store",
    "no-cache",
  ]);
  expect(headers.get("phylax-receipt")).toContain('log="s0-2026h2", index=0');
  const token = String(body["access_token"]);
  expect(decodeProtectedHeader(token)).toEqual({ alg: "ES256", typ: "at+jwt", kid: "token-1" });
  const { x5t } = presented("telehealth");
  expect(decodeJwt(token)).toMatchObject({
    aud: fhirBase("main"),
    client_id: "telehealth",
    purpose_of_use: ["TREAT"],
    cnf: { "x5t#S256": x5t },
  });
  expect((await door.verifier.verify(new Secret(token), { audience: fhirBase("main"), at })).ok).toBe(true);
  expect(door.events).toMatchObject([
    {
      kind: "token",
      who: { client: "telehealth", certificate: x5t, tokenId: decodeJwt(token).jti },
      why: { purposes: ["TREAT"], agreement: "baa" },
    },
  ]);
});

test("no token leaves, and no refusal is told, before what the isolate started with is on record", async ({
  expect,
}) => {
  const broken = endpoint({ configured: () => Promise.reject(new Error("no ledger")) });
  expect(await ask(broken, post(await form()))).toMatchObject({
    status: 503,
    body: { title: "Service Unavailable" },
  });
  expect((await ask(broken, post("nothing of use"))).status).toBe(503);
  const { promise, resolve } = Promise.withResolvers<void>();
  const waiting = endpoint({ configured: () => promise });
  const answer = ask(waiting, post(await form()));
  // its record is made at the same time
  while (waiting.events.length === 0) await new Promise((turn) => setTimeout(turn));
  expect(
    await Promise.race([
      answer.then(() => "answered"),
      new Promise((turn) => setTimeout(turn, 20, "waiting")),
    ]),
  ).toBe("waiting");
  resolve();
  expect((await answer).status).toBe(200);
});

test("T21–T24: without a good certificate of this connection there is no token, whatever the headers say", async ({
  expect,
}) => {
  const { tlsClientAuth } = presented("telehealth");
  const bad: readonly (readonly [string, unknown])[] = [
    ["certificate_missing", undefined],
    ["certificate_unverified", { ...tlsClientAuth, certVerified: "FAILED:self signed certificate" }],
    ["certificate_revoked", { ...tlsClientAuth, certRevoked: "1" }],
    ["certificate_too_large", { ...tlsClientAuth, certRFC9440: "", certRFC9440TooLarge: true }],
    ["certificate_not_registered", presented("payer").tlsClientAuth],
  ];
  for (const [reason, presentedOne] of bad) {
    const door = endpoint();
    const spoofed = {
      "client-cert": String(tlsClientAuth["certRFC9440"]),
      "cf-client-cert-sha256": "0",
      "x-client-cert": "1",
    };
    const request = post(await form(), presentedOne, spoofed);
    if (presentedOne === undefined) Reflect.deleteProperty(request, "cf");
    expect(await ask(door, request), reason).toMatchObject({
      status: 401,
      body: { error: "invalid_client" },
    });
    expect(door.events).toMatchObject([{ kind: "refusal", outcome: { reason } }]);
    expect(door.used.size, "an assertion that failed otherwise is not used up").toBe(0);
  }
});

test("an assertion that ended while the form was on its way is over", async ({ expect }) => {
  let time = at;
  const { headers } = post("");
  const bytes = new TextEncoder().encode(await form());
  const pull = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    controller.enqueue(bytes);
    time = instant(at + 61_000);
    controller.close();
  };
  const slow = new ReadableStream({ pull }, { highWaterMark: 0 }); // pulled only when it is read
  const request = new Request(tokenEndpoint, {
    method: "POST",
    headers,
    body: slow,
    duplex: "half",
  } as RequestInit);
  const sent = Object.assign(request, { cf: { tlsClientAuth: presented("telehealth").tlsClientAuth } });
  expect(await ask(endpoint({ clock: () => time }), sent)).toMatchObject({
    status: 401,
    body: { error: "invalid_client" },
  });
});

test("an assertion is good once, also when fifty come at once", async ({ expect }) => {
  const door = endpoint();
  const body = await form();
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask(door, post(body))));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  expect(door.events.filter(({ outcome }) => outcome?.reason === "assertion_replayed")).toHaveLength(49);
});

test("who is not registered, who signs with a wrong key, who is suspended and who replays hear the same", async ({
  expect,
}) => {
  const once = await form();
  const cases = [
    [
      endpoint(),
      await form({ client_assertion: await assertion({ iss: "nobody", sub: "nobody" }) }),
      "client_unknown",
    ],
    [endpoint(), await form({ client_assertion: await assertion({}, stranger) }), "signature_invalid"],
    [endpoint({ client: { ...record, status: "suspended" } }), await form(), "client_suspended"],
    [endpoint(), once, "assertion_replayed"],
    [endpoint({ denied: [{ kind: "client", client: "telehealth" }] }), await form(), "client_denied"],
    [
      endpoint({ denied: [{ kind: "certificate", x5t: presented("telehealth").x5t }] }),
      await form(),
      "certificate_denied",
    ],
    [
      endpoint({ denied: [{ kind: "key", issuer: "telehealth", keyId: clientKey.jwk.kid ?? "" }] }),
      await form(),
      "key_denied",
    ],
  ] as const;
  await ask(cases[3][0], post(once));
  const faces = new Set<string>();
  for (const [door, body, reason] of cases) {
    const { status, headers, body: said } = await ask(door, post(body));
    faces.add(JSON.stringify([status, said, headers.get("www-authenticate")]));
    expect(door.events.at(-1)).toMatchObject({ kind: "refusal", outcome: { status: 401, reason } });
  }
  expect(faces.size).toBe(1);
});

test("whoever is refused, known or not, by whatever key and algorithm, costs one verification, so that the time tells nothing", async ({
  expect,
}) => {
  let verified = 0;
  const door = endpoint();
  const verify = crypto.subtle.verify.bind(crypto.subtle);
  crypto.subtle.verify = (...args: Parameters<typeof verify>) => {
    verified += 1;
    return verify(...args);
  };
  const keys = [
    stranger,
    await newKey("ES256", "made-up"),
    await newKey("PS256", "client-1"),
    await newKey("ES384", "client-1"),
  ];
  try {
    for (const key of keys) {
      for (const id of ["telehealth", "nobody"]) {
        verified = 0;
        const client_assertion = await assertion({ iss: id, sub: id }, key);
        expect(await ask(door, post(await form({ client_assertion })))).toMatchObject({ status: 401 });
        expect(verified, `${id} by ${key.alg} ${key.jwk.kid}`).toBe(1);
      }
    }
  } finally {
    Reflect.deleteProperty(crypto.subtle, "verify");
  }
});

const otherGrant = (changes: Partial<ClientGrant>): readonly ClientGrant[] =>
  record.grants.map((grant) => Object.assign({}, grant, changes));
const two = { ...record, grants: [...record.grants, ...otherGrant({ purpose: "HPAYMT" })] };
const everywhere = { ...record, grants: [...record.grants, ...otherGrant({ origin: "second" })] };
const forBoth = {
  ...two,
  agreements: record.agreements.map(({ id, from, to }) => ({ id, from, to, purposes: ["TREAT", "HPAYMT"] })),
};

/** The form of a client with only a certificate. */
const byCertificate = (id: string) => ({
  client_id: id,
  client_assertion: undefined,
  client_assertion_type: undefined,
});
const tls: ClientRecord = { ...record, authentication: "tls_client_auth", keys: [] };
const external: ClientRecord = {
  ...record,
  authentication: "external",
  keys: [],
  external: { issuer: "https://issuer.example.org", id: "telehealth" },
};
const patientScoped = {
  ...record,
  grants: otherGrant({
    scopes: [{ context: "patient", type: "*", permissions: ["r", "s"], filters: [] }],
  }),
};

test("a client of tls_client_auth gets a token by its certificate and its name, bound to that certificate", async ({
  expect,
}) => {
  const door = endpoint({ client: tls });
  const { status, body } = await ask(door, post(await form(byCertificate("telehealth"))));
  expect({ status, body }).toMatchObject({
    status: 200,
    body: { token_type: "Bearer", scope: "system/*.rs" },
  });
  const { x5t } = presented("telehealth");
  expect(decodeJwt(String(body["access_token"]))).toMatchObject({
    client_id: "telehealth",
    cnf: { "x5t#S256": x5t },
  });
  expect(door.events).toMatchObject([{ kind: "token", who: { client: "telehealth", certificate: x5t } }]);
  for (const [reason, presentedOne] of [
    ["certificate_not_registered", presented("payer").tlsClientAuth],
    ["certificate_unverified", { ...presented("telehealth").tlsClientAuth, certVerified: "FAILED" }],
    ["certificate_revoked", { ...presented("telehealth").tlsClientAuth, certRevoked: "1" }],
  ] as const) {
    expect(
      await ask(door, post(await form(byCertificate("telehealth")), presentedOne)),
      reason,
    ).toMatchObject({ status: 401 });
    expect(door.events.at(-1)).toMatchObject({ kind: "refusal", outcome: { reason } });
  }
});

test("who comes by the other method hears what a stranger hears, and uses up nothing", async ({ expect }) => {
  const faces = new Set<string>();
  for (const [client, changes] of [
    [record, byCertificate("telehealth")],
    [record, byCertificate("nobody")],
    [tls, {}],
    [external, {}],
    [external, byCertificate("telehealth")],
  ] as const) {
    const door = endpoint({ client });
    const { status, headers, body } = await ask(door, post(await form(changes)));
    faces.add(JSON.stringify([status, body, headers.get("www-authenticate")]));
    expect(door.used.size).toBe(0);
  }
  expect(faces.size).toBe(1);
});

test.for([
  ["invalid_request", "grant_type_missing", { grant_type: undefined }, record],
  ["unsupported_grant_type", "grant_type_not_supported", { grant_type: "authorization_code" }, record],
  ["invalid_client", "client_authentication_missing", { client_assertion: undefined }, record],
  ["invalid_client", "client_authentication_not_supported", { client_secret: "s3cret" }, record],
  [
    "invalid_client",
    "client_authentication_not_supported",
    { client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:saml2-bearer" },
    record,
  ],
  [
    "invalid_client",
    "client_authentication_missing",
    { client_assertion: undefined, client_id: "telehealth" },
    record,
  ],
  [
    "invalid_client",
    "client_authentication_missing",
    { client_assertion_type: undefined, client_id: "telehealth" },
    record,
  ],
  ["invalid_client", "client_authentication_method_mismatch", byCertificate("telehealth"), record],
  ["invalid_client", "client_authentication_method_mismatch", {}, tls],
  ["invalid_client", "client_authentication_method_mismatch", {}, external],
  ["invalid_client", "client_authentication_method_mismatch", byCertificate("telehealth"), external],
  ["invalid_client", "client_unknown", byCertificate("nobody"), tls],
  ["invalid_client", "client_unknown", byCertificate("n".repeat(65)), tls],
  [
    "invalid_client",
    "client_authentication_not_supported",
    { ...byCertificate("telehealth"), client_secret: "s3cret" },
    tls,
  ],
  ["invalid_client", "client_id_mismatch", { client_id: "payer" }, record],
  ["invalid_client", "jws_malformed", { client_assertion: "a.b.c" }, record],
  ["invalid_target", "target_unknown", { resource: "https://elsewhere.example.org" }, record],
  ["invalid_target", "target_unknown", { resource: fhirBase("second") }, record],
  ["invalid_target", "target_not_chosen", {}, everywhere],
  ["invalid_request", "purpose_not_chosen", {}, two],
  ["invalid_request", "purpose_malformed", { purpose_of_use: "treat" }, record],
  ["unauthorized_client", "purpose_not_granted", { purpose_of_use: "HRESCH" }, record],
  ["unauthorized_client", "purpose_not_in_agreement", { purpose_of_use: "HPAYMT" }, two],
  ["invalid_scope", "scope_exceeds_grant", { scope: "system/*.cruds" }, record],
  ["invalid_scope", "scope_context_not_supported", { scope: "user/*.rs" }, record],
  ["invalid_scope", "scope_context_not_supported", { scope: "patient/*.rs" }, record],
  ["invalid_scope", "scope_context_not_supported", { scope: "patient/*.rs" }, patientScoped],
  ["invalid_scope", "scope_exceeds_grant", {}, patientScoped],
  ["invalid_scope", "scope_exceeds_grant", { scope: "system/*.rs" }, patientScoped],
  ["invalid_scope", "scope_query_not_supported", { scope: "system/Observation.rs?code:in=718-7" }, record],
  ["invalid_scope", "scope_query_not_supported", { scope: "system/Observation.rs?colour=red" }, record],
  ["invalid_scope", "scope_query_not_supported", { scope: "system/*.rs?colour=red" }, record],
] as const)("%s: %s", async ([error, reason, changes, client], { expect }) => {
  const door = endpoint({ client });
  const answer = await ask(door, post(await form(changes)));
  expect(answer.body).toMatchObject({ error });
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(door.events).toMatchObject([{ kind: "refusal", outcome: { reason } }]);
});

test("resource may name the FHIR base by the host that asks for certificates, and the audience keeps the public name", async ({
  expect,
}) => {
  const mtlsUrl = "https://mtls.example.org";
  const resource = fhirBase("second").replace(publicUrl, mtlsUrl);
  const { status, body } = await ask(
    endpoint({ client: everywhere, mtlsUrl }),
    post(await form({ resource })),
  );
  expect(status).toBe(200);
  expect(decodeJwt(String(body["access_token"])).aud).toBe(fhirBase("second"));
  for (const door of [endpoint({ client: everywhere }), endpoint({ client: record, mtlsUrl })])
    expect(await ask(door, post(await form({ resource })))).toMatchObject({
      status: 400,
      body: { error: "invalid_target" },
    });
});

test("resource, purposes and scope are what was asked for, within what is granted", async ({ expect }) => {
  const token = async (client: ClientRecord, changes: Readonly<Record<string, string>>) =>
    decodeJwt(String((await ask(endpoint({ client }), post(await form(changes)))).body["access_token"]));
  expect(await token(everywhere, { resource: fhirBase("second") })).toMatchObject({
    aud: fhirBase("second"),
  });
  expect(await token(forBoth, { purpose_of_use: "TREAT HPAYMT" })).toMatchObject({
    purpose_of_use: ["TREAT", "HPAYMT"],
  });
  expect(await token(record, { scope: "system/Patient.read" })).toMatchObject({ scope: "system/Patient.rs" });
  expect(
    await token(record, { scope: "system/Observation.rs?colour=red system/Observation.rs?code=718-7" }),
    "a scope with a condition that cannot be judged is not granted",
  ).toMatchObject({ scope: "system/Observation.rs?code=718-7" });
});

test("a lapsed agreement gives no token", async ({ expect }) => {
  const lapsed = {
    ...record,
    agreements: record.agreements.map(({ id, purposes, from }) => ({ id, purposes, from, to: instant(at) })),
  };
  const door = endpoint({ client: lapsed });
  expect(await ask(door, post(await form()))).toMatchObject({
    status: 400,
    body: { error: "unauthorized_client" },
  });
  expect(door.events).toMatchObject([
    { who: { client: "telehealth" }, outcome: { reason: "agreement_expired" } },
  ]);
});

test("the form is read one way or not at all", async ({ expect }) => {
  const body = await form();
  expect(await ask(endpoint(), post(`${body}&scope=system%2F*.r&scope=system%2F*.rs`))).toMatchObject({
    body: { error: "invalid_request" },
  });
  expect(await ask(endpoint(), post(`${body}&grant_type=client_credentials`))).toMatchObject({
    body: { error: "invalid_request" },
  });
  expect(await ask(endpoint(), post(`${body}&x=\u00e9`))).toMatchObject({
    body: { error: "invalid_request" },
  });
  expect(
    await ask(
      endpoint(),
      post(JSON.stringify({ grant_type: "client_credentials" }), undefined, {
        "content-type": "application/json",
      }),
    ),
  ).toMatchObject({ status: 415 });
  expect(await ask(endpoint(), post(`${body}&x=${"x".repeat(17_000)}`))).toMatchObject({
    status: 413,
    body: { error: "invalid_request" },
  });
  expect(
    await ask(endpoint(), post(`${body}&scope=&unknown=1`)),
    "empty is left out, unknown is ignored",
  ).toMatchObject({ status: 200 });
});

test("when the ledger cannot record, there is no token and nothing that quotes the fault", async ({
  expect,
}) => {
  const record = () => Promise.reject(new Error("canary in a fault"));
  const ledger: ProofSink = { record, recordOnce: record };
  for (const body of [await form(), await form({ grant_type: "password" })]) {
    const { status, body: said } = await ask(endpoint({ ledger }), post(body));
    expect(status).toBe(503);
    expect(JSON.stringify(said)).not.toMatch(/canary|access_token/u);
  }
});

test("when the registry cannot be read, there is no token", async ({ expect }) => {
  const find = () => Promise.reject(new Error("D1 is down"));
  expect(await ask(endpoint({ find }), post(await form()))).toMatchObject({ status: 503 });
});

test("the challenge of a refused client has the error and the description of the body, because oauth4webapi shows the challenge alone", async ({
  expect,
}) => {
  const byForm = post(await form({ client_assertion: await assertion({}, stranger) }));
  const byHeader = post(await form({ client_assertion: undefined }), undefined, {
    authorization: "Basic eA==",
  });
  for (const request of [byForm, byHeader]) {
    const { status, headers, body } = await ask(endpoint(), request);
    expect(status).toBe(401);
    expect(headers.get("www-authenticate")).toBe(
      `Bearer realm="phylax", error="invalid_client", error_description="${String(body["error_description"])}"`,
    );
    expect(body["error_description"], "RFC 6750 §3").toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/u);
  }
});

test("only POST is answered at the token endpoint", async ({ expect }) => {
  const response = await endpoint().app.fetch(new Request(tokenEndpoint));
  expect(response.status).toBe(405);
  expect(response.headers.get("allow")).toBe("POST");
});

test("a document of the issuer is 405 by every method but GET and HEAD", async ({ expect }) => {
  const { app } = endpoint();
  for (const path of ["/oauth/jwks", "/.well-known/oauth-authorization-server"])
    for (const method of ["POST", "PUT", "OPTIONS"]) {
      const { status, headers } = await app.fetch(new Request(publicUrl + path, { method }));
      expect([status, headers.get("allow")], `${method} ${path}`).toEqual([405, "GET, HEAD"]);
    }
});

test("metadata says what is true, and the key set holds no private part", async ({ expect }) => {
  const { app } = endpoint();
  const metadata: unknown = await (
    await app.fetch(new Request(`${publicUrl}/.well-known/oauth-authorization-server`))
  ).json();
  expect(metadata).toMatchObject({
    issuer: publicUrl,
    token_endpoint: tokenEndpoint,
    grant_types_supported: ["client_credentials"],
    token_endpoint_auth_methods_supported: [
      "private_key_jwt",
      "tls_client_auth",
      "self_signed_tls_client_auth",
    ],
    token_endpoint_auth_signing_alg_values_supported: [
      "PS256",
      "ES256",
      "EdDSA",
      "Ed25519",
      "RS384",
      "ES384",
    ],
    tls_client_certificate_bound_access_tokens: true,
    dpop_signing_alg_values_supported: ["PS256", "ES256", "EdDSA", "Ed25519"],
  });
  const jwks: unknown = await (await app.fetch(new Request(`${publicUrl}/oauth/jwks`))).json();
  expect(jwks).toMatchObject({ keys: [{ kid: "token-1", kty: "EC", use: "sig", alg: "ES256" }] });
  expect(JSON.stringify(jwks)).not.toContain('"d"');
});

test("RFC 6749 §2.3: a client that authenticates in two ways, or in a way that is not supported, is refused, whichever way is right", async ({
  expect,
}) => {
  const basic = { authorization: `Basic ${Buffer.from("telehealth:secret").toString("base64")}` };
  for (const [headers, change, status, error, reason] of [
    [basic, {}, 400, "invalid_request", "client_authentication_repeated"],
    [{ authorization: "Bearer x" }, {}, 400, "invalid_request", "client_authentication_repeated"],
    [{ authorization: "" }, {}, 400, "invalid_request", "client_authentication_repeated"],
    [{}, { client_secret: "secret" }, 401, "invalid_client", "client_authentication_not_supported"],
    [
      basic,
      { client_assertion: "", client_assertion_type: "" },
      401,
      "invalid_client",
      "client_authentication_not_supported",
    ],
    [
      basic,
      { client_assertion: "", client_assertion_type: "", client_id: "telehealth" },
      401,
      "invalid_client",
      "client_authentication_not_supported",
    ],
  ] as const)
    for (const path of ["token", "introspect", "revoke"]) {
      const door = endpoint();
      const sent = new URLSearchParams(await form());
      sent.set("token", "x");
      for (const [name, value] of Object.entries(change)) sent.set(name, value);
      const request = post(
        sent.toString(),
        presented("telehealth").tlsClientAuth,
        headers,
        `${publicUrl}/oauth/${path}`,
      );
      const answer = await ask(door, request);
      expect([answer.status, answer.body["error"]], `${path} ${JSON.stringify([headers, change])}`).toEqual([
        status,
        error,
      ]);
      expect(door.events.map(({ kind, outcome }) => [kind, outcome?.reason])).toEqual([["refusal", reason]]);
    }
});

test("a form whose sender breaks off is refused, and on record", async ({ expect }) => {
  for (const path of ["token", "introspect", "revoke"]) {
    const door = endpoint();
    const half = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode("grant_type=client_")),
      pull: (controller) => controller.error(new Error("Network connection lost")),
    });
    const sent = new Request(`${publicUrl}/oauth/${path}`, {
      method: "POST",
      body: half,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      duplex: "half",
    } as RequestInit);
    const { status, body } = await ask(door, sent);
    expect([status, body["error"]], path).toEqual([400, "invalid_request"]);
    expect(door.events.map(({ kind, outcome }) => [kind, outcome?.reason])).toEqual([
      ["refusal", "body_incomplete"],
    ]);
    expect(door.kept.length, "the record outlives the connection").toBe(1);
  }
});
