import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { exportJWK, generateKeyPair } from "jose";
import { test } from "vitest";
import { publicJwk, publicJwks } from "#identity/jose/jwk";
import { Misfit } from "#kernel/value-shape";

const taken = (jwk: unknown) => !(publicJwk(jwk) instanceof Misfit);

test("T7: an RSA key below 2048 bits is refused, and so is a key padded with zeros to look longer", async ({
  expect,
}) => {
  const rsa = (bits: number) =>
    generateKeyPairSync("rsa", { modulusLength: bits }).publicKey.export({ format: "jwk" });
  expect(taken(rsa(2048))).toBe(true);
  const small = rsa(1024);
  expect(taken(small)).toBe(false);
  const padded = Buffer.concat([Buffer.alloc(128), Buffer.from(small.n ?? "", "base64url")]).toString(
    "base64url",
  );
  expect(
    createPublicKey({ key: { ...small, n: padded }, format: "jwk" }).asymmetricKeyDetails?.modulusLength,
  ).toBe(1024); // lenient decoders read it so
  expect(taken({ ...small, n: padded })).toBe(false);
});

test("a key has only one spelling: an RSA exponent with leading zeros would give a key several thumbprints", ({
  expect,
}) => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "jwk" });
  expect(rsa.e).toBe("AQAB");
  for (const zeros of [1, 2, 3]) {
    const padded = Buffer.concat([Buffer.alloc(zeros), Buffer.from("AQAB", "base64url")]).toString(
      "base64url",
    );
    const others = createPublicKey({ key: { ...rsa, e: padded }, format: "jwk" });
    expect(others.asymmetricKeyDetails?.publicExponent, "lenient decoders read it so").toBe(65_537n);
    expect(taken({ ...rsa, e: padded })).toBe(false);
  }
});

test("a key has only one spelling: stray bits in the last character, a short coordinate and a private member are refused", async ({
  expect,
}) => {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(publicKey);
  expect(taken(jwk)).toBe(true);
  const last = jwk.x?.at(-1) ?? "";
  // the 43rd character carries two unused bits, zero here
  const next = String.fromCharCode(last.charCodeAt(0) + 1);
  expect(taken({ ...jwk, x: `${jwk.x?.slice(0, -1)}${next}` })).toBe(false);
  expect(taken({ ...jwk, x: jwk.x?.slice(0, 42) })).toBe(false);
  expect(taken(await exportJWK(privateKey))).toBe(false);
});

test("a key set is accepted as issuers publish it: unknown members are ignored, keys for a different use are left out, and private keys are refused", async ({
  expect,
}) => {
  const make = async (alg: string) =>
    exportJWK((await generateKeyPair(alg, { extractable: true })).publicKey);
  const [es256, rs256, encrypts] = [await make("ES256"), await make("RS256"), await make("ECDH-ES")];
  const published = [
    { ...es256, kid: "a", alg: "ES256", use: "sig", x5c: ["MIIB"], x5t: "thumb", nbf: 1 },
    { ...rs256, kid: "b", alg: "RS256", use: "sig" },
    { ...encrypts, kid: "c", use: "enc" },
  ];
  const [kept] = [{ ...es256, kid: "a", alg: "ES256", use: "sig" }];
  expect(publicJwks({ keys: published, revoked: [] })).toEqual({ keys: [kept] });
  expect(publicJwks({ keys: published.slice(1) })).toBeInstanceOf(Misfit);
  expect(publicJwks({ keys: [...published, { ...es256, d: "AA" }] })).toMatchObject({
    path: ["keys", 3, "d"],
    problem: expect.stringContaining("private key"),
  });
  expect(publicJwks({ keys: [...published, { kty: "oct", k: "AA" }] })).toMatchObject({
    path: ["keys", 3, "kty"],
  });
  expect(publicJwks({ keys: [{ ...es256, x: "AA" }] })).toMatchObject({ path: ["keys", 0] });
});
