import { test } from "vitest";
import { instant } from "#kernel/clock";
import type { ClientRecord } from "#identity/client";
import { identify, type Evidence } from "#identity/principal";
import { at, clientRecord, presented, publicUrl } from "../support/credentials.ts";

const { x5t } = presented("telehealth");
const client = clientRecord([]);
const evidence: Evidence = {
  token: {
    issuer: publicUrl,
    issuedHere: true,
    patient: undefined,
    user: undefined,
    subject: "telehealth",
    client: "telehealth",
    id: "jti",
    expires: instant(at + 300_000),
    scopes: [{ context: "system", type: "Patient", permissions: ["c", "r"] }],
    purposes: ["TREAT"],
    x5t,
  },
  certificate: { x5t },
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

test("who, why and under which grant come out of a token, its certificate and the registry", ({ expect }) => {
  expect(identify(evidence)).toMatchObject({ ok: true, value: { purpose: "TREAT", agreement: "baa", certificate: x5t, tokenId: "jti" } });
});

test("a token made before its grant was narrowed is narrowed with it", ({ expect }) => {
  const who = identify(evidence);
  expect(who.ok && who.value.scopes).toEqual([{ context: "system", type: "Patient", permissions: ["r"] }]);
});

test.for([
  ["T21", "certificate_missing", { certificate: undefined }],
  ["T21", "certificate_not_the_tokens", { certificate: { x5t: presented("payer").x5t } }],
  ["registry", "client_unknown", { client: undefined }],
  ["registry", "client_unknown", { client: { ...client, id: "payer" } }],
  ["registry", "client_suspended", { client: suspended }],
  ["registry", "certificate_not_registered", { client: { ...client, certificates: [] } }],
  ["registry", "certificate_outside_validity", { client: registeredFor(at + 1, at + 2) }],
  ["registry", "certificate_outside_validity", { client: registeredFor(at - 1, at) }],
  ["purpose", "purpose_not_granted", { purpose: "HRESCH" }],
  ["grant", "grant_missing", { origin: "elsewhere" }],
  ["agreement", "agreement_lapsed", { at: instant(at + 1_000) }],
  ["agreement", "agreement_not_begun", { at: instant(at - 1_001) }],
] as const)("%s: %s", ([, reason, change], { expect }) => {
  expect(identify({ ...evidence, ...change })).toMatchObject({ ok: false, error: { reason } });
});

test("an agreement is in force from its first moment until, and not at, its last", ({ expect }) => {
  expect(identify({ ...evidence, at: instant(at - 1_000) }).ok).toBe(true);
  expect(identify({ ...evidence, at: instant(at + 999) }).ok).toBe(true);
});

test("an agreement that does not name the purpose permits nothing, whatever the grant says", ({ expect }) => {
  const agreements = client.agreements.map(({ id, from, to }) => ({ id, from, to, purposes: ["HPAYMT"] }));
  expect(identify({ ...evidence, client: { ...client, agreements } })).toMatchObject({ error: { reason: "agreement_without_purpose" } });
  expect(identify({ ...evidence, client: { ...client, agreements: [] } })).toMatchObject({
    error: { reason: "agreement_without_purpose" },
  });
});
