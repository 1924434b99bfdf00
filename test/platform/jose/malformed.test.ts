import { createHash, randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { test } from "vitest";
import type { TokenIssuer } from "#identity/ports";
import { thumbprint } from "#identity/jose/thumbprint";
import { Secret } from "#kernel/secret";
import { proofVerifier } from "#platform/keys/proof-verifier";
import { tokenVerifier } from "#platform/keys/token-verifier";
import { at, fhirBase, newKey, now, publicUrl, sign, telehealthClaims } from "../../support/credentials.ts";
import { mangled } from "../../support/mangled.ts";
import { noKeySets } from "../../support/key-sets.ts";

const runs = 2_500; // four properties: 10,000 malformed credentials

const issuerKey = await newKey("ES256", "token-1");
const keys: TokenIssuer = {
  lifetimeSeconds: 300,
  issue: () => Promise.reject(new Error("not here")),
  publicKeys: () => Promise.resolve([issuerKey.jwk]),
};
const tokens = tokenVerifier({
  issuer: publicUrl,
  keys,
  issuers: { find: () => Promise.resolve(undefined) },
  keySets: noKeySets,
});
const tokenClaims = telehealthClaims();
const tokenHeader = { typ: "at+jwt" };
const token = await sign(issuerKey, tokenClaims, tokenHeader);
const tokenTaken = async (text: string) =>
  (await tokens.verify(new Secret(text), { audience: fhirBase("main"), at })).ok;

const proofs = proofVerifier([new Secret(new Uint8Array(randomBytes(32)))]);
const proofKey = await newKey("ES256", "ignored");
const { kid: _, ...jwk } = proofKey.jwk;
const jkt = await thumbprint(proofKey.jwk);
const url = `${fhirBase("main")}/Patient/p1`;
const proofClaims = {
  jti: "proof-1",
  htm: "GET",
  htu: url,
  iat: now,
  ath: createHash("sha256").update(token).digest("base64url"),
  nonce: proofs.nonce(jkt, at),
};
const proofHeader = { typ: "dpop+jwt", jwk };
const proof = await sign(proofKey, proofClaims, proofHeader);
const proofTaken = async (text: string) =>
  (await proofs.verify(new Secret(text), { method: "GET", url, at, token: { text: new Secret(token), jkt } }))
    .ok;

/**
 * Claims and header with one member replaced by an invalid value, and the true key's signature over them.
 */
type Members = Readonly<Record<string, unknown>>;
function spoilt(claims: Members, header: Members, vital: readonly string[]) {
  const value = fc.oneof(
    fc.constant(undefined),
    fc.jsonValue(),
    fc.string({ unit: "binary", maxLength: 50 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  );
  return fc
    .tuple(fc.constantFrom(...vital), value)
    .filter(([name, wrong]) => name !== "purpose_of_use" || !arePurposes(wrong))
    .map(([name, wrong]) => {
      const spoil = (members: Members): Members =>
        name in members ? { ...members, [name]: wrong } : members;
      return { claims: spoil(claims), header: spoil(header) };
    });
}

/** True for a list of well-formed purposes, such as ["AA"]. Chance makes such a list once in a million runs. */
const arePurposes = (value: unknown) =>
  Array.isArray(value) && value.length > 0 && value.every((one) => /^[A-Z]{2,16}$/u.test(String(one)));

test("mangled tokens are refused, and none throws", { timeout: 60_000 }, async ({ expect }) => {
  expect(await tokenTaken(token)).toBe(true);
  await fc.assert(
    fc.asyncProperty(mangled(token), async (text) => !(await tokenTaken(text))),
    { numRuns: runs },
  );
});

test(
  "tokens that the true key signed over a spoilt member are refused, and none throws",
  { timeout: 60_000 },
  async () => {
    // A different client's id or a different jti is not malformed: these two stay.
    const vital = ["iss", "aud", "exp", "iat", "scope", "purpose_of_use", "cnf", "typ"];
    await fc.assert(
      fc.asyncProperty(
        spoilt(tokenClaims, tokenHeader, vital),
        async ({ claims, header }) => !(await tokenTaken(await sign(issuerKey, claims, header))),
      ),
      { numRuns: runs },
    );
  },
);

test("mangled proofs are refused, and none throws", { timeout: 60_000 }, async ({ expect }) => {
  expect(await proofTaken(proof)).toBe(true);
  await fc.assert(
    fc.asyncProperty(mangled(proof), async (text) => !(await proofTaken(text))),
    { numRuns: runs },
  );
});

test(
  "proofs that the true key signed over a spoilt member are refused, and none throws",
  { timeout: 60_000 },
  async () => {
    const vital = ["htm", "htu", "iat", "ath", "nonce", "typ", "jwk"];
    await fc.assert(
      fc.asyncProperty(
        spoilt(proofClaims, proofHeader, vital),
        async ({ claims, header }) => !(await proofTaken(await sign(proofKey, claims, header))),
      ),
      { numRuns: runs },
    );
  },
);
