import * as fc from "fast-check";
import { describe, test } from "vitest";
import { readExternalToken } from "#identity/external-token";
import { claimAt, type TrustedIssuer } from "#identity/issuer";
import { formatScopes } from "#identity/scopes";
import { at, fhirBase, now, presented } from "../support/credentials.ts";

const mtlsUrl = "https://mtls.gateway.example.org";
const { x5t } = presented("patient-app");
const issuer: TrustedIssuer = {
  iss: "https://issuer.example.org",
  keys: [],
  algorithms: ["ES256"],
  audience: "phylax",
  purpose: { fixed: ["PATRQT"] },
  claims: {},
};
const claims = {
  iss: issuer.iss,
  sub: "someone",
  client_id: "app",
  aud: "phylax",
  exp: now + 300,
  iat: now,
  jti: "1",
  scope: "openid launch/patient patient/*.rs",
  patient: "amara",
  fhirUser: "Patient/amara",
  cnf: { "x5t#S256": x5t },
};
const read = (changes: Readonly<Record<string, unknown>> = {}, by: Partial<TrustedIssuer> = {}) =>
  readExternalToken(
    { ...claims, ...changes },
    { ...issuer, ...by },
    { bases: [fhirBase("main"), `${mtlsUrl}/v1/fhir/main`], at },
  );

test("an external token's claims are read by its issuer's claim names", ({ expect }) => {
  expect(read()).toMatchObject({
    ok: true,
    value: {
      issuedHere: false,
      issuer: issuer.iss,
      subject: "someone",
      client: "app",
      patient: "amara",
      user: "Patient/amara",
      binding: { kind: "certificate", x5t },
    },
  });
  const mapped = read(
    {
      client_id: undefined,
      scope: undefined,
      patient: undefined,
      ext: { app: "app-2", ctx: { who: "Patient/b" } },
      scp: ["openid", "patient/*.r"],
    },
    { claims: { client: "ext.app", patient: "ext.ctx.who", scope: "scp" } },
  );
  expect(mapped).toMatchObject({ ok: true, value: { client: "app-2", patient: "b" } });
  expect(mapped.ok && formatScopes(mapped.value.scopes)).toBe("patient/*.r");
});

test("the client is client_id, or else azp; a mapped claim name has no fallback", ({ expect }) => {
  expect(read({ azp: "other" })).toMatchObject({ value: { client: "app" } });
  expect(read({ client_id: undefined, azp: "other" })).toMatchObject({ value: { client: "other" } });
  expect(read({ azp: "other" }, { claims: { client: "appid" } })).toEqual({
    ok: false,
    error: { reason: "claim_malformed", claim: "client" },
  });
});

test.for([
  ["issuer_unknown", { iss: `${issuer.iss}/` }],
  ["audience_mismatch", { aud: "another" }],
  ["audience_mismatch", { aud: ["phylax2"] }],
  ["audience_mismatch", { aud: ["phylax", fhirBase("other")] }],
  [
    "audience_mismatch",
    { aud: ["phylax", fhirBase("other").toUpperCase().replace("/V1/FHIR/OTHER", "/v1/fhir/other")] },
  ],
  ["audience_mismatch", { aud: ["phylax", fhirBase("other").replace("/v1/", "/x/../v1/")] }],
  ["audience_mismatch", { aud: ["phylax", `${mtlsUrl}/v1/fhir/other`] }],
  ["token_expired", { exp: now, iat: now - 300 }],
  ["token_not_yet_valid", { iat: now + 61 }],
  ["token_lifetime_too_long", { exp: now + 3_601 }],
  ["token_unbound", { cnf: {} }],
  ["binding_not_supported", { cnf: { "x5t#S256": x5t, jkt: "a" } }],
  ["claim_malformed", { sub: undefined }],
  ["claim_malformed", { jti: undefined }],
  ["claim_malformed", { iat: undefined }],
  ["claim_malformed", { exp: undefined }],
  ["claim_malformed", { aud: undefined }],
  ["claim_malformed", { client_id: undefined }],
  ["claim_malformed", { client_id: ["app"] }],
  ["claim_malformed", { patient: ["amara"] }],
  ["claim_malformed", { patient: ".." }],
  ["claim_malformed", { patient: "Group/1" }],
  ["claim_malformed", { patient: "" }],
  ["claim_malformed", { patient: null }],
  ["claim_malformed", { fhirUser: {} }],
  ["claim_malformed", { scope: undefined }],
] as const)("%s: %j", ([reason, changes], { expect }) => {
  expect(read(changes)).toMatchObject({ ok: false, error: { reason } });
});

test("a scope that is not understood, or whose filter cannot be enforced, grants nothing, and the token stands", ({
  expect,
}) => {
  for (const scope of [
    "openid email need_patient_banner patient/*.rs",
    "users/*.rs patient/*.rs",
    "patient/*.rs patient/Observation.cud?code:not=718-7",
    ["patient/*.rs user/*.rs", "patient/*.rs"],
  ])
    expect(read({ scope })).toMatchObject({
      ok: true,
      value: { scopes: [{ context: "patient", type: "*", permissions: ["r", "s"], filters: [] }] },
    });
  expect(read({ scope: "openid" })).toMatchObject({ ok: true, value: { scopes: [] } });
});

test("T11: a token lives an hour at most, and a token that names a FHIR base is for that base only", ({
  expect,
}) => {
  expect(read({ exp: now + 3_600 }).ok).toBe(true);
  expect(read()).toMatchObject({ value: { namesBase: false } });
  expect(read({ aud: ["phylax", fhirBase("main")] })).toMatchObject({ value: { namesBase: true } });
  expect(read({ aud: ["phylax", `${mtlsUrl}/v1/fhir/main`] }), "the second name").toMatchObject({
    value: { namesBase: true },
  });
  expect(read({ aud: ["phylax", "https://elsewhere.example.org/v1/fhir/other"] })).toMatchObject({
    value: { namesBase: false },
  });
  expect(read({ aud: fhirBase("main") }, { audience: fhirBase("main") })).toMatchObject({
    value: { namesBase: true },
  });
  expect(read({ aud: fhirBase("main") }).ok, "not the issuer's audience").toBe(false);
  expect(read({ aud: fhirBase("other") }, { audience: fhirBase("other") }).ok).toBe(false);
});

describe("purposes from a claim", () => {
  const purposesOf = (pou: unknown) => read({ ext: { pou } }, { purpose: { claim: "ext.pou" } });
  test.for([
    ["PATRQT", ["PATRQT"]],
    ["PATRQT TREAT", ["PATRQT", "TREAT"]],
    [
      ["PATRQT", "TREAT"],
      ["PATRQT", "TREAT"],
    ],
    [undefined, []],
  ] as const)("%j means %j", ([pou, purposes], { expect }) => {
    expect(purposesOf(pou)).toMatchObject({ ok: true, value: { purposes } });
  });
  test.for([[""], ["patrqt"], [[]], [null], [{ code: "PATRQT" }], [["PATRQT", 1]], ["PATRQT  TREAT"]])(
    "%j is refused",
    ([pou], { expect }) => {
      expect(purposesOf(pou)).toEqual({ ok: false, error: { reason: "claim_malformed", claim: "purpose" } });
    },
  );
  test("a token cannot change a fixed purpose", ({ expect }) => {
    expect(read({ purpose_of_use: ["TREAT"] })).toMatchObject({ value: { purposes: ["PATRQT"] } });
  });
});

test("a path leads only through own properties of objects", ({ expect }) => {
  const tree = {
    a: { b: "deep", list: [{ c: "in a list" }] },
    "a.b": "flat",
    "https://x.example/a.b": "url",
    text: "abc",
  };
  expect(claimAt(tree, "a.b")).toBe("deep");
  expect(claimAt(tree, "https://x.example/a.b")).toBe("url");
  for (const name of [
    "a.list.0",
    "a.list.0.c",
    "a.list.length",
    "text.length",
    "constructor",
    "a.constructor.name",
    "__proto__.a",
    "a.b.c",
    "",
  ]) {
    expect(claimAt(tree, name), name).toBeUndefined();
  }
});

test("odd claims are refused or read without an exception, and never make a token without its binding and audience", ({
  expect,
}) => {
  const odd = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom("phylax", ["phylax"], now, now + 300, "Patient/x", { "x5t#S256": x5t }),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...Object.keys(claims)), odd, { maxKeys: 3 }), (changes) => {
      const token = read(changes);
      if (!token.ok) return;
      expect(token.value).toMatchObject({
        issuer: issuer.iss,
        binding: { kind: "certificate", x5t },
        issuedHere: false,
      });
      expect([{ ...claims, ...changes }.aud].flat()).toContain("phylax");
      expect(token.value.patient ?? "x").toMatch(/^[A-Za-z0-9.-]{1,64}$/u);
    }),
    { numRuns: 1_000 },
  );
});
