import { CompactSign, compactVerify, exportJWK, generateKeyPair } from "jose";
import { test } from "vitest";
import { type Algorithm, publicJwk } from "#identity/jose/jwk";
import { isSignedBy } from "#platform/keys/verify-signature";
import { cryptoAlgorithms, importKey, signJws } from "#platform/keys/web-crypto";

const claims = { iss: "https://a.example", text: "ü" };
const payload = new TextEncoder().encode(JSON.stringify(claims));
const algorithms: readonly Algorithm[] = ["PS256", "RS384", "ES256", "ES384", "EdDSA", "Ed25519"];

const pairOf = async (algorithm: Algorithm) => {
  const pair = await generateKeyPair(algorithm, { extractable: true });
  const shown = publicJwk.parse(await exportJWK(pair.publicKey));
  const secret = { ...(await exportJWK(pair.privateKey)), kty: shown.kty };
  return { ...pair, shown, secret };
};

test.for(algorithms)("a library proves our %s, and ours is proven by a library", async (alg, { expect }) => {
  const { shown, secret, privateKey, publicKey } = await pairOf(alg);
  const ours = await signJws({ alg, typ: "JWT" }, claims, await importKey(secret, alg, "sign"));
  const proven = await compactVerify(ours, publicKey, { algorithms: [alg] });
  expect(proven.payload).toEqual(payload);
  expect(proven.protectedHeader).toEqual({ alg, typ: "JWT" });

  const theirs = await new CompactSign(payload).setProtectedHeader({ alg }).sign(privateKey);
  expect(await isSignedBy(theirs, shown, alg)).toBe(true);
  expect(await isSignedBy(ours, shown, alg)).toBe(true);
  const [header = "", body = "", signature = ""] = theirs.split(".");
  const changed = body.startsWith("A") ? `B${body.slice(1)}` : `A${body.slice(1)}`;
  const short = signature.slice(0, -4);
  for (const text of [
    [header, changed, signature],
    [header, body, short],
    [header, body, ""],
    [header, body],
  ])
    expect(await isSignedBy(text.join("."), shown, alg), text.join(".")).toBe(false);
  // signatures of this key over a header with another algorithm, with an extension, and without algorithm
  for (const named of [{ alg: alg === "ES256" ? "ES384" : "ES256" }, { alg, crit: ["exp"], exp: 1 }, {}]) {
    const input = `${Buffer.from(JSON.stringify(named)).toString("base64url")}.${body}`;
    const key = await importKey(secret, alg, "sign");
    const made = await crypto.subtle.sign(cryptoAlgorithms[alg], key, new TextEncoder().encode(input));
    expect(await isSignedBy(`${input}.${Buffer.from(made).toString("base64url")}`, shown, alg)).toBe(false);
  }
});

test("an RSA key of less than 2,048 bits is not imported", async ({ expect }) => {
  const rsa = {
    name: "RSA-PSS",
    hash: "SHA-256",
    modulusLength: 1_024,
    publicExponent: new Uint8Array([1, 0, 1]),
  };
  const pair = await crypto.subtle.generateKey(rsa, true, ["sign", "verify"]);
  if (!("publicKey" in pair)) throw new Error("no pair");
  const jwk = await exportJWK(pair.publicKey);
  await expect(importKey({ ...jwk, kty: "RSA" }, "PS256", "verify")).rejects.toThrow("2,048");
});
