import { test } from "vitest";
import { openings } from "#authoring/openings";
import type { PlannedChange } from "#registry/plan";

const policy = (...show: string[]) => ({
  format: "phylax.policy.v1",
  name: "who",
  title: "Who a patient is",
  purposes: ["TREAT"],
  rules: [
    {
      types: ["Patient"],
      interactions: ["read"],
      show,
      why: "45 CFR 164.506(c)",
      examples: [{ says: "A patient is read by id.", request: "Patient/1", is: "permitted" }],
    },
  ],
});
const policies = { wide: policy("name", "birthDate"), narrow: policy("name"), unreadable: { rules: [] } };

const changed = (kind: PlannedChange["kind"], before: object, after: object) =>
  openings([{ kind, name: "it", before, after }], policies);
const quota = (requests: number, windowSeconds = 60) => ({ default: { requests, windowSeconds } });
const key = (kid: string) => ({ kty: "EC", kid });

test("each new entry opens access, and no removal does", ({ expect }) => {
  for (const kind of ["issuer", "origin", "policy", "client", "certificate", "agreement", "grant"] as const) {
    expect(openings([{ kind, name: "it", before: undefined, after: {} }], {})).toEqual([`${kind} it is new`]);
    expect(openings([{ kind, name: "it", before: {}, after: undefined }], {})).toEqual([]);
  }
});

test.for<readonly [PlannedChange["kind"], object, object]>([
  ["client", { status: "active" }, { status: "suspended" }],
  ["client", { jwks: { keys: [key("1"), key("2")] } }, { jwks: { keys: [key("2")] } }],
  ["client", { corsOrigins: ["a", "b"] }, { corsOrigins: ["a"] }],
  ["client", { unboundUntil: 2 }, { unboundUntil: 1 }],
  ["client", { unboundUntil: 2 }, {}],
  ["client", {}, { patient: "amara" }],
  ["agreement", { to: 2 }, { to: 1 }],
  ["grant", { scopes: "system/*.rs system/Patient.u" }, { scopes: "system/*.rs" }],
  ["grant", { quotas: quota(10) }, { quotas: quota(9) }],
  ["grant", { quotas: quota(10) }, { quotas: { ...quota(10), records: { records: 1, windowSeconds: 60 } } }],
  ["grant", { signedRequests: false }, { signedRequests: true }],
  ["grant", { policy: "wide" }, { policy: "narrow" }],
])("%s: %o to %o permits no more", ([kind, before, after], { expect }) => {
  expect(changed(kind, before, after)).toEqual([]);
  expect(changed(kind, after, before), "the way back").toHaveLength(1);
});

test.for<readonly [PlannedChange["kind"], object, object]>([
  ["client", { jwks: { keys: [key("1")] } }, { jwks: { keys: [key("2")] } }],
  ["client", { patient: "amara" }, { patient: "bela" }],
  ["client", { dpop: true }, { dpop: false }],
  ["client", { organization: ["a|1"] }, { organization: ["a|2"] }],
  ["grant", { quotas: quota(10, 60) }, { quotas: quota(9, 30) }],
  ["grant", { breakGlass: { a: 1 } }, { breakGlass: { a: 2 } }],
  ["grant", { agreement: "a" }, { agreement: "b" }],
  ["grant", { policy: "wide" }, { policy: "unreadable" }],
  ["grant", { policy: "wide" }, { policy: "unknown" }],
  ["origin", { url: "a" }, { url: "b" }],
  ["issuer", { algs: ["ES256"] }, { algs: ["RS256"] }],
  ["grant", { aFieldOfALaterVersion: 1 }, { aFieldOfALaterVersion: 2 }],
])("%s: %o to %o is not known to permit less, so it opens", ([kind, before, after], { expect }) => {
  expect(changed(kind, before, after)).toEqual([`${kind} it: ${Object.keys(before)[0]}`]);
});
