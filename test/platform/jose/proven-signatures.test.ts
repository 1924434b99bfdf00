import { test } from "vitest";
import type { PublicJwk } from "#identity/jose/jwk";
import type { TokenIssuer } from "#identity/ports";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { provenSignatures } from "#platform/keys/proven-signatures";
import { tokenVerifier } from "#platform/keys/token-verifier";
import { isSignedBy } from "#platform/keys/verify-signature";
import { at, fhirBase, newKey, publicUrl, sign, telehealthClaims } from "../../support/credentials.ts";
import { noKeySets } from "../../support/key-sets.ts";

const key = await newKey("ES256", "k1");
const namesake = await newKey("ES256", "k1");
const claims = telehealthClaims();
const token = await sign(key, claims, { typ: "at+jwt" });

test("a good signature is checked once; a wrong signature, or a signature by a different key of the same name, is checked each time", async ({
  expect,
}) => {
  let checks = 0;
  const isSigned = provenSignatures((...asked) => {
    checks += 1;
    return isSignedBy(...asked);
  });
  for (let i = 0; i < 3; i++) expect(await isSigned(token, key.jwk, "ES256")).toBe(true);
  expect(checks).toBe(1);
  for (let i = 0; i < 3; i++) expect(await isSigned(token, namesake.jwk, "ES256")).toBe(false);
  expect(checks).toBe(4);
  // All places but the last character, of which libraries ignore some bits: the strict reader before this
  // check accepts only a single form.
  for (let place = 0; place < token.length - 1; place++) {
    const other = token.slice(0, place) + (token[place] === "A" ? "E" : "A") + token.slice(place + 1);
    expect(await isSigned(other, key.jwk, "ES256"), String(place)).toBe(false);
  }
});

test("no more than 4,096 are remembered, the newest", async ({ expect }) => {
  let checks = 0;
  const isSigned = provenSignatures(() => Promise.resolve((checks += 1) > 0));
  for (let i = 0; i <= 4_096; i++) await isSigned(String(i), key.jwk, "ES256");
  expect(checks).toBe(4_097);
  await isSigned("4096", key.jwk, "ES256");
  await isSigned("1", key.jwk, "ES256");
  expect(checks).toBe(4_097);
  await isSigned("0", key.jwk, "ES256");
  expect(checks).toBe(4_098);
});

test("a token that was proven is refused as soon as its key is not its issuer's any longer, or it is over, or meant for another place", async ({
  expect,
}) => {
  let keys: readonly PublicJwk[] = [key.jwk];
  const issuer: TokenIssuer = {
    lifetimeSeconds: 300,
    issue: () => Promise.reject(new Error("not here")),
    publicKeys: () => Promise.resolve(keys),
  };
  const none = { find: () => Promise.resolve(undefined) };
  const verifier = tokenVerifier({ issuer: publicUrl, keys: issuer, issuers: none, keySets: noKeySets });
  const verify = async (when = at, audience = fhirBase("main")) => {
    const read = await verifier.verify(new Secret(token), { audience, at: when });
    return read.ok ? "proven" : read.error.reason;
  };
  for (let i = 0; i < 2; i++) expect(await verify()).toBe("proven");
  expect(await verify(instant(at + 300_000))).toBe("token_expired");
  expect(await verify(at, fhirBase("other"))).toBe("audience_mismatch");
  keys = [namesake.jwk];
  expect(await verify()).toBe("signature_invalid");
  keys = [];
  expect(await verify()).toBe("key_unknown");
  keys = [key.jwk];
  expect(await verify()).toBe("proven");
});
