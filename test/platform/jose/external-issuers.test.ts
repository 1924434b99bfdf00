import { test } from "vitest";
import type { TrustedIssuer } from "#identity/issuer";
import type { TokenIssuer } from "#identity/ports";
import { Secret } from "#kernel/secret";
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

// All keys have the same kid, so that only the issuer distinguishes them.
const [own, first, second] = [
  await newKey("ES256", "k"),
  await newKey("ES256", "k"),
  await newKey("ES256", "k"),
];
const rsa = await newKey("PS256", "rsa");
const trusted = (iss: string, audience: string, ...keys: readonly Key[]): TrustedIssuer => ({
  iss,
  keys: keys.map(({ jwk }) => jwk),
  algorithms: ["ES256"],
  audience,
  purpose: { fixed: ["PATRQT"] },
  claims: {},
});
const issuers = [
  trusted("https://first.example.org", "phylax", first, rsa),
  trusted("https://second.example.org", "phylax-2", second),
  // an entry that the registry cannot hold: foreign keys under the gateway's own name
  trusted(publicUrl, "phylax", first),
];
const lookedUp: string[] = [];
const keys: TokenIssuer = {
  lifetimeSeconds: 300,
  issue: () => Promise.reject(new Error("not here")),
  publicKeys: () => Promise.resolve([own.jwk]),
};
const verifier = tokenVerifier({
  issuer: publicUrl,
  keys,
  issuers: {
    find: (iss) => {
      lookedUp.push(iss);
      return Promise.resolve(issuers.find((issuer) => issuer.iss === iss));
    },
  },
  keySets: noKeySets,
});
const claims = {
  iss: "https://first.example.org",
  sub: "someone",
  client_id: "app",
  aud: "phylax",
  exp: now + 300,
  iat: now,
  jti: "1",
  scope: "patient/*.rs",
  patient: "amara",
  purpose_of_use: ["TREAT"],
  cnf: { "x5t#S256": presented("patient-app").x5t },
};
const verify = async (
  key: Key,
  changes: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
) =>
  verifier.verify(new Secret(await sign(key, { ...claims, ...changes }, { typ: "at+jwt", ...header })), {
    audience: fhirBase("main"),
    at,
  });

test("a token of an external issuer is proven by its own key and read by its own entry", async ({
  expect,
}) => {
  expect(await verify(first)).toMatchObject({
    ok: true,
    value: { issuedHere: false, client: "app", patient: "amara", purposes: ["PATRQT"] },
  });
  expect(await verify(second, { iss: "https://second.example.org", aud: "phylax-2" })).toMatchObject({
    ok: true,
  });
});

test.for([
  ["another issuer's key", second, {}, {}, "signature_invalid"],
  ["the built-in issuer's key", own, {}, {}, "signature_invalid"],
  [
    "an external issuer's key under the built-in issuer's name",
    first,
    { iss: publicUrl, aud: fhirBase("main"), scope: "system/*.rs" },
    {},
    "signature_invalid",
  ],
  ["another issuer's audience", first, { aud: "phylax-2" }, {}, "audience_mismatch"],
  ["an issuer that is not registered", first, { iss: "https://third.example.org" }, {}, "issuer_unknown"],
  ["an issuer's name with a slash more", first, { iss: "https://first.example.org/" }, {}, "issuer_unknown"],
  ["an issuer's name in another case", first, { iss: "https://FIRST.example.org" }, {}, "issuer_unknown"],
  ["an issuer that is no text", first, { iss: ["https://first.example.org"] }, {}, "claim_malformed"],
  ["an algorithm that the issuer's entry does not list", rsa, {}, {}, "algorithm_not_allowed"],
  ["a type that is not an access token's", first, {}, { typ: "JWT" }, "token_type_invalid"],
  ["no type", first, {}, { typ: undefined }, "token_type_invalid"],
  ["a critical header", first, {}, { crit: ["b64"], b64: true }, "critical_header_not_supported"],
  ["a key that comes along", second, {}, { jwk: second.jwk }, "signature_invalid"],
  ["a kid of nobody", first, {}, { kid: "other" }, "key_unknown"],
] as const)("T10, T11: %s proves nothing", async ([, key, changes, header, reason], { expect }) => {
  expect(await verify(key, changes, header)).toMatchObject({ ok: false, error: { reason } });
});

test("the issuer named in a token alone decides: the built-in issuer is never looked up", async ({
  expect,
}) => {
  lookedUp.length = 0;
  const mine = await verify(own, { iss: publicUrl, aud: fhirBase("main"), scope: "system/*.rs" });
  expect(mine).toMatchObject({
    ok: true,
    value: { issuedHere: true, purposes: ["TREAT"], patient: undefined },
  });
  expect(lookedUp).toEqual([]);
});
