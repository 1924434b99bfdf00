import { test } from "vitest";
import { instant } from "#kernel/clock";
import type { ClientRecord } from "#identity/client";
import { readExternalToken } from "#identity/external-token";
import { identify, type Evidence } from "#identity/principal";
import { readRegistry } from "#registry/read";
import { exceptionProblem } from "#registry/unbound-exception";
import { at, clientRecord, fhirBase, now, presented } from "../support/credentials.ts";
import { registryFile, withExternalClient, withValue } from "../support/registry-file.ts";

const iss = "https://issuer.example.org";
const shown = (name: string) =>
  ({
    x5t: presented(name).x5t,
    voucher: { kind: "authority", subjectDn: `CN=${name}`, issuerDn: "CN=authority", der: new Uint8Array() },
  }) as const;
const app: ClientRecord = {
  ...clientRecord([]),
  authentication: "external",
  external: { issuer: iss, id: "app" },
  certificates: [],
};
const excepted: ClientRecord = { ...app, unboundUntil: instant(at + 1) };
const evidence: Evidence = {
  token: {
    issuer: iss,
    issuedHere: false,
    namesBase: true,
    patient: undefined,
    user: undefined,
    subject: "someone",
    client: "app",
    id: "jti",
    expires: instant(at + 300_000),
    scopes: [{ context: "system", type: "Patient", permissions: ["r"], filters: [] }],
    purposes: ["TREAT"],
    keyId: undefined,
    binding: { kind: "none" },
  },
  certificate: undefined,
  proof: undefined,
  client: excepted,
  origin: "main",
  purpose: undefined,
  at,
};

test("T5: an external token without cnf is unbound; a token with an empty or unknown cnf is refused", ({
  expect,
}) => {
  const issuer = {
    iss,
    keys: [],
    algorithms: [],
    audience: "phylax",
    purpose: { fixed: ["TREAT"] },
    claims: {},
  } as const;
  const claims = {
    iss,
    sub: "s",
    aud: "phylax",
    iat: now,
    exp: now + 60,
    jti: "j",
    client_id: "app",
    scope: "system/*.r",
  };
  const read = (more: object) =>
    readExternalToken({ ...claims, ...more }, issuer, { bases: [fhirBase("main")], at });
  expect(read({})).toMatchObject({ ok: true, value: { binding: { kind: "none" } } });
  for (const cnf of [{}, { jkt: "short" }])
    expect(read({ cnf })).toEqual({ ok: false, error: { reason: "token_unbound" } });
  expect(read({ cnf: { kid: "k" } })).toEqual({ ok: false, error: { reason: "binding_not_supported" } });
});

test("T5: an unbound token is refused without an exception, accepted until the exception ends, and refused from then on", ({
  expect,
}) => {
  expect(identify({ ...evidence, client: app })).toEqual({ ok: false, error: { reason: "token_unbound" } });
  expect(identify(evidence)).toMatchObject({
    ok: true,
    value: { unbound: true, certificate: undefined, proof: undefined },
  });
  expect(identify({ ...evidence, at: instant(at + 1) })).toEqual({
    ok: false,
    error: { reason: "token_unbound" },
  });
});

test("T5: an exception asks no less of the connection: if certificates are registered, the connection needs a registered certificate", ({
  expect,
}) => {
  const [registered, other] = [shown("telehealth"), shown("payer")];
  for (const tokensBoundTo of ["certificate", "key"] as const) {
    const client = { ...excepted, tokensBoundTo, certificates: clientRecord([]).certificates };
    expect(identify({ ...evidence, client })).toMatchObject({ error: { reason: "certificate_missing" } });
    expect(identify({ ...evidence, client, certificate: other })).toMatchObject({
      error: { reason: "certificate_not_registered" },
    });
    expect(identify({ ...evidence, client, certificate: registered })).toMatchObject({
      ok: true,
      value: { unbound: true },
    });
  }
});

test("T5: a bound token stays bound under an exception, and a suspended client stays out", ({ expect }) => {
  const token = {
    ...evidence.token,
    binding: { kind: "certificate", x5t: presented("telehealth").x5t },
  } as const;
  expect(identify({ ...evidence, token })).toMatchObject({ error: { reason: "certificate_missing" } });
  expect(identify({ ...evidence, client: { ...excepted, status: "suspended" } })).toMatchObject({
    error: { reason: "client_suspended" },
  });
});

test("T5: an exception is for clients of external issuers, and at most ninety days ahead when it is loaded", async ({
  expect,
}) => {
  const file = await withExternalClient(await registryFile());
  const until = (days: number) => new Date(at + days * 86_400_000).toISOString();
  const read = (client: number, value: string) =>
    readRegistry(withValue(file, `/clients/${client}/unboundUntil`, value), "https://g.example");
  const problem = (value: string) => {
    const document = read(1, value);
    return document.ok ? exceptionProblem(document.value, at) : document.error;
  };
  expect(problem(until(90))).toBeUndefined();
  expect(problem(until(-1))).toBeUndefined(); // the same file again, later
  expect(problem(until(90.001))).toMatchObject({ reason: "invalid", pointer: "/clients/1/unboundUntil" });
  expect(read(0, until(1))).toMatchObject({ ok: false, error: { pointer: "/clients/0/unboundUntil" } });
});

test("a client with an exception needs no certificate, and a client without an exception does", async ({
  expect,
}) => {
  const file = withValue(await withExternalClient(await registryFile()), "/clients/1/certificates", []);
  expect(readRegistry(file, "https://g.example")).toMatchObject({
    ok: false,
    error: { pointer: "/clients/1/certificates" },
  });
  expect(readRegistry(withValue(file, "/clients/1/unboundUntil", "2026-12-01"), "https://g.example").ok).toBe(
    true,
  );
});
