import { generateKeyPair, generateProof } from "dpop";
import { decodeJwt, exportJWK, exportPKCS8, SignJWT } from "jose";
import * as oauth from "oauth4webapi";
import { afterAll, beforeAll, test } from "vitest";
import { clientAssertion } from "../../cli/connection/access-token.ts";
import { send } from "../../cli/connection/mutual-tls.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import { openLedger } from "../support/auditor.ts";
import { sign } from "../support/credentials.ts";
import {
  askWithProof,
  keyBoundToken,
  keyHolder,
  keyHolderEntry,
  proofFor,
  requestKeyBoundToken,
  type KeyHolder,
} from "../support/key-holder.ts";
import { inLane } from "../support/lane.ts";
import {
  applyToUsedStack,
  certificateFor,
  clientEntries,
  issuerEntry,
  joined,
  outsider,
  starterPolicy,
  thumbprint,
} from "../support/outside.ts";
import { sharedTestStack, type TestStack } from "../support/stack.ts";
import { expectOneOf } from "../support/replays.ts";

const path = "Patient/amara-okafor";
const elsewhere = await outsider("https://issuer.outside.example", "phylax");

let phylax: TestStack;
let holder: KeyHolder;
let token: string;
let certificate: CertificateFiles;
beforeAll(async () => {
  phylax = await sharedTestStack();
  holder = await keyHolder("key-holder");
  certificate = await certificateFor(phylax, "both");
  const app = {
    id: "signed-in",
    kind: "patient",
    auth: "external",
    issuer: elsewhere.iss,
    externalClientId: "app",
    dpop: true,
  };
  await applyToUsedStack(
    phylax,
    joined(
      { policies: [starterPolicy("treat"), starterPolicy("patrqt")], issuers: [issuerEntry(elsewhere)] },
      clientEntries(keyHolderEntry(holder), "TREAT", "treat", "system/*.rs"),
      clientEntries(app, "PATRQT", "patrqt", "patient/*.rs"),
      clientEntries(
        {
          id: "both",
          kind: "telehealth",
          auth: "tls_client_auth",
          certificates: [thumbprint(certificate)],
          dpop: true,
        },
        "TREAT",
        "treat",
        "system/*.rs",
      ),
    ),
  );
  token = await keyBoundToken(phylax, holder);
}, 120_000);
afterAll(() => phylax.close());

async function reasonOf(requestId: unknown): Promise<string | undefined> {
  return (await openLedger(phylax.dev)).find(({ event }) => event.id === requestId)?.event.outcome?.reason;
}

test("oauth4webapi, unmodified and without a certificate, gets a key-bound token, follows the nonces and reads", async ({
  expect,
}) => {
  // Its fetch trusts the sandbox's authority. This is the only change.
  const customFetch: (
    url: string,
    init: { method: string; headers: Record<string, string>; body?: unknown },
  ) => Promise<Response> = async (url, init) => {
    const body = init.body instanceof URLSearchParams ? { body: init.body.toString() } : {};
    const reply = await send(phylax.dev, undefined, url, {
      method: init.method,
      headers: init.headers,
      ...body,
    });
    const headers = new Headers(Object.entries(reply.headers).map(([name, value]) => [name, String(value)]));
    return new Response(reply.status === 204 ? null : reply.text, { status: reply.status, headers });
  };
  const options = { [oauth.customFetch]: customFetch };
  const issuer = new URL(phylax.dev.gateway);
  const server = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { ...options, algorithm: "oauth2" }),
  );
  expect(server.dpop_signing_alg_values_supported).toContain("ES256");

  const client: oauth.Client = { client_id: holder.id };
  const key = await crypto.subtle.importKey(
    "pkcs8",
    Buffer.from(
      (await exportPKCS8(holder.assertionKey.privateKey)).replaceAll(/-----[^-]+-----|\s/gu, ""),
      "base64",
    ),
    { name: "ECDSA", namedCurve: "P-256" },
    false,
    ["sign"],
  );
  const pair = await generateKeyPair("ES256");
  const proofs = oauth.DPoP(client, pair);
  const ask = async () => {
    const authentication = oauth.PrivateKeyJwt({ key, kid: `${holder.id}-1` });
    const response = await oauth.clientCredentialsGrantRequest(
      server,
      client,
      authentication,
      {},
      { ...options, DPoP: proofs },
    );
    return oauth.processClientCredentialsResponse(server, client, response);
  };
  const granted = await ask().catch((fault: unknown) => {
    expect(oauth.isDPoPNonceError(fault)).toBe(true);
    return ask();
  });
  expect(granted.token_type).toBe("dpop");
  expect(decodeJwt(granted.access_token)["cnf"]).toEqual({ jkt: await proofs.calculateThumbprint() });

  const url = new URL(`${phylax.dev.fhir}/${path}`);
  const later = oauth.DPoP(client, pair); // as after a restart: the same key, no nonce yet
  const read = () =>
    oauth.protectedResourceRequest(granted.access_token, "GET", url, new Headers(), null, {
      ...options,
      DPoP: later,
    });
  const refused: unknown = await read().catch((fault: unknown) => fault);
  expect(oauth.isDPoPNonceError(refused)).toBe(true);
  // the single challenge
  expect(refused).toMatchObject({ cause: [{ scheme: "dpop", parameters: { error: "use_dpop_nonce" } }] });
  for (let times = 0; times < 3; times += 1) {
    const answer = await read();
    expect(answer.status).toBe(200);
    expect(answer.headers.get("dpop-nonce")).toMatch(/^[A-Za-z0-9_-]{43}$/u);
  }
});

test("a read under a proof is on record with the key's thumbprint and no certificate, always in the same log", async ({
  expect,
}) => {
  const replies = [
    await askWithProof(phylax, holder, token, path),
    await askWithProof(phylax, holder, token, path),
  ];
  const logs = new Set(
    replies.map(
      ({ headers }) => /log="(?<log>[^"]+)"/u.exec(String(headers["phylax-receipt"]))?.groups?.["log"],
    ),
  );
  expect(logs.size).toBe(1);
  const records = await openLedger(phylax.dev);
  for (const reply of replies) {
    expect(reply.status, reply.text).toBe(200);
    const { event } = records.find(({ event }) => event.id === reply.headers["x-request-id"]) ?? {};
    expect(event).toMatchObject({ kind: "disclosure", who: { client: "key-holder", jkt: holder.jkt } });
    expect(event?.who?.certificate).toBeUndefined();
  }
});

test(
  "T32: of 60 concurrent requests (20 in the fast lane) with one proof, exactly one is answered; each of the rest is on record as a replay",
  { timeout: 120_000 },
  ({ expect }) => expectOneOf(inLane({ fast: 20, slow: 60, long: 60 }), expect, phylax, holder, token),
);

test("T4, T27–T31, T33, T34: each bad proof is a 401 that says what to do, and the ledger has the failed check", async ({
  expect,
}) => {
  const url = `${phylax.dev.fhir}/${path}`;
  const { pair, nonce } = holder;
  const good = () => proofFor(phylax, holder, token, path);
  const stranger = await generateKeyPair("ES256");
  const cases: readonly (readonly [string, string, string, Record<string, string | readonly string[]>])[] = [
    [
      "T33 no nonce",
      "proof_nonce_missing",
      "use_dpop_nonce",
      { dpop: await generateProof(pair, url, "GET", undefined, token) },
    ],
    [
      "T33 old nonce",
      "proof_nonce_expired",
      "use_dpop_nonce",
      { dpop: await generateProof(pair, url, "GET", "x".repeat(43), token) },
    ],
    [
      "T27 htm",
      "proof_method_mismatch",
      "invalid_dpop_proof",
      { dpop: await generateProof(pair, url, "POST", nonce, token) },
    ],
    [
      "T27 htu",
      "proof_url_mismatch",
      "invalid_dpop_proof",
      { dpop: await generateProof(pair, url.replace("localhost", "127.0.0.1"), "GET", nonce, token) },
    ],
    [
      "T28 ath",
      "proof_token_mismatch",
      "invalid_dpop_proof",
      { dpop: await generateProof(pair, url, "GET", nonce, "another token") },
    ],
    [
      "T29 key",
      "proof_key_mismatch",
      "invalid_dpop_proof",
      { dpop: await generateProof(stranger, url, "GET", nonce, token) },
    ],
    ["T31 iat", "proof_expired", "invalid_dpop_proof", { dpop: await old(url) }],
    ["T4 two proofs", "proof_malformed", "invalid_dpop_proof", { dpop: [await good(), await good()] }],
  ];
  for (const [name, reason, error, headers] of cases) {
    const reply = await askWithProof(phylax, holder, token, path, { headers });
    expect(reply.status, name).toBe(401);
    const challenge = String(reply.headers["www-authenticate"]);
    expect(challenge, name).toContain('DPoP algs="PS256 ES256 EdDSA Ed25519"');
    expect(challenge).toContain(
      `resource_metadata="${phylax.dev.gateway}/.well-known/oauth-protected-resource/v1/fhir/main"`,
    );
    expect(challenge, name).toContain(`error="${error}"`);
    expect(reply.headers["dpop-nonce"] !== undefined, name).toBe(error === "use_dpop_nonce");
    expect(reply.headers["cache-control"]).toBe("no-store");
    expect(await reasonOf(reply.headers["x-request-id"]), name).toBe(reason);
  }

  async function old(htu: string): Promise<string> {
    const jwk = await exportJWK(pair.publicKey);
    const [, body = ""] = (await good()).split(".");
    const claims = {
      ...JSON.parse(Buffer.from(body, "base64url").toString()),
      htu,
      iat: Math.floor(Date.now() / 1000) - 61,
    };
    return new SignJWT(claims)
      .setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk })
      .sign(pair.privateKey);
  }
});

test("T30: a key-bound token is no bearer token, a certificate-bound token no DPoP token, and each request needs its own proof", async ({
  expect,
}) => {
  const url = `${phylax.dev.fhir}/${path}`;
  const proof = await proofFor(phylax, holder, token, path);
  const bound = await phylax.token("telehealth");
  const cases = [
    ["token_scheme_mismatch", undefined, { authorization: `Bearer ${token}`, dpop: proof }],
    ["token_scheme_mismatch", phylax.client("telehealth"), { authorization: `Bearer ${token}` }],
    ["token_scheme_mismatch", phylax.client("telehealth"), { authorization: `DPoP ${bound}`, dpop: proof }],
    ["proof_missing", undefined, { authorization: `DPoP ${token}` }],
  ] as const;
  for (const [reason, identity, headers] of cases) {
    const reply = await send(phylax.dev, identity, url, { headers });
    expect(reply.status, reason).toBe(401);
    expect(await reasonOf(reply.headers["x-request-id"])).toBe(reason);
  }
  // The scheme is not case-sensitive (RFC 9110 §11.1), and none of these requests used the proof up.
  const reply = await askWithProof(phylax, holder, token, path, {
    proof,
    headers: { authorization: `dpop ${token}` },
  });
  expect(reply.status, reply.text).toBe(200);
});

test("a refusal uses its proof up too, and a posted search needs a proof for POST", async ({ expect }) => {
  const absent = "Patient/nobody";
  const proof = await proofFor(phylax, holder, token, absent);
  expect((await askWithProof(phylax, holder, token, absent, { proof })).status).toBe(404);
  expect((await askWithProof(phylax, holder, token, absent, { proof })).status).toBe(401);
  const search = await askWithProof(phylax, holder, token, "Patient/_search", {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "_id=amara-okafor",
  });
  expect(search.status, search.text).toBe(200);
});

test("at the token endpoint: a nonce challenge does not use the assertion up, a proof is good once, and a client that is not registered for DPoP gets the reason", async ({
  expect,
}) => {
  const other = await keyHolder(holder.id);
  const newcomer: KeyHolder = { ...other, assertionKey: holder.assertionKey };
  const first = await requestKeyBoundToken(phylax, newcomer);
  expect([first.status, JSON.parse(first.text).error]).toEqual([400, "use_dpop_nonce"]);
  const proof = await generateProof(newcomer.pair, phylax.dev.tokenEndpoint, "POST", newcomer.nonce);
  const second = await requestKeyBoundToken(phylax, newcomer, proof);
  expect(JSON.parse(second.text)).toMatchObject({ token_type: "DPoP" });
  expect(second.headers["dpop-nonce"]).toBeDefined();
  const again = await requestKeyBoundToken(phylax, newcomer, proof);
  expect([again.status, JSON.parse(again.text).error]).toEqual([400, "invalid_dpop_proof"]);
  expect(await reasonOf(again.headers["x-request-id"])).toBe("proof_replayed");
  const without = await requestKeyBoundToken(phylax, newcomer, null);
  expect([without.status, JSON.parse(without.text).error]).toEqual([400, "invalid_dpop_proof"]);

  const { dev } = phylax;
  const unregistered = await send(dev, phylax.client("telehealth"), dev.tokenEndpoint, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded", dpop: proof },
    body: new URLSearchParams({
      grant_type: "client_credentials",
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      client_assertion: await clientAssertion(dev, phylax.client("telehealth")),
    }).toString(),
  });
  expect([unregistered.status, JSON.parse(unregistered.text).error]).toEqual([400, "invalid_request"]);
});

test("a client may authenticate by its certificate and bind its token to a key: it is accepted with that certificate or with none, and refused with a different certificate", async ({
  expect,
}) => {
  const both = await keyHolder("both");
  const { dev } = phylax;
  const ask = async (identity: CertificateFiles | undefined, nonce?: string) =>
    send(dev, identity, dev.tokenEndpoint, {
      method: "POST",
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        dpop: await generateProof(both.pair, dev.tokenEndpoint, "POST", nonce),
      },
      body: "grant_type=client_credentials&client_id=both",
    });
  both.nonce = String((await ask(certificate)).headers["dpop-nonce"]);
  expect((await ask(undefined, both.nonce)).status).toBe(401);
  expect((await ask(phylax.client("payer"), both.nonce)).status).toBe(401);
  const granted = JSON.parse((await ask(certificate, both.nonce)).text);
  expect(granted).toMatchObject({ token_type: "DPoP" });
  const read = async (identity: CertificateFiles | undefined) => {
    const dpop = await proofFor(phylax, both, granted.access_token, path);
    return send(dev, identity, `${dev.fhir}/${path}`, {
      headers: { authorization: `DPoP ${granted.access_token}`, dpop },
    });
  };
  expect((await read(certificate)).status).toBe(200);
  expect((await read(undefined)).status).toBe(200);
  expect((await read(phylax.client("payer"))).status).toBe(401);
});

test("a patient's app without a certificate uses its own issuer's key-bound token and reads that patient", async ({
  expect,
}) => {
  const app = await keyHolder("signed-in");
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: elsewhere.iss,
    sub: "amara",
    aud: "phylax",
    iat: now,
    exp: now + 300,
    jti: "session-1",
    azp: "app",
    patient: "amara-okafor",
    scope: "patient/*.rs",
  };
  const theirs = await sign(elsewhere.key, { ...claims, cnf: { jkt: app.jkt } }, { typ: "at+jwt" });
  expect((await askWithProof(phylax, app, theirs, path)).status).toBe(401); // this answer carries the nonce
  expect((await askWithProof(phylax, app, theirs, path)).status).toBe(200);
  // A different holder's proof does not help a stolen token.
  holder.nonce = app.nonce;
  expect((await askWithProof(phylax, holder, theirs, path)).status).toBe(401);
});

test("T42: the metadata state that DPoP is supported, and where", async ({ expect }) => {
  const document = async (where: string) =>
    JSON.parse((await send(phylax.dev, undefined, `${phylax.dev.gateway}${where}`)).text);
  expect(await document("/.well-known/oauth-protected-resource/v1/fhir/main")).toMatchObject({
    resource: phylax.dev.fhir,
    bearer_methods_supported: ["header"],
    tls_client_certificate_bound_access_tokens: true,
    dpop_bound_access_tokens_required: false,
    dpop_signing_alg_values_supported: ["PS256", "ES256", "EdDSA", "Ed25519"],
  });
  expect(await document("/.well-known/oauth-authorization-server")).toMatchObject({
    dpop_signing_alg_values_supported: ["PS256", "ES256", "EdDSA", "Ed25519"],
  });
});
