import { Buffer } from "node:buffer";
import * as fc from "fast-check";
import { decodeJwt, exportJWK, SignJWT, type JWTPayload } from "jose";
import { test } from "vitest";
import type { PublicJwk } from "#identity/jose/jwk";
import type { TokenIssuer } from "#identity/ports";
import { parseScopes } from "#identity/scopes";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { tokenIssuer } from "#platform/keys/token-issuer";
import { tokenVerifier } from "#platform/keys/token-verifier";
import {
  at,
  fhirBase,
  newKey,
  now,
  presented,
  publicUrl,
  sign,
  type Key,
} from "../../support/credentials.ts";
import { noKeySets } from "../../support/key-sets.ts";

const key = await newKey("ES256", "token-1");
const audience = fhirBase("main");
const { x5t } = presented("telehealth");
const claims: JWTPayload = {
  iss: publicUrl,
  sub: "telehealth",
  client_id: "telehealth",
  aud: audience,
  exp: now + 300,
  iat: now,
  jti: "0123456789abcdef0123456789abcdef",
  scope: "system/*.rs",
  purpose_of_use: ["TREAT"],
  cnf: { "x5t#S256": x5t },
};

const none = { find: () => Promise.resolve(undefined) };

/** A verifier over these keys, as for a JWKS of several keys. */
function verifierOver(...keys: readonly PublicJwk[]) {
  const issuer: TokenIssuer = {
    lifetimeSeconds: 300,
    issue: () => Promise.reject(new Error("not here")),
    publicKeys: () => Promise.resolve(keys),
  };
  return tokenVerifier({ issuer: publicUrl, keys: issuer, issuers: none, keySets: noKeySets });
}
const verifier = verifierOver(key.jwk);
const verify = (token: string, when = at) => verifier.verify(new Secret(token), { audience, at: when });
const signed = (
  changes: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
  by: Key = key,
) => sign(by, { ...claims, ...changes }, { typ: "at+jwt", ...header });
const b64 = (value: unknown) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const good = await signed();

test("the verifier proves the issuer's signatures, by ES256 and by Ed25519, and the token lives five minutes", async ({
  expect,
}) => {
  for (const alg of ["ES256", "EdDSA"] as const) {
    const { privateKey } = await newKey(alg, "k");
    const issuer = tokenIssuer({
      issuer: publicUrl,
      key: new Secret(JSON.stringify(await exportJWK(privateKey))),
    });
    const scopes = parseScopes("system/*.rs");
    const content = {
      client: "telehealth",
      audience,
      scopes: scopes.ok ? scopes.value : [],
      purposes: ["TREAT", "COC"],
      binding: { kind: "certificate", x5t } as const,
      id: "jti-1",
      at,
    };
    const token = await issuer.issue(content);
    const read = await tokenVerifier({
      issuer: publicUrl,
      keys: issuer,
      issuers: none,
      keySets: noKeySets,
    }).verify(token, {
      audience,
      at,
    });
    expect(read).toMatchObject({
      ok: true,
      value: {
        client: "telehealth",
        subject: "telehealth",
        purposes: ["TREAT", "COC"],
        binding: { kind: "certificate", x5t },
        id: "jti-1",
      },
    });
    expect(decodeJwt(token.reveal())).toMatchObject({
      iat: now,
      exp: now + 300,
      aud: audience,
      scope: "system/*.rs",
    });
    expect(JSON.stringify(await issuer.publicKeys())).not.toContain('"d"');
  }
});

test("a signing key that is none is refused without showing any of it", ({ expect }) => {
  for (const text of [
    "canary-of-a-key",
    '{"kty":"oct","k":"canary-of-a-key"}',
    '{"kty":"EC","crv":"P-256","x":"canary-of-a-key"}',
  ]) {
    const open = () => tokenIssuer({ issuer: publicUrl, key: new Secret(text) });
    expect(open).toThrow("private JWK");
    expect(open).not.toThrow("canary");
  }
});

test.for([
  ["T5: a bearer token without a confirmation", "token_unbound", { cnf: undefined }],
  ["T5: an empty confirmation", "token_unbound", { cnf: {} }],
  ["T5: a confirmation that is no thumbprint", "token_unbound", { cnf: { "x5t#S256": "short" } }],
  [
    "T5: a second confirmation that nobody here can check",
    "binding_not_supported",
    { cnf: { "x5t#S256": x5t, jkt: x5t } },
  ],
  ["T9: no iss", "claim_malformed", { iss: undefined }],
  ["T9: no exp", "claim_malformed", { exp: undefined }],
  ["T9: no aud", "claim_malformed", { aud: undefined }],
  ["T9: no sub", "claim_malformed", { sub: undefined }],
  ["T9: no client_id", "claim_malformed", { client_id: undefined }],
  ["T9: no iat", "claim_malformed", { iat: undefined }],
  ["T9: no jti", "claim_malformed", { jti: undefined }],
  ["no scope", "claim_malformed", { scope: undefined }],
  ["no purpose", "claim_malformed", { purpose_of_use: [] }],
  [
    "a scope that this version cannot enforce",
    "claim_malformed",
    { scope: "system/Observation.rs?code:in=718-7" },
  ],
  ["T10: another issuer", "issuer_unknown", { iss: `${publicUrl}/` }],
  ["T11: another audience", "audience_mismatch", { aud: fhirBase("other") }],
  ["T11: an audience of which ours is a prefix", "audience_mismatch", { aud: `${audience}2` }],
  ["T12: expired a second ago", "token_expired", { exp: now - 1, iat: now - 300 }],
  ["T12: expiring now", "token_expired", { exp: now, iat: now - 300 }],
  ["T13: issued 61 seconds ahead", "token_not_yet_valid", { iat: now + 61, exp: now + 200 }],
  ["T13: valid 61 seconds ahead", "token_not_yet_valid", { nbf: now + 61 }],
  ["a life of more than five minutes", "token_lifetime_too_long", { exp: now + 301 }],
] as const)("%s is refused: %s", async ([, reason, changes], { expect }) => {
  expect(await verify(await signed(changes))).toMatchObject({ ok: false, error: { reason } });
});

test("T11, T13: an audience among several, and clocks nine seconds ahead, are taken", async ({ expect }) => {
  expect((await verify(await signed({ aud: ["https://elsewhere.example.org", audience] }))).ok).toBe(true);
  expect((await verify(await signed({ iat: now + 9, nbf: now + 9, exp: now + 300 }))).ok).toBe(true);
});

test("T12: the same token is good until its last moment and not after", async ({ expect }) => {
  expect((await verify(good, instant(at + 299_999))).ok).toBe(true);
  expect(await verify(good, instant(at + 300_000))).toMatchObject({ error: { reason: "token_expired" } });
});

test.for(["JWT", "jwt", undefined, "dpop+jwt", "at+jwt2", "client-authentication+jwt"])(
  "T8: typ %s is not an access token's",
  async (typ, { expect }) => {
    expect(await verify(await signed({}, { typ }))).toMatchObject({
      error: { reason: "token_type_invalid" },
    });
  },
);

test("T8: application/at+jwt is the same type", async ({ expect }) => {
  expect((await verify(await signed({}, { typ: "application/at+jwt" }))).ok).toBe(true);
});

test("T6: none, and a public key used as an HMAC secret, are refused before any key is looked at", async ({
  expect,
}) => {
  const [, payload = ""] = good.split(".");
  for (const alg of ["none", "None", "NONE", ""]) {
    expect(await verify(`${b64({ alg, typ: "at+jwt" })}.${payload}.AA`)).toMatchObject({
      error: { reason: "algorithm_not_allowed" },
    });
    expect(await verify(`${b64({ alg, typ: "at+jwt" })}.${payload}.`)).toMatchObject({
      error: { reason: "jws_malformed" },
    });
  }
  const hmac = await new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", typ: "at+jwt", kid: "token-1" })
    .sign(new TextEncoder().encode(JSON.stringify(key.jwk)));
  expect(await verify(hmac)).toMatchObject({ error: { reason: "algorithm_not_allowed" } });
});

test.for(["RS256", "PS384", "ES384", "RS384"] as const)(
  "T6: %s is no algorithm for access tokens, whoever signed",
  async (alg, { expect }) => {
    const pair = await crypto.subtle.generateKey(
      alg === "ES384"
        ? { name: "ECDSA", namedCurve: "P-384" }
        : {
            name: alg === "PS384" ? "RSA-PSS" : "RSASSA-PKCS1-v1_5",
            modulusLength: 2048,
            publicExponent: new Uint8Array([1, 0, 1]),
            hash: alg === "RS256" ? "SHA-256" : "SHA-384",
          },
      true,
      ["sign", "verify"],
    );
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg, typ: "at+jwt", kid: "token-1" })
      .sign((pair as CryptoKeyPair).privateKey); // an asymmetric algorithm makes a pair
    expect(await verify(token)).toMatchObject({ error: { reason: "algorithm_not_allowed" } });
  },
);

test("T6: PS256 is taken from a key of its kind", async ({ expect }) => {
  const rsa = await newKey("PS256", "rsa");
  expect(
    (await verifierOver(rsa.jwk).verify(new Secret(await signed({}, {}, rsa)), { audience, at })).ok,
  ).toBe(true);
});

test("T7: an RSA key of 1024 bits proves nothing, also when it got into the key set", async ({ expect }) => {
  const pair = (await crypto.subtle.generateKey(
    { name: "RSA-PSS", modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" },
    true,
    ["sign", "verify"],
  )) as CryptoKeyPair; // RSA makes a pair
  // the format that was asked for
  const { n = "", e = "" } = (await crypto.subtle.exportKey("jwk", pair.publicKey)) as JsonWebKey;
  const input = `${b64({ alg: "PS256", typ: "at+jwt", kid: "weak" })}.${b64(claims)}`;
  const signature = await crypto.subtle.sign(
    { name: "RSA-PSS", saltLength: 32 },
    pair.privateKey,
    new TextEncoder().encode(input),
  );
  const token = `${input}.${Buffer.from(signature).toString("base64url")}`;
  expect(
    await verifierOver({ kty: "RSA", n, e, kid: "weak" }).verify(new Secret(token), { audience, at }),
  ).toMatchObject({
    error: { reason: "signature_invalid" },
  });
});

test("T10: a good token by another trusted server's key is refused", async ({ expect }) => {
  const other = await newKey("ES256", "token-1");
  expect(await verify(await signed({}, {}, other))).toMatchObject({ error: { reason: "signature_invalid" } });
  expect(await verify(await signed({}, { kid: "unheard-of" }))).toMatchObject({
    error: { reason: "key_unknown" },
  });
});

test("T14: among all texts that a lenient reader takes for the same token, only the canonical text is accepted", async ({
  expect,
}) => {
  const [header = "", payload = "", signature = ""] = good.split(".");
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = signature.at(-1) ?? "";
  const stray = alphabet[alphabet.indexOf(last) | 1] ?? ""; // 86 characters: the last four bits are unused
  expect(stray).not.toBe(last);
  const forms = [
    `${good}=`,
    `${good}==`,
    `${good}\n`,
    ` ${good}`,
    `${good} `,
    `${header}.${payload}.${signature.slice(0, -1)}${stray}`,
    `${header}.${payload} .${signature}`,
    `${header}=.${payload}.${signature}`,
    `${header}.${payload}.${signature}.`,
    `${header}.${payload}.${signature}.AA`,
    `${header}.${payload}`,
    `${header}..${signature}`,
    good
      .replaceAll("-", "+")
      .replaceAll("_", "/")
      .replace(/\.(?=[^.]*$)/u, ".+"),
  ];
  for (const form of forms)
    expect(await verify(form), form.slice(-8)).toMatchObject({ error: { reason: "jws_malformed" } });
  expect((await verify(good)).ok).toBe(true);
});

test("T15: a key that comes in the header is never used, nor is an address fetched", async ({ expect }) => {
  const attacker = await newKey("ES256", "token-1");
  const headers = [
    { jwk: attacker.jwk },
    { jku: "https://attacker.example.org/jwks" },
    { x5u: "https://attacker.example.org/cert" },
    { x5c: ["AAAA"] },
    { jwk: attacker.jwk, kid: "attacker" },
  ];
  for (const header of headers) expect((await verify(await signed({}, header, attacker))).ok).toBe(false);
  expect(
    (await verify(await signed({}, { jwk: attacker.jwk }))).ok,
    "signed by our key, the header's is ignored",
  ).toBe(true);
});

test("T16: a critical header is refused, known to the library or not", async ({ expect }) => {
  const [, payload = "", signature = ""] = good.split(".");
  for (const header of [
    { crit: ["exp"], exp: 1 },
    { crit: [] },
    { crit: ["b64"], b64: true },
    { crit: "b64" },
  ]) {
    const token = `${b64({ alg: "ES256", typ: "at+jwt", kid: "token-1", ...header })}.${payload}.${signature}`;
    expect(await verify(token)).toMatchObject({ error: { reason: "critical_header_not_supported" } });
  }
  expect(await verify(await signed({}, { crit: ["b64"], b64: true }))).toMatchObject({
    error: { reason: "critical_header_not_supported" },
  });
});

test("T17: keys with the same kid are distinguished by type and algorithm", async ({ expect }) => {
  const [rsa, okp] = [await newKey("PS256", "token-1"), await newKey("EdDSA", "token-1")];
  const several = verifierOver(rsa.jwk, okp.jwk, key.jwk);
  for (const by of [rsa, okp, key])
    expect((await several.verify(new Secret(await signed({}, {}, by)), { audience, at })).ok, by.alg).toBe(
      true,
    );
  const encrypting = verifierOver({ ...key.jwk, alg: "ES384" });
  expect(await encrypting.verify(new Secret(good), { audience, at })).toMatchObject({
    error: { reason: "key_unknown" },
  });
});

test("2,000 malformed tokens: none is accepted and none throws", async ({ expect }) => {
  const [header = "", payload = "", signature = ""] = good.split(".");
  const flipped = fc
    .tuple(fc.nat(good.length - 1), fc.constantFrom(..."ABCxyz019-_=. +/\u00e9\u0000".split("")))
    .map(([i, c]) => good.slice(0, i) + c + good.slice(i + 1));
  const part = fc.oneof(
    fc.constantFrom(header, payload, signature, "", "e30", b64("null"), b64("[]"), b64('{"alg":')),
    fc.string(),
    fc.base64String(),
  );
  const json = fc.jsonValue({ maxDepth: 2 }).map(b64);
  const changed = fc
    .record({ name: fc.constantFrom(...Object.keys(claims)), value: fc.jsonValue({ maxDepth: 2 }) })
    .map(({ name, value }) => `${header}.${b64({ ...claims, [name]: value })}.${signature}`);
  const token = fc.oneof(
    flipped,
    fc.tuple(part, part, part).map((parts) => parts.join(".")),
    fc.tuple(json, json, json).map((parts) => parts.join(".")),
    changed,
    fc.string(),
  );
  await fc.assert(
    fc.asyncProperty(token, async (text) => {
      fc.pre(text !== good);
      expect((await verify(text)).ok).toBe(false);
    }),
    { numRuns: 2_000 },
  );
});

test("2,000 tokens of odd claims under a good signature: none throws, and an accepted token has all required claims", async ({
  expect,
}) => {
  const odd = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom(
      now,
      now + 300,
      now - 1,
      "",
      audience,
      publicUrl,
      [audience],
      { "x5t#S256": x5t },
      Number.MAX_VALUE,
      -1,
    ),
  );
  const names = fc.uniqueArray(fc.constantFrom(...Object.keys(claims)), { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(
      names.chain((some) => fc.record(Object.fromEntries(some.map((name) => [name, odd])))),
      async (changes) => {
        const token = await signed(changes);
        const read = await verify(token);
        if (!read.ok) return;
        expect(read.value).toMatchObject({ issuer: publicUrl, binding: { kind: "certificate", x5t } });
        expect(read.value.expires).toBeGreaterThan(at);
        expect([decodeJwt(token).aud].flat()).toContain(audience);
      },
    ),
    { numRuns: 2_000 },
  );
});
