import { test } from "vitest";
import type { TrustedIssuer } from "#identity/issuer";
import type { PublicJwk } from "#identity/jose/jwk";
import { instant, type Instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { ProvenTokens, type RememberedToken } from "#platform/keys/proven-tokens";
import { tokenVerifier } from "#platform/keys/token-verifier";
import { at, fhirBase, newKey, publicUrl, sign, telehealthClaims } from "../../support/credentials.ts";
import { noKeySets } from "../../support/key-sets.ts";

// All keys have the same name, so that only their numbers distinguish them.
const [own, successor, theirs, intruder] = [
  await newKey("ES256", "k"),
  await newKey("ES256", "k"),
  await newKey("ES256", "k"),
  await newKey("ES256", "k"),
];
const iss = "https://issuer.example.org";
const claims = telehealthClaims();
const mine = await sign(own, claims, { typ: "at+jwt" });
const foreign = await sign(theirs, { ...claims, iss, aud: "phylax" }, { typ: "at+jwt" });

/** A verifier whose surroundings a test can change while a token is remembered. */
function world() {
  const state = {
    published: [own.jwk] as readonly PublicJwk[],
    fetched: [theirs.jwk] as readonly PublicJwk[],
    issuer: {
      iss,
      keys: [theirs.jwk],
      algorithms: ["ES256"],
      audience: "phylax",
      purpose: { claim: "purpose_of_use" },
      claims: {},
    } as TrustedIssuer | undefined,
  };
  const verifier = tokenVerifier({
    issuer: publicUrl,
    keys: {
      lifetimeSeconds: 300,
      publicKeys: async () => state.published,
    },
    issuers: { find: async (name) => (name === state.issuer?.iss ? state.issuer : undefined) },
    keySets: { ...noKeySets, at: async () => state.fetched, anew: async () => state.fetched },
  });
  const verify = (text: string, when: Instant = at, base = fhirBase("main")) =>
    verifier.verify(new Secret(text), { audience: base, at: when });
  const said = async (...asked: Parameters<typeof verify>) => {
    const read = await verify(...asked);
    return read.ok ? "proven" : read.error.reason;
  };
  return { state, verify, said };
}

test("a proven token is read once: later requests get the same frozen claims", async ({ expect }) => {
  const { verify } = world();
  for (const text of [mine, foreign]) {
    const [first, second] = [await verify(text), await verify(text)];
    if (!first.ok || !second.ok) throw new Error("not proven");
    expect(second.value).toBe(first.value);
    for (const part of [first.value, first.value.scopes, first.value.scopes[0], first.value.binding])
      expect(Object.isFrozen(part)).toBe(true);
  }
});

test("T11, T12, T13: a remembered token is refused at another base, after its end and before its beginning", async ({
  expect,
}) => {
  const { said } = world();
  for (const text of [mine, foreign]) {
    expect(await said(text)).toBe("proven");
    expect(await said(text, instant(at + 299_999))).toBe("proven");
    expect(await said(text, instant(at + 300_000))).toBe("token_expired");
    expect(await said(text)).toBe("proven");
    expect(await said(text, instant(at - 11_000))).toBe("token_not_yet_valid");
  }
  expect(await said(mine)).toBe("proven");
  expect(await said(mine, at, fhirBase("other"))).toBe("audience_mismatch");
});

test("a remembered token that names only the deployment is judged anew at a second base", async ({
  expect,
}) => {
  const { verify } = world();
  const both = await sign(theirs, { ...claims, iss, aud: ["phylax", fhirBase("main")] }, { typ: "at+jwt" });
  expect(await verify(both)).toMatchObject({ ok: true, value: { namesBase: true } });
  expect(await verify(both, at, fhirBase("other"))).toMatchObject({ error: { reason: "audience_mismatch" } });
  expect(await verify(foreign)).toMatchObject({ ok: true, value: { namesBase: false } });
  expect(await verify(foreign, at, fhirBase("other"))).toMatchObject({ ok: true });
});

test("T10: a remembered token is refused once its key is published no longer, also for a key of the same name", async ({
  expect,
}) => {
  const { state, said } = world();
  expect(await said(mine)).toBe("proven");
  state.published = [successor.jwk];
  expect(await said(mine)).toBe("signature_invalid");
  state.published = [];
  expect(await said(mine)).toBe("key_unknown");
  state.published = [{ ...own.jwk }]; // the same key, published anew
  expect(await said(mine)).toBe("proven");

  if (state.issuer === undefined) throw new Error("a test's own mistake");
  state.issuer = { ...state.issuer, keys: [], jwksUri: "https://issuer.example.org/jwks" };
  expect(await said(foreign)).toBe("proven");
  state.fetched = [intruder.jwk];
  expect(await said(foreign)).toBe("signature_invalid");
});

test("T10: a remembered token follows its issuer's entry in the registry", async ({ expect }) => {
  const { state, verify, said } = world();
  const { issuer } = state;
  if (issuer === undefined) throw new Error("a test's own mistake");
  expect(await said(foreign)).toBe("proven");
  state.issuer = { ...issuer, audience: "phylax-2" };
  expect(await said(foreign)).toBe("audience_mismatch");
  state.issuer = { ...issuer, algorithms: ["PS256"] };
  expect(await said(foreign)).toBe("algorithm_not_allowed");
  state.issuer = { ...issuer, claims: { client: "sub" }, purpose: { fixed: ["PATRQT"] } };
  expect(await verify(foreign)).toMatchObject({ value: { client: "telehealth", purposes: ["PATRQT"] } });
  state.issuer = { ...issuer, keys: [intruder.jwk] };
  expect(await said(foreign)).toBe("signature_invalid");
  state.issuer = undefined;
  expect(await said(foreign)).toBe("issuer_unknown");
});

test("only the exact text of a proven token is known, and a token that is refused leaves nothing behind", async ({
  expect,
}) => {
  const { said } = world();
  expect(await said(mine)).toBe("proven");
  const forged = await sign(intruder, { ...claims, sub: "someone-else" }, { typ: "at+jwt" });
  for (let i = 0; i < 2; i += 1) expect(await said(forged)).toBe("signature_invalid");
  for (let place = 0; place < mine.length; place += 7) {
    const other = mine.slice(0, place) + (mine[place] === "A" ? "E" : "A") + mine.slice(place + 1);
    expect(await said(other), String(place)).not.toBe("proven");
  }
  for (const text of [`${mine}=`, `${mine} `, mine.slice(0, -1), mine.toLowerCase()])
    expect(await said(text)).not.toBe("proven");
});

/** An entry with so many scopes. */
function entryOf(scopes: number): RememberedToken {
  const scope = { context: "system", type: "*", permissions: ["r"], filters: [] } as const;
  return {
    token: {
      issuer: publicUrl,
      issuedHere: true,
      subject: "s",
      client: "s",
      id: "1",
      expires: at,
      scopes: Array.from({ length: scopes }, () => ({ ...scope, permissions: [...scope.permissions] })),
      purposes: [],
      namesBase: true,
      patient: undefined,
      user: undefined,
      binding: { kind: "none" },
      keyId: undefined,
    },
    audience: fhirBase("main"),
    times: { exp: 1, iat: 0 },
    lifetimeSecondsMax: 300,
    issuer: undefined,
    key: own.jwk,
  };
}

test("at most 4,096 tokens and 4 MiB are remembered, the newest", ({ expect }) => {
  const few = new ProvenTokens();
  for (let n = 0; n <= 4_096; n += 1) few.set(String(n), entryOf(0));
  expect([few.get("0"), few.get("1") === undefined]).toEqual([undefined, false]);

  const long = new ProvenTokens();
  const text = (n: number) => String(n).padEnd(8_192);
  for (let n = 0; n <= 512; n += 1) long.set(text(n), entryOf(0));
  expect([long.get(text(0)), long.get(text(1)) === undefined]).toEqual([undefined, false]);
  long.delete(text(1));
  long.set(text(513), entryOf(0));
  expect(long.get(text(2))).toBeDefined();

  const wide = new ProvenTokens();
  for (let n = 0; n < 260; n += 1) wide.set(String(n), entryOf(64));
  expect([wide.get("0"), wide.get("259") === undefined]).toEqual([undefined, false]);
});
