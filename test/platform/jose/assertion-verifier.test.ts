import * as fc from "fast-check";
import type { JWTPayload } from "jose";
import { test } from "vitest";
import type { AssertionProfile } from "#identity/assertion";
import { Secret } from "#kernel/secret";
import { assertionVerifier } from "#platform/keys/assertion-verifier";
import {
  at,
  clientRecord,
  newKey,
  now,
  publicUrl,
  sign,
  tokenEndpoint,
  type Key,
} from "../../support/credentials.ts";
import { noKeySets } from "../../support/key-sets.ts";

const verifier = assertionVerifier({ issuer: publicUrl, tokenEndpoint }, noKeySets);
const keys = {
  ES256: await newKey("ES256", "c"),
  PS256: await newKey("PS256", "c"),
  EdDSA: await newKey("EdDSA", "c"),
  RS384: await newKey("RS384", "c"),
  ES384: await newKey("ES384", "c"),
};
const claims: JWTPayload = {
  iss: "telehealth",
  sub: "telehealth",
  aud: publicUrl,
  jti: "once",
  exp: now + 60,
  iat: now,
};
const verify = (assertion: string, profile: AssertionProfile = "fapi2") =>
  verifier.verify(
    new Secret(assertion),
    clientRecord(Object.values(keys), { assertionProfile: profile }),
    at,
  );
const signed = (changes: Readonly<Record<string, unknown>> = {}, key: Key = keys.ES256, header = {}) =>
  sign(key, { ...claims, ...changes }, header);

test.for([
  ["ES256", true, true],
  ["PS256", true, true],
  ["EdDSA", true, true],
  ["RS384", false, true],
  ["ES384", false, true],
] as const)("%s: fapi2 takes it: %s, smart takes it: %s", async ([alg, fapi2, smart], { expect }) => {
  const assertion = await signed({}, keys[alg]);
  expect((await verify(assertion, "fapi2")).ok).toBe(fapi2);
  expect((await verify(assertion, "smart")).ok).toBe(smart);
});

test.for([
  ["another issuer than the client", "assertion_subject_mismatch", { iss: "payer" }],
  ["another subject than the client", "assertion_subject_mismatch", { sub: "payer" }],
  ["the token endpoint as audience", "assertion_audience_mismatch", { aud: tokenEndpoint }],
  ["an array with the issuer as audience", "assertion_audience_mismatch", { aud: [publicUrl] }],
  ["another server as audience", "assertion_audience_mismatch", { aud: "https://elsewhere.example.org" }],
  ["several audiences", "claim_malformed", { aud: [publicUrl, "https://elsewhere.example.org"] }],
  ["expiring now", "assertion_expired", { exp: now }],
  ["living 61 seconds", "assertion_lifetime_too_long", { exp: now + 61 }],
  [
    "living 61 seconds, without saying since when",
    "assertion_lifetime_too_long",
    { iat: undefined, exp: now + 61 },
  ],
  ["made 11 seconds ahead", "assertion_not_yet_valid", { iat: now + 11, exp: now + 60 }],
  ["not valid yet", "assertion_not_yet_valid", { nbf: now + 61 }],
  ["no jti", "claim_malformed", { jti: undefined }],
  ["an empty jti", "claim_malformed", { jti: "" }],
  ["no exp", "claim_malformed", { exp: undefined }],
] as const)("fapi2: %s is refused: %s", async ([, reason, changes], { expect }) => {
  expect(await verify(await signed(changes))).toMatchObject({ ok: false, error: { reason } });
});

test("smart: issuer or token endpoint as audience, and five minutes of life", async ({ expect }) => {
  for (const aud of [publicUrl, tokenEndpoint, [tokenEndpoint]])
    expect((await verify(await signed({ aud, exp: now + 300 }), "smart")).ok).toBe(true);
  expect(await verify(await signed({ exp: now + 301 }), "smart")).toMatchObject({
    error: { reason: "assertion_lifetime_too_long" },
  });
  expect(await verify(await signed({ aud: `${tokenEndpoint}/` }), "smart")).toMatchObject({
    error: { reason: "assertion_audience_mismatch" },
  });
});

test("an end between two milliseconds is stored as a whole number, never earlier: the memory of used assertions accepts only whole numbers", async ({
  expect,
}) => {
  const read = await verify(await signed({ exp: now + 59.00042 }));
  expect(read).toMatchObject({ ok: true, value: { expires: (now + 59) * 1_000 + 1 } });
});

test("an access token is no assertion, and a key that the client did not register proves nothing", async ({
  expect,
}) => {
  expect(await verify(await signed({}, keys.ES256, { typ: "at+jwt" }))).toMatchObject({
    error: { reason: "assertion_type_invalid" },
  });
  expect((await verify(await signed({}, keys.ES256, { typ: "client-authentication+jwt" }))).ok).toBe(true);
  const stranger = await newKey("ES256", "c");
  expect(await verify(await signed({}, stranger, { jwk: stranger.jwk }))).toMatchObject({
    error: { reason: "signature_invalid" },
  });
});

test("2,000 malformed assertions: none is accepted and none throws", async ({ expect }) => {
  const good = await signed();
  const odd = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom(now, now + 61, now - 1, "", tokenEndpoint, "payer"),
  );
  const required = fc.constantFrom("iss", "sub", "aud", "jti", "exp");
  const flipped = fc
    .tuple(fc.nat(good.length - 1), fc.constantFrom(..."Aa0-_=. \u00e9".split("")))
    .map(([i, c]) => good.slice(0, i) + c + good.slice(i + 1))
    .filter((text) => text !== good);
  await fc.assert(
    fc.asyncProperty(fc.oneof(flipped, fc.string()), async (text) => {
      expect((await verify(text)).ok).toBe(false);
    }),
    { numRuns: 1_000 },
  );
  await fc.assert(
    fc.asyncProperty(required, odd, async (name, value) => {
      const read = await verify(await signed({ [name]: value }));
      // An assertion that still passes has the same content, except for a new id or a near enough end.
      if (read.ok) expect(name === "jti" || name === "exp" || value === claims[name]).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});
