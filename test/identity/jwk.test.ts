import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { exportJWK, generateKeyPair } from "jose";
import { test } from "vitest";
import { publicJwk } from "#identity/jwk";

const taken = (jwk: unknown) => publicJwk.safeParse(jwk).success;

test("T7: an RSA key below 2048 bits is no key, nor one that is padded with zeros to look longer", async ({ expect }) => {
  const rsa = (bits: number) => generateKeyPairSync("rsa", { modulusLength: bits }).publicKey.export({ format: "jwk" });
  expect(taken(rsa(2048))).toBe(true);
  const small = rsa(1024);
  expect(taken(small)).toBe(false);
  const padded = Buffer.concat([Buffer.alloc(128), Buffer.from(small.n ?? "", "base64url")]).toString("base64url");
  expect(createPublicKey({ key: { ...small, n: padded }, format: "jwk" }).asymmetricKeyDetails?.modulusLength).toBe(1024); // others read it so
  expect(taken({ ...small, n: padded })).toBe(false);
});

test("a key has one spelling: other bits in the last character, a short coordinate and a private member are refused", async ({
  expect,
}) => {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(publicKey);
  expect(taken(jwk)).toBe(true);
  const last = jwk.x?.at(-1) ?? "";
  const next = String.fromCharCode(last.charCodeAt(0) + 1); // the 43rd character carries two unused bits, zero here
  expect(taken({ ...jwk, x: `${jwk.x?.slice(0, -1)}${next}` })).toBe(false);
  expect(taken({ ...jwk, x: jwk.x?.slice(0, 42) })).toBe(false);
  expect(taken(await exportJWK(privateKey))).toBe(false);
});
