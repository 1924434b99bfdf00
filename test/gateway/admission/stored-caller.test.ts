import { test } from "vitest";
import { isProven, proveStored } from "#gateway/admission/caller";
import { openReleaseGate } from "#gateway/admission/release-gate";
import { storableEvidence, type StoredAuthority } from "#identity/authority/authority";
import type { ClientRecord } from "#identity/client";
import { denialName } from "#identity/denial";
import type { Denial } from "#identity/denial-document";
import { issuerStandingOf, type IssuerStanding } from "#identity/authority/issuer-standing";
import type { PublicJwk } from "#identity/jose/jwk";
import { identify } from "#identity/principal";
import type { ProvenToken } from "#identity/token";
import { instant } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import type { Limiter } from "#limits/ports";
import { at, clientRecord, presented, publicUrl, vouched } from "../../support/credentials.ts";

const { x5t } = presented("telehealth");
const hour = 3_600_000;
const record = clientRecord([], {
  agreements: [{ id: "baa", purposes: ["TREAT"], from: instant(at - hour), to: instant(at + 9 * hour) }],
});
const token: ProvenToken = {
  issuer: publicUrl,
  issuedHere: true,
  namesBase: true,
  patient: undefined,
  user: undefined,
  subject: "telehealth",
  client: "telehealth",
  id: "jti",
  expires: instant(at + 1),
  scopes: [{ context: "system", type: "*", permissions: ["r", "s"], filters: [] }],
  purposes: ["TREAT"],
  keyId: "token-1",
  binding: { kind: "certificate", x5t },
};

const key: PublicJwk = { kty: "EC", crv: "P-256", x: "x", y: "y", kid: "token-1" };
const standing = issuerStandingOf({ iss: publicUrl }, [key]);

/** A job under an authority, two hours after its token ended. */
async function begun() {
  const certificate = vouched(x5t);
  const who = identify({
    token,
    certificate,
    proof: undefined,
    client: record,
    origin: "main",
    purpose: undefined,
    at,
  });
  const certificateEnds = instant(at + 9 * hour);
  const evidence = who.ok
    ? storableEvidence({ who: who.value, token, certificate, certificateEnds }, standing)
    : who;
  if (!evidence.ok) throw new Error(evidence.error.reason);
  const authority: StoredAuthority = {
    id: "a".repeat(32),
    ends: instant(at + 5 * hour),
    evidence: evidence.value,
  };
  const state = {
    at: instant(at + 2 * hour),
    client: record as ClientRecord | undefined,
    issuer: standing as IssuerStanding | undefined,
    denied: new Set<string>() as ReadonlySet<string>,
  };
  const limiter: Limiter = {
    spend: async (_spends, revoked) => {
      const refusal = revoked(state.denied);
      return refusal === undefined ? ok([]) : err(refusal);
    },
    renew: async (_spend, revoked) => {
      const refusal = revoked(state.denied);
      return refusal === undefined
        ? ok({ policy: "default", limit: 9, windowSeconds: 9, remaining: 9, resetSeconds: 9, livesUntil: at })
        : err(refusal);
    },
  };
  const clients = { find: async () => state.client, findExternal: async () => undefined };
  const issuers = { of: async () => state.issuer };
  const prove = (tlsClientAuth?: unknown) =>
    proveStored(authority, "use", { clients, issuers }, state.at, tlsClientAuth);
  return { state, prove, ports: { limiter, clock: () => state.at } };
}

test("a use of an authority is a proven caller after its token has ended", async ({ expect }) => {
  const { prove, ports } = await begun();
  const caller = await prove();
  if (!caller.ok) throw new Error(caller.error.reason);
  expect(isProven(caller.value)).toBe(true);
  expect(caller.value.who.authority).toBe("a".repeat(32));
  const gate = await openReleaseGate(caller.value, ports);
  expect(gate.ok && (await gate.value.stillGood())).toEqual({ ok: true, value: undefined });
});

test("an origin gets the certificate of the request that goes on under an authority", async ({ expect }) => {
  const { prove } = await begun();
  const tlsClientAuth = { certRFC9440: ":AAAA:" };
  const [caller, alone] = [await prove(tlsClientAuth), await prove()];
  expect([caller.ok && caller.value.tlsClientAuth, alone.ok && alone.value.tlsClientAuth]).toEqual([
    tlsClientAuth,
    undefined,
  ]);
});

const ends: readonly (readonly [string, Denial, string])[] = [
  ["itself", { kind: "authority", client: "telehealth", authority: "a".repeat(32) }, "authority_denied"],
  ["its person", { kind: "person", issuer: publicUrl, subject: "telehealth" }, "person_denied"],
  ["its client", { kind: "client", client: "telehealth" }, "client_denied"],
  ["its certificate", { kind: "certificate", x5t }, "certificate_denied"],
  ["the key of its token", { kind: "key", issuer: publicUrl, keyId: "token-1" }, "key_denied"],
  ["its token", { kind: "token", issuer: publicUrl, id: "jti", until: at }, "token_denied"],
  ["its agreement", { kind: "agreement", client: "telehealth", agreement: "baa" }, "agreement_denied"],
  ["its grant", { kind: "grant", client: "telehealth", origin: "main", purpose: "TREAT" }, "grant_denied"],
];

test.for(ends)(
  "P4: a denial of %s ends a use that has begun, and each later use",
  async ([, denial, reason], { expect }) => {
    const { state, prove, ports } = await begun();
    const caller = await prove();
    if (!caller.ok) throw new Error(caller.error.reason);
    const gate = await openReleaseGate(caller.value, ports);
    state.denied = new Set(["other", denialName(denial)]);
    expect(gate.ok && (await gate.value.stillGood())).toMatchObject({ error: { reason } });
    const again = await prove();
    expect(again.ok && (await openReleaseGate(again.value, ports))).toMatchObject({ error: { reason } });
  },
);

test.for<readonly [string, string, (state: Awaited<ReturnType<typeof begun>>["state"]) => unknown]>([
  ["its end comes", "token_expired", (state) => (state.at = instant(at + 5 * hour))],
  ["the client leaves the registry", "client_unknown", (state) => (state.client = undefined)],
  [
    "the client is suspended",
    "client_suspended",
    (state) => (state.client = { ...record, status: "suspended" }),
  ],
  [
    "the certificate is taken out",
    "certificate_not_registered",
    (state) => (state.client = { ...record, certificates: [] }),
  ],
  [
    "the agreement ends",
    "purpose_not_in_agreement",
    (state) => (state.client = { ...record, agreements: [] }),
  ],
  ["the grant is taken back", "grant_missing", (state) => (state.client = { ...record, grants: [] })],
  ["its issuer leaves the registry", "issuer_unknown", (state) => (state.issuer = undefined)],
  [
    "its issuer withdraws the token's key",
    "key_unknown",
    (state) => (state.issuer = issuerStandingOf({ iss: publicUrl }, [])),
  ],
])(
  "a use that has begun ends when %s, and no later use begins: %s",
  async ([, reason, change], { expect }) => {
    const { state, prove, ports } = await begun();
    const caller = await prove();
    if (!caller.ok) throw new Error(caller.error.reason);
    const gate = await openReleaseGate(caller.value, ports);
    change(state);
    expect(gate.ok && (await gate.value.stillGood()), "the real reason is on record").toMatchObject({
      error: { reason },
    });
    expect((await prove()).ok).toBe(false);
  },
);

test("a use ends when the grant's policy is another one: its answer was made for the former", async ({
  expect,
}) => {
  const { state, prove, ports } = await begun();
  const caller = await prove();
  if (!caller.ok) throw new Error(caller.error.reason);
  const gate = await openReleaseGate(caller.value, ports);
  state.client = {
    ...record,
    grants: record.grants.map((grant) => Object.assign({}, grant, { policyDigest: "sha256:2" })),
  };
  expect(gate.ok && (await gate.value.stillGood()).ok).toBe(false);
  const again = await prove();
  expect(again.ok && again.value.who.grant.policyDigest, "the next use is judged by it").toBe("sha256:2");
});
