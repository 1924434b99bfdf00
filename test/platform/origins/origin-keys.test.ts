import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify, type JSONWebKeySet } from "jose";
import { test } from "vitest";
import { Secret } from "#kernel/secret";
import { signAssertion } from "#platform/keys/client-assertion";
import { originKeys } from "#platform/origins/origin-keys";
import { instant } from "#kernel/clock";

const privateJwk = async (alg: string, kid: string, more: object = {}) => {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, ...more };
};
const [old, next, rsa] = await Promise.all([
  privateJwk("ES384", "old"),
  privateJwk("EdDSA", "next"),
  privateJwk("PS256", "rsa", { alg: "PS256" }),
]);

const entry = {
  name: "main",
  url: "https://fhir.example/r4",
  forwardClientCert: false,
  signInAt: undefined,
  credentials: {
    kind: "private_key_jwt",
    secret: "ORIGIN_KEY",
    clientId: "phylax",
    tokenEndpoint: "https://login.example/token",
    scope: "system/*.rs",
  },
} as const;
const deployed = (value: unknown) => ({
  secrets: {
    valueOf: () => value,
    secretHosts: new Map([["ORIGIN_KEY", new Set(["fhir.example", "login.example"])]]),
  },
  bearers: (stored: { read(): Promise<Secret> }) => ({
    current: () => stored.read(),
    anew: () => stored.read(),
  }),
});

test("the owner of an origin gets the public halves alone, of a key, of a set and of a key in a store", async ({
  expect,
}) => {
  for (const [secret, kids] of [
    [JSON.stringify(old), ["old"]],
    [JSON.stringify(rsa), ["rsa"]],
    [JSON.stringify({ keys: [old, next, rsa] }), ["old", "next", "rsa"]],
    [{ get: async () => JSON.stringify({ keys: [next, old] }) }, ["next", "old"]],
  ] as const) {
    const keys = (await originKeys(entry, deployed(secret))) ?? [];
    expect(keys.map(({ kid }) => kid)).toEqual(kids);
    for (const key of keys) {
      expect(Object.keys(key).filter((name) => /^(?:d|p|q|dp|dq|qi|k)$/u.test(name))).toEqual([]);
      expect(key).toMatchObject({ use: "sig", alg: expect.any(String) });
    }
  }
  for (const credentials of [{ kind: "none" }, { kind: "bearer", secret: "ORIGIN_KEY" }] as const)
    expect(await originKeys({ ...entry, credentials }, deployed("x"))).toBeUndefined();
});

test("a change of keys: both are published, the first signs, and its assertion is proven by the published set before and after the change", async ({
  expect,
}) => {
  for (const [keys, signing] of [
    [[old, next], "old"],
    [[next, old], "next"],
  ] as const) {
    const secret = JSON.stringify({ keys });
    const published = { keys: await originKeys(entry, deployed(secret)) } as JSONWebKeySet;
    const { client_assertion: assertion = "" } = await signAssertion({
      clientId: "phylax",
      audience: "https://login.example/token",
      key: new Secret(secret),
      at: instant(Date.now()),
    });
    const { protectedHeader } = await jwtVerify(assertion, createLocalJWKSet(published));
    expect(protectedHeader.kid).toBe(signing);
  }
});

test("a value that is no private key, and a set with a key that is none, show nothing of it and publish nothing", async ({
  expect,
}) => {
  for (const value of [
    "{}",
    "d-d-d",
    JSON.stringify({ keys: [] }),
    JSON.stringify({ keys: [old, { kty: "oct", k: "d-d-d" }] }),
  ])
    await expect(originKeys(entry, deployed(value))).rejects.toThrow(/^a key for client assertions is not/u);
});
