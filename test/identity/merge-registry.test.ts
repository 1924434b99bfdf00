import { test } from "vitest";
import { instant } from "#kernel/clock";
import { mergeRegistry, type MergeMode } from "#identity/merge-registry";
import { readRegistry } from "#identity/read-registry";
import { agreementEntry, clientEntry, grantKey, issuerEntry, type RegistryState } from "#identity/registry-state";
import { registryFile, withValue, type RegistryFile } from "../support/registry-file.ts";

const sample = await registryFile();
const policy = { digest: `sha256:${"1".repeat(64)}`, name: "treat", purposes: ["TREAT"], body: {} };
const nothing: RegistryState = {
  issuers: new Map(),
  clients: new Map(),
  certificates: new Map(),
  agreements: new Map(),
  policies: new Map(),
  grants: new Map(),
  origins: new Map(),
};

function read(file: RegistryFile) {
  const document = readRegistry(file, "https://gateway.example.org");
  if (!document.ok) throw new Error(document.error.pointer);
  return document.value;
}

/** The registry as it is once the sample is in it. */
function filled(): RegistryState {
  const file = read(sample);
  return {
    issuers: new Map(file.issuers.map((issuer) => [issuer.iss, issuerEntry(issuer)])),
    clients: new Map(file.clients.map((client) => [client.id, clientEntry(client)])),
    certificates: new Map([["telehealth", [{ x5t: "A".repeat(43), from: undefined, to: undefined }]]]),
    agreements: new Map(file.agreements.map((agreement) => [agreement.id, agreementEntry(agreement)])),
    policies: new Map([[policy.digest, policy]]),
    grants: new Map(file.grants.map((grant) => [grantKey(grant), { ...grant, policy: policy.digest }])),
    origins: new Map(file.origins.map((origin) => [origin.name, origin])),
  };
}

function merge(there: RegistryState, file: RegistryFile, mode: MergeMode = "add") {
  const document = read(file);
  const certificates = document.clients.map((client) => client.certificates.map((x5t) => ({ x5t, from: undefined, to: undefined })));
  return mergeRegistry(there, document, { policies: document.policies.map(() => policy), certificates }, mode);
}

test("into an empty registry everything is added, and the second time nothing", ({ expect }) => {
  const once = merge(nothing, sample);
  expect(once).toMatchObject({
    ok: true,
    value: { clients: { added: [{ id: "telehealth" }] }, grants: { added: [{ policy: policy.digest }] } },
  });
  const twice = merge(filled(), sample);
  expect(twice.ok && Object.values(twice.value).flatMap((each) => (Array.isArray(each) ? each : Object.values(each).flat()))).toEqual([]);
});

test.for([
  ["/clients/0/kind", "/clients/0/kind", "payer"],
  ["/clients/0/assertionProfile", "/clients/0/assertionProfile", "smart"],
  ["/clients/0/jwks/keys/0/kid", "/clients/0/jwks", "another"],
  ["/clients/0/status", "/clients/0/status", "suspended"],
  ["/agreements/0/to", "/agreements/0/to", "2030-01-01"],
  ["/agreements/0/purposes", "/agreements/0/purposes", ["TREAT"]],
  ["/grants/0/scopes", "/grants/0/scopes", "system/Patient.r"],
  ["/grants/0/quotas/default/requests", "/grants/0/quotas", 7],
  ["/origins/0/url", "/origins/0/url", "https://elsewhere.example.org/r4"],
] as const)("an entry that differs at %s from what is registered is a clash, by its pointer", ([at, pointer, value], { expect }) => {
  expect(merge(filled(), withValue(sample, at, value))).toMatchObject({ ok: false, error: { reason: "clash", pointer } });
});

test("replacing takes the file's content, but neither changes an agreement nor lifts a suspension", ({ expect }) => {
  const quotas = withValue(sample, "/grants/0/quotas/default/requests", 7);
  expect(merge(filled(), quotas, "replace")).toMatchObject({
    ok: true,
    value: { grants: { changed: [{ quotas: { default: { requests: 7 } } }] } },
  });
  const agreement = withValue(sample, "/agreements/0/to", "2030-01-01");
  expect(merge(filled(), agreement, "replace")).toMatchObject({ ok: false, error: { reason: "clash", pointer: "/agreements/0/to" } });
  const there = filled();
  const suspended = {
    ...there,
    clients: new Map([...there.clients].map(([id, client]) => [id, { ...client, status: "suspended" as const }])),
  };
  expect(merge(suspended, sample, "replace")).toMatchObject({ ok: false, error: { reason: "clash", pointer: "/clients/0/status" } });
});

test("a new certificate is added beside the old one; only replacing takes the old one out", ({ expect }) => {
  const rotated = withValue(sample, "/clients/0/certificates", ["B".repeat(43)]);
  expect(merge(filled(), rotated)).toMatchObject({ ok: true, value: { certificates: { added: [{ x5t: "B".repeat(43) }], removed: [] } } });
  expect(merge(filled(), rotated, "replace")).toMatchObject({ ok: true, value: { certificates: { removed: [{ x5t: "A".repeat(43) }] } } });
});

test.for(["clients", "agreements", "grants", "origins"] as const)(
  "%s that are in a file twice clash, by the second's pointer",
  (list, { expect }) => {
    const twice = { ...sample, [list]: [...sample[list], ...sample[list]] };
    expect(merge(nothing, twice)).toMatchObject({ ok: false, error: { reason: "clash", pointer: `/${list}/1` } });
  },
);

test.for([
  ["/agreements/0/client", "nobody"],
  ["/grants/0/client", "nobody"],
  ["/grants/0/origin", "elsewhere"],
  ["/grants/0/agreement", "none"],
  ["/grants/0/policy", "unheard-of"],
  ["/grants/0/purpose", "HRESCH"], // the agreement does not permit it
  ["/grants/0/purpose", "COC"], // the agreement permits it, the policy does not serve it
] as const)("a reference to nothing at %s is refused by its pointer", ([pointer, value], { expect }) => {
  expect(merge(nothing, withValue(sample, pointer, value))).toMatchObject({ ok: false, error: { reason: "invalid", pointer } });
});

test("an agreement of another client gives no grant", ({ expect }) => {
  const [client] = sample.clients;
  const two = { ...sample, clients: client === undefined ? [] : [client, { ...client, id: "other" }] };
  expect(merge(nothing, withValue(two, "/grants/0/client", "other"))).toMatchObject({
    ok: false,
    error: { pointer: "/grants/0/agreement" },
  });
});

test("a date alone is its first moment in UTC, and an offset is kept to", ({ expect }) => {
  const [agreement] = read(sample).agreements.map(agreementEntry);
  expect(agreement?.from).toBe(instant(Date.UTC(2026, 0, 1)));
  expect(agreement?.to).toBe(instant(Date.UTC(2028, 0, 1, 5)));
});
