import * as fc from "fast-check";
import { test } from "vitest";
import { instant } from "#kernel/clock";
import type { Certificate } from "#identity/certificate/certificate";
import type { ClientGrant, ClientRecord } from "#identity/client";
import { identify, hasSameGround, nextDate, type Evidence } from "#identity/principal";
import { at, clientRecord, presented, vouched, publicUrl } from "../support/credentials.ts";

const { x5t } = presented("telehealth");
const client = clientRecord([]);
const evidence: Evidence = {
  token: {
    issuer: publicUrl,
    issuedHere: true,
    namesBase: true,
    patient: undefined,
    user: undefined,
    subject: "telehealth",
    client: "telehealth",
    id: "jti",
    expires: instant(at + 300_000),
    scopes: [{ context: "system", type: "Patient", permissions: ["c", "r"], filters: [] }],
    purposes: ["TREAT"],
    keyId: "token-1",
    binding: { kind: "certificate", x5t },
  },
  certificate: vouched(x5t),
  proof: undefined,
  client,
  origin: "main",
  purpose: undefined,
  at,
};
const suspended: ClientRecord = { ...client, status: "suspended" };
const registeredFor = (from: number, to: number): ClientRecord => ({
  ...client,
  certificates: [{ x5t, from: instant(from), to: instant(to) }],
});

test("caller, purpose and grant follow from a token, its certificate and the registry", ({ expect }) => {
  expect(identify(evidence)).toMatchObject({
    ok: true,
    value: { purpose: "TREAT", agreement: "baa", certificate: x5t, tokenId: "jti" },
  });
});

test("a token made before its grant was narrowed is narrowed too", ({ expect }) => {
  const who = identify(evidence);
  expect(who.ok && who.value.scopes).toEqual([
    { context: "system", type: "Patient", permissions: ["r"], filters: [] },
  ]);
});

test("a principal that is identified again rests on the same grant only while purpose, policy, agreement and scopes are unchanged", ({
  expect,
}) => {
  const by = (changes: Partial<ClientGrant>) => {
    const who = identify({
      ...evidence,
      client: { ...client, grants: client.grants.map((grant) => ({ ...grant, ...changes })) },
    });
    if (!who.ok) throw new Error(who.error.reason);
    return who.value;
  };
  const quotas = { default: { requests: 1, windowSeconds: 1, revision: 2 } };
  expect(hasSameGround(by({ quotas }), by({})), "a quota has a count of its own").toBe(true);
  for (const changes of [{ policyDigest: "sha256:2" }, { signedRequests: true }, { scopes: [] }])
    expect(hasSameGround(by(changes), by({})), JSON.stringify(changes)).toBe(false);
});

test.for([
  ["T21", "certificate_missing", { certificate: undefined }],
  ["T21", "certificate_mismatch", { certificate: vouched(presented("payer").x5t) }],
  ["registry", "client_unknown", { client: undefined }],
  ["registry", "client_unknown", { client: { ...client, id: "payer" } }],
  ["registry", "client_suspended", { client: suspended }],
  ["registry", "certificate_not_registered", { client: { ...client, certificates: [] } }],
  ["registry", "certificate_outside_validity", { client: registeredFor(at + 1, at + 2) }],
  ["registry", "certificate_outside_validity", { client: registeredFor(at - 1, at) }],
  ["purpose", "purpose_not_granted", { purpose: "HRESCH" }],
  ["grant", "grant_missing", { origin: "elsewhere" }],
  ["agreement", "agreement_expired", { at: instant(at + 1_000) }],
  ["agreement", "agreement_not_yet_in_force", { at: instant(at - 1_001) }],
] as const)("%s: %s", ([, reason, change], { expect }) => {
  expect(identify({ ...evidence, ...change })).toMatchObject({ ok: false, error: { reason } });
});

test("an agreement is in force from its first moment until, and not at, its last", ({ expect }) => {
  expect(identify({ ...evidence, at: instant(at - 1_000) }).ok).toBe(true);
  expect(identify({ ...evidence, at: instant(at + 999) }).ok).toBe(true);
});

test("an agreement that does not name the purpose permits nothing, whatever the grant has", ({ expect }) => {
  const agreements = client.agreements.map(({ id, from, to }) => ({ id, from, to, purposes: ["HPAYMT"] }));
  expect(identify({ ...evidence, client: { ...client, agreements } })).toMatchObject({
    error: { reason: "purpose_not_in_agreement" },
  });
  expect(identify({ ...evidence, client: { ...client, agreements: [] } })).toMatchObject({
    error: { reason: "purpose_not_in_agreement" },
  });
});

const external = { issuer: "https://issuer.example.org", id: "app" };
const app: ClientRecord = { ...client, id: "patient-app", authentication: "external", external };
const theirs: Evidence = {
  ...evidence,
  client: app,
  token: {
    ...evidence.token,
    issuer: external.issuer,
    issuedHere: false,
    client: "app",
    patient: "amara",
    user: "Patient/amara",
  },
};
const granting = (scopes: ClientGrant["scopes"], more: Partial<ClientRecord> = {}): ClientRecord => ({
  ...app,
  ...more,
  grants: app.grants.map((grant) => Object.assign({}, grant, { scopes })),
});
const saying = (changes: Partial<Evidence["token"]>): Evidence["token"] => ({ ...theirs.token, ...changes });

test("an issuer speaks only for its own clients", ({ expect }) => {
  expect(identify(theirs)).toMatchObject({
    ok: true,
    value: { client: { id: "patient-app" }, patient: "amara", user: "Patient/amara" },
  });
  for (const change of [
    { token: saying({ issuer: "https://another.example.org" }) },
    { token: saying({ client: "patient-app" }) },
    { token: saying({ issuedHere: true, client: "patient-app" }) },
    { client: { ...app, authentication: "private_key_jwt" as const } },
    { client },
    { token: saying({ client: "telehealth" }), client },
  ]) {
    expect(identify({ ...theirs, ...change })).toMatchObject({
      ok: false,
      error: { reason: "client_unknown" },
    });
  }
});

test("a token without a purpose gets the client's only purpose at that origin; it gets none if there are several, or only break-glass", ({
  expect,
}) => {
  const token = saying({ purposes: [] });
  expect(identify({ ...theirs, token })).toMatchObject({ ok: true, value: { purpose: "TREAT" } });
  const [grant] = app.grants;
  const with_ = (...purposes: readonly string[]) => ({
    ...app,
    grants: purposes.flatMap((purpose) => (grant === undefined ? [] : [{ ...grant, purpose }])),
  });
  for (const other of [with_("TREAT", "HPAYMT"), with_("BTG"), with_()]) {
    expect(identify({ ...theirs, token, client: other })).toMatchObject({
      error: { reason: "purpose_not_chosen" },
    });
    expect(identify({ ...theirs, token, client: other, purpose: "TREAT" })).toMatchObject({
      error: { reason: "purpose_not_chosen" },
    });
  }
});

test("a scope that either side limits to a patient needs the token's patient, and stays limited", ({
  expect,
}) => {
  const rs = (context: "patient" | "system") => [
    { context, type: "*", permissions: ["r", "s"] as const, filters: [] },
  ];
  for (const [said, granted] of [
    [rs("patient"), rs("system")],
    [rs("system"), rs("patient")],
    [rs("patient"), rs("patient")],
  ] as const) {
    const who = { ...theirs, token: saying({ scopes: said }), client: granting(granted) };
    expect(identify(who)).toMatchObject({ ok: true, value: { patient: "amara", scopes: rs("patient") } });
    expect(identify({ ...who, token: { ...who.token, patient: undefined } })).toMatchObject({
      error: { reason: "patient_missing" },
    });
  }
});

test("a `patient/` scope without a patient grants nothing, and the token's remaining scopes stand", ({
  expect,
}) => {
  const scope = (context: "patient" | "system", type: string) =>
    ({ context, type, permissions: ["r"], filters: [] }) as const;
  const scopes = [scope("patient", "Patient"), scope("system", "Organization")];
  const all = [{ context: "system", type: "*", permissions: ["r"], filters: [] }] as const;
  const who = { ...theirs, token: { ...saying({ scopes }), patient: undefined }, client: granting(all) };
  expect(identify(who)).toMatchObject({ ok: true, value: { scopes: [scope("system", "Organization")] } });
});

test("a client limited to a patient sees only that patient, whatever scope its token and its grant have", ({
  expect,
}) => {
  const rs = [{ context: "system", type: "*", permissions: ["r", "s"], filters: [] }] as const;
  const who = { ...theirs, token: saying({ scopes: rs }), client: granting(rs, { patient: "amara" }) };
  expect(identify(who)).toMatchObject({
    ok: true,
    value: { patient: "amara", scopes: [{ context: "patient" }] },
  });
  expect(identify({ ...who, token: { ...who.token, patient: "bela" } })).toMatchObject({
    error: { reason: "patient_mismatch" },
  });
  expect(identify({ ...who, token: { ...who.token, patient: undefined } })).toMatchObject({
    error: { reason: "patient_missing" },
  });
});

test("if a client has grants at several origins, the patient belongs to the origin in the token's audience", ({
  expect,
}) => {
  const two = { ...app, grants: app.grants.flatMap((grant) => [grant, { ...grant, origin: "second" }]) };
  const scopes = [{ context: "patient", type: "*", permissions: ["r"], filters: [] }] as const;
  const vague = saying({ scopes, namesBase: false });
  expect(identify({ ...theirs, token: vague })).toMatchObject({ ok: true });
  expect(identify({ ...theirs, token: vague, client: two })).toMatchObject({
    error: { reason: "patient_origin_unknown" },
  });
  expect(identify({ ...theirs, token: saying({ scopes }), client: two })).toMatchObject({ ok: true });
  expect(
    identify({ ...theirs, token: saying({ namesBase: false }), client: two }),
    "no scope of a patient",
  ).toMatchObject({ ok: true });
});

const keyBound: Evidence = {
  ...evidence,
  token: { ...evidence.token, binding: { kind: "key", jkt: "K".repeat(43) } },
  proof: { jkt: "K".repeat(43), id: "proof-1", made: at },
  certificate: undefined,
  client: { ...client, tokensBoundTo: "key", certificates: [] },
};
const withCertificates: ClientRecord = { ...client, tokensBoundTo: "key" };

test("the holder of a proven key needs no certificate, and its proof is still to be used once", ({
  expect,
}) => {
  expect(identify(keyBound)).toMatchObject({
    ok: true,
    value: { certificate: undefined, proof: { id: "proof-1", made: at } },
  });
  // An unregistered certificate says nothing about the client, and the client may come without a registered
  // certificate.
  expect(identify({ ...keyBound, certificate: vouched(x5t) })).toMatchObject({
    ok: true,
    value: { certificate: x5t },
  });
  expect(identify({ ...keyBound, client: withCertificates })).toMatchObject({ ok: true });
  expect(identify({ ...keyBound, client: withCertificates, certificate: vouched(x5t) })).toMatchObject({
    ok: true,
  });
});

test.for([
  ["T29", "proof_missing", { proof: undefined }],
  ["T29", "proof_missing", { proof: { jkt: "L".repeat(43), id: "proof-1", made: at } }],
  [
    "T29: a certificate is no proof of a key",
    "proof_missing",
    { proof: undefined, certificate: vouched(x5t) },
  ],
  ["T30: the client's tokens are bound to its certificate", "binding_mismatch", { client }],
  [
    "a certificate that is not among the registered certificates",
    "certificate_not_registered",
    { client: withCertificates, certificate: vouched("A".repeat(43)) },
  ],
  ["registry", "client_suspended", { client: { ...keyBound.client, status: "suspended" } as ClientRecord }],
] as const)("%s: %s", ([, reason, change], { expect }) => {
  expect(identify({ ...keyBound, ...change })).toMatchObject({ ok: false, error: { reason } });
});

test("T30: a certificate-bound token is refused once the client is registered for DPoP", ({ expect }) => {
  expect(identify({ ...evidence, client: withCertificates })).toMatchObject({
    ok: false,
    error: { reason: "binding_mismatch" },
  });
});

const signedItself = (from: number, to: number): Certificate => ({
  x5t,
  voucher: { kind: "itself", from: instant(from), to: instant(to) },
});
const signsItself: ClientRecord = { ...client, authentication: "self_signed_tls_client_auth" };

test.for([
  ["registered so", true, signsItself, signedItself(at - 1, at + 1)],
  ["registered so, over", "certificate_outside_validity", signsItself, signedItself(at - 1, at)],
  ["registered so, not begun", "certificate_outside_validity", signsItself, signedItself(at + 1, at + 2)],
  ["registered so, by an authority's word", true, signsItself, vouched(x5t)],
  ["registered for an authority's", "certificate_unverified", client, signedItself(at - 1, at + 1)],
] as const)("T22: the certificate of a client %s", ([, verdict, registered, certificate], { expect }) => {
  const who = identify({ ...evidence, client: registered, certificate });
  expect(who.ok || who.error.reason).toBe(verdict);
});

test("T22: a self-signed certificate is refused even if no certificate is needed", ({ expect }) => {
  const certificate = signedItself(at - 1, at + 1);
  expect(identify({ ...keyBound, certificate })).toMatchObject({
    ok: false,
    error: { reason: "certificate_unverified" },
  });
});

test("T21: a name counts only in an authority's certificate, and a client with registered names may use no further certificate", ({
  expect,
}) => {
  const subject = { issuerDn: "CN=ca", field: "subjectDn" as const, value: "CN=telehealth" };
  const named: ClientRecord = { ...client, certificates: [], certificateSubjects: [subject] };
  expect(identify({ ...evidence, client: named })).toMatchObject({ ok: true });
  const elsewhere = { ...named, certificateSubjects: [{ ...subject, value: "CN=payer" }] };
  expect(identify({ ...evidence, client: elsewhere })).toMatchObject({
    error: { reason: "certificate_not_registered" },
  });
  const itself = { ...named, authentication: "self_signed_tls_client_auth" as const };
  expect(identify({ ...evidence, client: itself, certificate: signedItself(at - 1, at + 1) })).toMatchObject({
    error: { reason: "certificate_not_registered" },
  });
  const withKey: ClientRecord = { ...elsewhere, tokensBoundTo: "key" };
  expect(identify({ ...keyBound, client: withKey, certificate: vouched(x5t) })).toMatchObject({
    error: { reason: "certificate_not_registered" },
  });
});

test("until the next date nothing but the evidence decides, and no date is later than the answer changes", ({
  expect,
}) => {
  const when = fc.integer({ min: -5, max: 5 }).map((hours) => instant(at + hours * 3_600_000));
  const maybe = fc.option(when, { nil: undefined, freq: 1 });
  const dated = fc.record({
    unboundUntil: maybe,
    bound: fc.boolean(),
    ownCertificate: fc.boolean(),
    certificate: fc.record({ from: maybe, to: maybe }),
    voucher: fc.record({ from: when, to: when }),
    // mostly in force, so that most ends change the answer
    agreement: fc.record({ from: fc.constantFrom(at - 7_200_000, at - 1).map(instant), to: when }),
  });
  const changes = { seen: 0 };
  fc.assert(
    fc.property(dated, when, fc.integer({ min: 0, max: 20_000_000 }), (given, first, after) => {
      const asked: Evidence = {
        ...evidence,
        token: given.bound ? evidence.token : { ...evidence.token, binding: { kind: "none" } },
        certificate: given.ownCertificate
          ? { x5t, voucher: { kind: "itself", ...given.voucher } }
          : vouched(x5t),
        client: {
          ...client,
          authentication: given.ownCertificate ? "self_signed_tls_client_auth" : client.authentication,
          unboundUntil: given.unboundUntil,
          certificates: [{ x5t, ...given.certificate }],
          agreements: [{ id: "baa", purposes: ["TREAT"], ...given.agreement }],
        },
      };
      const { client: record, certificate } = asked;
      if (record === undefined) throw new Error("a test's own mistake");
      const until = nextDate(record, certificate, first);
      const said = (time: number) => identify({ ...asked, at: instant(time) });
      const now = said(first);
      expect(said(Math.min(first + after, until - 1))).toEqual(now);
      if (until < Infinity && said(until).ok !== now.ok) changes.seen += 1;
    }),
    { numRuns: 300 },
  );
  expect(changes.seen).toBeGreaterThan(0);
});
