import { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import { calculateThumbprint, generateKeyPair, generateProof, type KeyPair } from "dpop";
import { exportJWK, generateKeyPair as joseKeyPair, SignJWT, type JWK } from "jose";
import { test } from "vitest";
import type { ProofExpectation } from "#identity/proof";
import { epochSeconds, instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { proofVerifier } from "#platform/keys/proof-verifier";

const nonceKey = new Secret(new Uint8Array(randomBytes(32)));
const verifier = proofVerifier([nonceKey]);
const at = instant(Date.now());
const now = epochSeconds(at);
const url = "https://gateway.example.org/v1/fhir/main/Patient/p1";
const token = "the-access-token";
const ath = createHash("sha256").update(token).digest("base64url");

const keys = await generateKeyPair("ES256", { extractable: true });
const jkt = await calculateThumbprint(keys.publicKey);
const jwk = publicOf(await exportJWK(keys.publicKey));
const expected: ProofExpectation = { method: "GET", url, at, token: { text: new Secret(token), jkt } };
const verify = (proof: string | undefined, changes: Partial<ProofExpectation> = {}) =>
  verifier.verify(proof === undefined ? undefined : new Secret(proof), { ...expected, ...changes });

const claims = { jti: "proof-1", htm: "GET", htu: url, iat: now, ath, nonce: verifier.nonce(jkt, at) };

/** A proof with changes that the library would not make; `undefined` removes a member. */
async function proof(
  changes: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
  by: KeyPair = keys,
) {
  return await new SignJWT({ ...claims, ...changes })
    .setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk, ...header })
    .sign(by.privateKey, { crit: { b64: true } });
}

function publicOf({ kty, crv, x, y, n, e }: JWK): JWK {
  return Object.fromEntries(
    Object.entries({ kty, crv, x, y, n, e }).filter(([, value]) => value !== undefined),
  );
}

test.for(["ES256", "Ed25519", "PS256"] as const)(
  "a proof that an unmodified client makes with %s is proven, and named by its key",
  async (alg, { expect }) => {
    const pair = await generateKeyPair(alg);
    const thumbprint = await calculateThumbprint(pair.publicKey);
    const made = await generateProof(pair, url, "GET", verifier.nonce(thumbprint, at), token);
    const read = await verify(made, { token: { text: new Secret(token), jkt: thumbprint } });
    expect(read).toEqual({
      ok: true,
      value: { jkt: thumbprint, id: expect.stringMatching(/^[0-9a-f-]{36}$/u), made: expect.any(Number) },
    });
  },
);

test("at the token endpoint there is no token yet: ath is not asked for, and any key may come", async ({
  expect,
}) => {
  const endpoint = "https://gateway.example.org/oauth/token";
  const made = await generateProof(keys, endpoint, "POST", verifier.nonce(jkt, at));
  expect(await verify(made, { method: "POST", url: endpoint, token: undefined })).toMatchObject({
    ok: true,
    value: { jkt },
  });
});

test("T7, T26: the embedded key is public: with its private part, or symmetric, it is refused", async ({
  expect,
}) => {
  const secret = await exportJWK(keys.privateKey);
  for (const bad of [
    secret,
    { kty: "oct", k: "c2VjcmV0" },
    "jwk",
    undefined,
    { ...jwk, x: undefined },
    { ...jwk, crv: "P-521" },
  ]) {
    expect(await verify(await proof({}, { jwk: bad }))).toMatchObject({
      ok: false,
      error: { reason: "proof_key_unusable" },
    });
  }
  const rsa = {
    name: "RSA-PSS",
    modulusLength: 1024,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: "SHA-256",
  };
  // RSA makes a pair
  const pair = (await crypto.subtle.generateKey(rsa, true, ["sign", "verify"])) as CryptoKeyPair;
  const weak = publicOf(await exportJWK(pair.publicKey));
  expect(await verify(await proof({}, { jwk: weak })), "T7").toMatchObject({
    ok: false,
    error: { reason: "proof_key_unusable" },
  });
  const small = await joseKeyPair("ES384", { extractable: true });
  expect(await verify(await proof({}, { jwk: publicOf(await exportJWK(small.publicKey)) }))).toMatchObject({
    ok: false,
    error: { reason: "proof_key_mismatch" },
  });
});

test.for([
  [
    "T26: another type: an access token, or any other JWT of the client, is no proof",
    "proof_type_invalid",
    {},
    { typ: "at+jwt" },
  ],
  ["T26: no type", "proof_type_invalid", {}, { typ: undefined }],
  [
    "T16: an extension that must be understood",
    "proof_critical_header_not_supported",
    {},
    { crit: ["b64"], b64: true },
  ],
  ["T27: another method", "proof_method_mismatch", { htm: "POST" }, {}],
  ["T27: the method in another case", "proof_method_mismatch", { htm: "get" }, {}],
  ["T27: another host", "proof_url_mismatch", { htu: url.replace("gateway", "evil") }, {}],
  [
    "T27: the address that the worker listens on",
    "proof_url_mismatch",
    { htu: url.replace("https://gateway.example.org", "http://127.0.0.1:8787") },
    {},
  ],
  ["T27: another path", "proof_url_mismatch", { htu: `${url}2` }, {}],
  [
    "T28: the hash of another token",
    "proof_token_mismatch",
    { ath: createHash("sha256").update("other").digest("base64url") },
    {},
  ],
  ["T28: no hash of the token", "proof_token_mismatch", { ath: undefined }, {}],
  ["T31: 61 seconds old", "proof_expired", { iat: now - 61 }, {}],
  ["T31: past its own end", "proof_expired", { exp: now }, {}],
  ["T13: from the future", "proof_not_yet_valid", { iat: now + 61 }, {}],
  ["T13: not valid yet by its own word", "proof_not_yet_valid", { nbf: now + 61 }, {}],
  ["a proof without a jti could not be told from its copy", "proof_malformed", { jti: undefined }, {}],
  ["an endless jti", "proof_malformed", { jti: "x".repeat(257) }, {}],
  ["an iat that is no number", "proof_malformed", { iat: String(now) }, {}],
  ["T33: without a nonce", "proof_nonce_missing", { nonce: undefined }, {}],
  [
    "T33: a nonce of two minutes ago",
    "proof_nonce_expired",
    { nonce: verifier.nonce(jkt, instant(at - 120_000)) },
    {},
  ],
  ["T33: another key's nonce", "proof_nonce_expired", { nonce: verifier.nonce("other", at) }, {}],
] as const)("%s is refused", async ([, reason, changes, header], { expect }) => {
  expect(await verify(await proof(changes, header))).toMatchObject({ ok: false, error: { reason } });
});

test("a nonce of the old key counts while the key changes, new nonces are the new key's, and no longer after the last step", async ({
  expect,
}) => {
  const next = new Secret(new Uint8Array(randomBytes(32)));
  const made = await proof();
  const asked = (keys: Parameters<typeof proofVerifier>[0], text: string) =>
    proofVerifier(keys).verify(new Secret(text), expected);
  const [ready, changed, done] = [[nonceKey, next], [next, nonceKey], [next]] as const;
  for (const keys of [ready, changed]) expect(await asked(keys, made)).toMatchObject({ ok: true });
  expect(await asked(done, made)).toMatchObject({ error: { reason: "proof_nonce_expired" } });
  const later = await proof({ nonce: proofVerifier(changed).nonce(jkt, at) });
  // an isolate that is still at the first step accepts the nonces of an isolate at the second
  for (const keys of [ready, changed, done]) expect(await asked(keys, later)).toMatchObject({ ok: true });
});

test("T33: a refusal for a missing nonce includes a nonce, and with it the same client succeeds", async ({
  expect,
}) => {
  for (const nonce of [undefined, "long-ago"]) {
    const refused = await verify(await proof({ nonce }));
    const given = !refused.ok && "nonce" in refused.error ? refused.error.nonce : undefined;
    expect(given).toMatch(/^[A-Za-z0-9_-]{43}$/u);
    expect(await verify(await proof({ nonce: given }))).toMatchObject({ ok: true });
  }
});

test.for([
  ["T27: a query and a fragment in htu are not looked at", { htu: `${url}?_count=1#x` }],
  [
    "T27: scheme, host and port in another spelling",
    { htu: url.replace("https://gateway.example.org", "HTTPS://Gateway.Example.ORG:443") },
  ],
  ["T27: needless percent encoding", { htu: url.replace("Patient", "%50atient") }],
  ["T31: a minute old", { iat: now - 60 }],
  ["T13: nine seconds ahead", { iat: now + 9 }],
  ["members that nobody knows", { note: "ignored" }],
] as const)("%s, and the proof holds", async ([, changes], { expect }) => {
  expect(await verify(await proof(changes))).toMatchObject({ ok: true });
});

test("T27: the requested URI counts with its own spelling too", async ({ expect }) => {
  expect(await verify(await proof(), { url: url.replace("Patient", "%50atient") })).toMatchObject({
    ok: true,
  });
  expect(await verify(await proof(), { url: `${url}/` })).toMatchObject({ ok: false });
});

test("T29: a proof by another key than the token is bound to", async ({ expect }) => {
  const other = await generateKeyPair("ES256", { extractable: true });
  const theirs = publicOf(await exportJWK(other.publicKey));
  const nonce = verifier.nonce(await calculateThumbprint(other.publicKey), at);
  expect(await verify(await proof({ nonce }, { jwk: theirs }, other))).toMatchObject({
    ok: false,
    error: { reason: "proof_key_mismatch" },
  });
  // The right key is shown, but a different key signed.
  expect(await verify(await proof({}, {}, other))).toMatchObject({
    ok: false,
    error: { reason: "proof_signature_invalid" },
  });
});

test("T6: algorithms: none, symmetric algorithms and algorithms that FAPI excludes are refused", async ({
  expect,
}) => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  for (const alg of ["none", "HS256", "RS256", "ES384", "es256", "", 7, undefined]) {
    const [, body] = (await proof()).split(".");
    const forged = `${part({ alg, typ: "dpop+jwt", jwk })}.${body}.${part("signature")}`;
    expect(await verify(forged), String(alg)).toMatchObject({
      ok: false,
      error: { reason: "proof_algorithm_not_allowed" },
    });
  }
  const edwards = await generateKeyPair("Ed25519", { extractable: true });
  const thumbprint = await calculateThumbprint(edwards.publicKey);
  const header = { alg: "EdDSA", jwk: publicOf(await exportJWK(edwards.publicKey)) };
  const made = await proof({ nonce: verifier.nonce(thumbprint, at) }, header, edwards);
  expect(await verify(made, { token: { text: new Secret(token), jkt: thumbprint } })).toMatchObject({
    ok: true,
  }); // Ed25519 by its old name
});

test("T4, T14: a missing proof, two in one header, alternative spellings, oversize and repeated members are refused before any verification", async ({
  expect,
}) => {
  const good = await proof();
  const [header = "", body = "", signature = ""] = good.split(".");
  const twice = Buffer.from(`{"htm":"POST",${Buffer.from(body, "base64url").toString().slice(1)}`).toString(
    "base64url",
  );
  for (const bad of [
    `${good}, ${good}`,
    `${good}=`,
    ` ${good}`,
    `${good}\n`,
    `${header}.${body}`,
    `${header}.${body}.${signature}.`,
    `${header}.${twice}.${signature}`,
    `${header}.${body}..${signature}`,
    "",
    `${header}.${"A".repeat(9_000)}.${signature}`,
  ]) {
    expect(await verify(bad)).toMatchObject({ ok: false, error: { reason: "proof_malformed" } });
  }
  expect(await verify(undefined)).toMatchObject({ ok: false, error: { reason: "proof_missing" } });
});
