import * as fc from "fast-check";
import { test } from "vitest";
import {
  authorityMillisecondsMax,
  endOfAuthority,
  evidenceText,
  identifyStored,
  readEvidence,
  storableEvidence,
  type ProvenCaller,
  type StoredAuthority,
  type StoredEvidence,
} from "#identity/authority/authority";
import type { ClientRecord } from "#identity/client";
import type { TrustedIssuer } from "#identity/issuer";
import { issuerStandingOf, type IssuerStanding } from "#identity/authority/issuer-standing";
import type { PublicJwk } from "#identity/jose/jwk";
import { identify, type Evidence, type Principal } from "#identity/principal";
import { instant } from "#kernel/clock";
import { at, clientRecord, presented, publicUrl, vouched } from "../support/credentials.ts";

const { x5t } = presented("telehealth");
const signingKey: PublicJwk = { kty: "EC", crv: "P-256", x: "x", y: "y" };
const day = 86_400_000;
const agreement = { id: "baa", purposes: ["TREAT"], from: instant(at - day), to: instant(at + 30 * day) };
const client = clientRecord([], { agreements: [agreement] });
const live: Evidence = {
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
    scopes: [{ context: "system", type: "Patient", permissions: ["r"], filters: [] }],
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
const principal = (evidence: Evidence): Principal => {
  const who = identify(evidence);
  if (!who.ok) throw new Error(who.error.reason);
  return who.value;
};
const key = (kid?: string) => ({ ...signingKey, ...(kid && { kid }) });
const issuer = issuerStandingOf({ iss: publicUrl }, [key("token-1")]);
const certificateEnds = instant(at + 20 * day);
const shown = (
  { token, certificate }: Pick<Evidence, "token" | "certificate">,
  who: Principal,
): ProvenCaller => ({
  who,
  token,
  certificate,
  certificateEnds: certificate && certificateEnds,
});
const stored = (evidence = live): StoredEvidence => {
  const kept = storableEvidence(shown(evidence, principal(evidence)), issuer);
  if (!kept.ok) throw new Error(kept.error.reason);
  return kept.value;
};
const authority: StoredAuthority = { id: "a".repeat(32), ends: instant(at + 7 * day), evidence: stored() };
const later = instant(at + day);
const use = (
  record: ClientRecord | undefined,
  moment = later,
  of = authority,
  by: IssuerStanding | undefined = issuer,
) => identifyStored(of, "use", { client: record, issuer: by }, moment);

test("an authority is judged as its live token would be: only its end and its name are its own", ({
  expect,
}) => {
  const changes: fc.Arbitrary<Partial<ClientRecord>> = fc.oneof(
    fc.constant({}),
    fc.constantFrom("active", "suspended").map((status) => ({ status }) as const),
    fc.constantFrom("key", "certificate").map((tokensBoundTo) => ({ tokensBoundTo }) as const),
    fc.constant({ agreements: [] }),
    fc.constant({ grants: [] }),
    fc.constant({ certificates: [] }),
    fc.integer({ min: -40, max: 40 }).map((days) => ({
      agreements: [{ ...agreement, to: instant(at + days * day) }],
    })),
    fc.integer({ min: -40, max: 40 }).map((days) => ({
      certificates: [{ x5t, from: undefined, to: instant(at + days * day) }],
    })),
    fc.constantFrom("system", "patient", "user").map((context) => ({
      grants: client.grants.map((grant) => ({
        ...grant,
        scopes: [{ context, type: "Patient", permissions: ["r" as const], filters: [] } as const],
      })),
    })),
  );
  fc.assert(
    fc.property(changes, fc.integer({ min: 0, max: 7 * day - 1 }), (change, passed) => {
      const [record, moment] = [{ ...client, ...change }, instant(at + passed)];
      const token = { ...live.token, expires: authority.ends };
      const twin = identify({ ...live, token, client: record, at: moment });
      const used = use(record, moment);
      const own = { authority: authority.id };
      expect(used).toEqual(twin.ok ? { ok: true, value: { ...twin.value, ...own } } : twin);
    }),
  );
});

test("an authority ends at its end, and with the client that made it", ({ expect }) => {
  expect(use(client).ok).toBe(true);
  expect(use(client, instant(authority.ends - 1)).ok).toBe(true);
  expect(use(client, authority.ends)).toMatchObject({ error: { reason: "authority_ended" } });
  expect(use(undefined)).toMatchObject({ error: { reason: "client_unknown" } });
});

test("a key-bound authority names its key, so that a denial of the key ends it", ({ expect }) => {
  const keyed = { ...client, tokensBoundTo: "key" as const, certificates: [] };
  const proof = { jkt: "J".repeat(43), id: "proof", made: at };
  const evidence: Evidence = {
    ...live,
    token: { ...live.token, binding: { kind: "key", jkt: proof.jkt } },
    certificate: undefined,
    proof,
    client: keyed,
  };
  const used = use(keyed, later, { ...authority, evidence: stored(evidence) });
  expect(used).toMatchObject({ ok: true, value: { proof: { jkt: proof.jkt, id: "use", made: later } } });
});

test("what needs a live caller makes no authority, and ends one when the grant demands it later", ({
  expect,
}) => {
  const demanding = (demand: object): ClientRecord => ({
    ...client,
    grants: client.grants.map((grant) => Object.assign({}, grant, demand)),
  });
  for (const demand of [{ signedRequests: true }, { signedResponses: true }]) {
    const who = principal({ ...live, client: demanding(demand) });
    expect(storableEvidence(shown(live, who), issuer)).toMatchObject({ ok: false });
    expect(use(demanding(demand))).toMatchObject({ error: { reason: "authority_needs_caller" } });
  }
  const who = principal(live);
  const emergency = { justification: "chest pain", personName: undefined, signedInAt: at, until: later };
  for (const change of [{ unbound: true }, { emergency }])
    expect(storableEvidence(shown(live, { ...who, ...change }), issuer)).toMatchObject({ ok: false });
  const needsCaller = { error: { reason: "authority_needs_caller" } };
  const endless = { ...shown(live, who), certificateEnds: undefined };
  expect(storableEvidence(endless, issuer), "a certificate without an end").toMatchObject(needsCaller);
  const nameless = { ...shown(live, who), token: { ...live.token, keyId: undefined } };
  expect(storableEvidence(nameless, issuer), "a key without a name").toMatchObject(needsCaller);
});

test("an authority ends with the certificate that made it, also if the registry knows no end of it", ({
  expect,
}) => {
  const open = {
    ...client,
    certificates: [{ x5t, from: undefined, to: undefined }],
    agreements: [agreement],
  };
  const evidence = { ...authority.evidence, certificateEnds: instant(at + 2 * day) };
  expect(use(open, instant(at + 2 * day - 1), { ...authority, evidence }).ok).toBe(true);
  expect(use(open, instant(at + 2 * day), { ...authority, evidence })).toMatchObject({
    error: { reason: "authority_ended" },
  });
});

test("an authority ends with its issuer's entry, with a change of the entry, and with the token's key", ({
  expect,
}) => {
  const entry: TrustedIssuer = {
    iss: "https://issuer.example.org",
    keys: [],
    algorithms: ["ES256"],
    audience: "phylax",
    purpose: { claim: "purpose" },
    claims: { client: "azp" },
  };
  const digest = ({ digest: text }: IssuerStanding) => text;
  const before = issuerStandingOf(entry, [key("token-1")]);
  const copy = issuerStandingOf({ ...structuredClone(entry), jwksUri: undefined }, [key("token-2"), key()]);
  expect(digest(copy), "a replaced key is no other entry").toBe(digest(before));
  for (const change of [
    { audience: "other" },
    { algorithms: ["PS256" as const] },
    { jwksUri: "https://other.example.org" },
    { claims: { client: "client" } },
    { purpose: { fixed: ["TREAT"] } },
  ])
    expect(digest(issuerStandingOf({ ...entry, ...change }, []))).not.toBe(digest(before));
  const made: StoredAuthority = {
    ...authority,
    evidence: { ...authority.evidence, issuerEntry: before.digest },
  };
  expect(use(client, later, made, before).ok).toBe(true);
  const refusals = [undefined, issuerStandingOf({ ...entry, audience: "other" }, [key("token-1")]), copy].map(
    (now) => identifyStored(made, "use", { client, issuer: now }, later),
  );
  expect(refusals).toMatchObject([
    { error: { reason: "issuer_unknown" } },
    { error: { reason: "issuer_unknown" } },
    { error: { reason: "key_unknown" } },
  ]);
});

test("evidence at rest is the evidence that was stored, with the bytes of its certificate", ({ expect }) => {
  const certificate = {
    x5t,
    voucher: { kind: "authority", subjectDn: "CN=a", issuerDn: "CN=b", der: Uint8Array.of(1, 2, 250) },
  } as const;
  const evidence = { ...authority.evidence, certificate };
  expect(readEvidence(evidenceText(evidence))).toEqual(evidence);
  expect(readEvidence(evidenceText(authority.evidence))).toEqual(authority.evidence);
  expect(readEvidence(evidenceText(evidence).replace('"version":1', '"version":2'))).toBeUndefined();
});

test("an authority lasts 90 days at most, and no longer than its certificate", ({ expect }) => {
  const time = fc.integer({ min: at - 400 * day, max: at + 400 * day }).map(instant);
  fc.assert(
    fc.property(time, fc.option(time, { nil: undefined }), (asked, certificateEnds) => {
      const ends = endOfAuthority(at, asked, certificateEnds);
      for (const bound of [asked, certificateEnds ?? Infinity, at + authorityMillisecondsMax])
        expect(ends).toBeLessThanOrEqual(bound);
      expect([asked, certificateEnds, at + authorityMillisecondsMax]).toContain(ends);
    }),
  );
});
