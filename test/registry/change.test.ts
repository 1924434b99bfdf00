import { test } from "vitest";
import { changeDocument } from "#registry/change-document";
import { changeRegistry, type RegistryChanges } from "#registry/merge";
import { exportRegistry } from "#registry/export";
import { planChanges, type PlannedChange } from "#registry/plan";
import { replayRegistry, type RecordedChange } from "#registry/replay";
import { readChange, readRegistry } from "#registry/read";
import { agreementEntry, clientEntry, grantKey, type RegistryState } from "#registry/state";
import { registryFile, withValue } from "../support/registry-file.ts";

const sample = await registryFile();
const publicUrl = "https://gateway.example.org";
const policy = { digest: `sha256:${"1".repeat(64)}`, name: "treat", purposes: ["TREAT"], body: {} };

function registered(file: unknown = sample): RegistryState {
  const read = readRegistry(file, publicUrl);
  if (!read.ok) throw new Error(read.error.pointer);
  const { clients, agreements, origins, grants } = read.value;
  return {
    issuers: new Map(),
    clients: new Map(clients.map((client) => [client.id, clientEntry(client)])),
    certificates: new Map([["telehealth", [{ x5t: "A".repeat(43), from: undefined, to: undefined }]]]),
    certificateSubjects: new Map(),
    agreements: new Map(agreements.map((agreement) => [agreement.id, agreementEntry(agreement)])),
    policies: new Map([[policy.digest, policy]]),
    grants: new Map(grants.map((grant) => [grantKey(grant), { ...grant, policy: policy.digest }])),
    origins: new Map(origins.map((origin) => [origin.name, origin])),
  };
}

function change(document: object, there = registered(), operatorIssuers: readonly string[] = []) {
  const read = readChange(document, publicUrl);
  if (!read.ok) return read;
  const set = read.value.set;
  const prepared = {
    policies: (set?.policies ?? []).map(() => policy),
    certificates: (set?.clients ?? []).map(({ certificates }) =>
      certificates.flatMap((x5t) =>
        typeof x5t === "string" ? [{ x5t, from: undefined, to: undefined }] : [],
      ),
    ),
    certificateSubjects: (set?.clients ?? []).map(() => []),
  };
  return changeRegistry(there, read.value, prepared, new Set(operatorIssuers));
}

const made = (document: object, there?: RegistryState): RegistryChanges => {
  const done = change(document, there);
  if (!done.ok) throw new Error(`${done.error.pointer} ${done.error.problem}`);
  return done.value;
};
const [client] = sample.clients;
const [agreement] = sample.agreements;
const [grant] = sample.grants;
const grantName = { client: "telehealth", origin: "main", purpose: "TREAT" };

test("a change sets a quota, a key set and a client's status, and touches nothing else", ({ expect }) => {
  const quotas = { default: { requests: 7, windowSeconds: 60 } };
  const { grants, clients, removed, agreements } = made({
    set: {
      policies: sample.policies,
      clients: [{ ...client, status: "suspended" }],
      grants: [{ ...grant, quotas }],
    },
  });
  expect(grants).toMatchObject({ added: [], changed: [{ quotas }] });
  expect(clients).toMatchObject({ added: [], changed: [{ status: "suspended" }] });
  expect([removed.clients, removed.grants, agreements.changed]).toEqual([[], [], []]);
});

test("an agreement may end earlier, and can never run longer or name a different document", ({ expect }) => {
  const sets = (changed: object) => ({ set: { agreements: [{ ...agreement, ...changed }] } });
  expect(made(sets({ to: "2026-12-01" })).agreements.changed).toMatchObject([{ to: Date.UTC(2026, 11, 1) }]);
  for (const [changed, at] of [
    [{ to: "2029-01-01" }, "to"],
    [{ purposes: ["TREAT"] }, "purposes"],
    [{ to: "2026-12-01", documentHash: "1".repeat(64) }, "documentHash"],
    [{ to: "2026-12-01", from: "2026-02-01" }, "from"],
  ] as const)
    expect(change(sets(changed))).toMatchObject({
      ok: false,
      error: { reason: "conflict", pointer: `/set/agreements/0/${at}` },
    });
});

test("a suspension ends only for a client that the change reinstates by name", ({ expect }) => {
  const there = registered(withValue(sample, "/clients/0/status", "suspended"));
  expect(change({ set: { clients: [client] } }, there)).toMatchObject({
    ok: false,
    error: { pointer: "/set/clients/0/status" },
  });
  expect(
    made({ set: { clients: [client] }, reinstate: ["telehealth"] }, there).clients.changed,
  ).toMatchObject([{ status: "active" }]);
  expect(change({ reinstate: ["telehealth"] }, there)).toMatchObject({
    ok: false,
    error: { pointer: "/reinstate/0" },
  });
});

test("a removed client takes its certificates, agreements and grants with it", ({ expect }) => {
  const there = registered();
  const changes = made({ remove: { clients: ["telehealth"] } }, there);
  expect(changes.removed).toMatchObject({
    clients: ["telehealth"],
    agreements: [{ id: "telehealth-baa" }],
    grants: [grantName],
  });
  expect(planChanges(there, changes).map(({ kind, name, after }) => [kind, name, after])).toEqual([
    ["client", "telehealth", undefined],
    ["certificate", `telehealth ${"A".repeat(43)}`, undefined],
    ["agreement", "telehealth-baa", undefined],
    ["grant", "telehealth main TREAT", undefined],
  ]);
});

test("an entry that a remaining entry names is not removed", ({ expect }) => {
  for (const [list, name] of [
    ["origins", "main"],
    ["agreements", "telehealth-baa"],
  ] as const)
    expect(change({ remove: { [list]: [name] } })).toMatchObject({
      ok: false,
      error: { reason: "conflict", pointer: `/remove/${list}/0` },
    });
  expect(made({ remove: { origins: ["main"], grants: [grantName] } }).removed.origins).toEqual(["main"]);
});

test("a grant moves to a new agreement while the former agreement is removed", ({ expect }) => {
  const renewed = { ...agreement, id: "telehealth-baa-2", to: "2030-01-01" };
  const { agreements, grants, removed } = made({
    set: {
      agreements: [renewed],
      policies: sample.policies,
      grants: [{ ...grant, agreement: renewed.id }],
    },
    remove: { agreements: ["telehealth-baa"] },
  });
  expect(agreements.added).toMatchObject([{ id: renewed.id }]);
  expect(grants.changed).toMatchObject([{ agreement: renewed.id }]);
  expect(removed.agreements).toMatchObject([{ id: "telehealth-baa" }]);
});

test("a name that is not registered, is repeated, or is set as well is an error with its place", ({
  expect,
}) => {
  for (const [document, at] of [
    [{ remove: { clients: ["telehealht"] } }, "/remove/clients/0"],
    [{ remove: { grants: [grantName, grantName] } }, "/remove/grants/1"],
    [{ set: { clients: [client] }, remove: { clients: ["telehealth"] } }, "/remove/clients/0"],
    [{ remove: { policies: [policy.digest] } }, "/remove/policies"],
    [{ set: { clients: [{ ...client, dpop: "yes" }] } }, "/set/clients/0/dpop"],
    [{ sets: {} }, "/sets"],
  ] as const)
    expect(change(document)).toMatchObject({ ok: false, error: { pointer: at } });
});

test("a change without any member changes nothing", ({ expect }) => {
  expect(changeDocument.parse({})).toEqual({
    remove: { issuers: [], clients: [], agreements: [], grants: [], origins: [] },
    reinstate: [],
  });
  expect(planChanges(registered(), made({}))).toEqual([]);
});

test("the registry is rebuilt from the recorded changes, and a change that no record made is named", ({
  expect,
}) => {
  const nothing: RegistryState = {
    issuers: new Map(),
    clients: new Map(),
    certificates: new Map(),
    certificateSubjects: new Map(),
    agreements: new Map(),
    policies: new Map(),
    grants: new Map(),
    origins: new Map(),
  };
  const first = planChanges(nothing, made({ set: sample }, nothing));
  const there = registered();
  const suspension = planChanges(there, made({ set: { clients: [{ ...client, status: "suspended" }] } }));
  const removal = planChanges(there, made({ remove: { grants: [grantName] } }));
  // a record is JSON: an absent field is no member there
  const recorded = (request: string, entries: readonly PlannedChange[]): RecordedChange => ({
    request,
    entries: JSON.parse(JSON.stringify(entries)),
  });
  const all = [recorded("1", first), recorded("2", suspension), recorded("3", removal)];
  const { registry, gaps } = replayRegistry(all);
  const after: RegistryState = {
    ...there,
    clients: new Map(
      [...there.clients].map(([id, each]) => [
        id,
        each.id === client?.id ? { ...each, status: "suspended" } : each,
      ]),
    ),
    grants: new Map([...there.grants].filter(([key]) => key !== grantKey(grantName))),
  };
  expect(gaps).toEqual([]);
  expect(registry).toEqual(JSON.parse(JSON.stringify(exportRegistry(after, [policy]))));
  expect(replayRegistry(all.slice(1)).gaps.map(({ request, kind }) => [request, kind])).toEqual([
    ["2", "client"],
    ["3", "grant"],
  ]);
  expect(replayRegistry(all.slice(0, 1)).registry).not.toEqual(registry);
});

test("an issuer at which an active operator signs in is not removed", ({ expect }) => {
  const iss = "https://login.example.org";
  const issuer = {
    iss,
    jwksUri: `${iss}/jwks`,
    algs: ["ES256" as const],
    audience: "ops",
    purpose: { fixed: ["TREAT"] },
    claims: {},
  };
  const there = { ...registered(), issuers: new Map([[iss, issuer]]) };
  expect(change({ remove: { issuers: [iss] } }, there, [iss])).toMatchObject({
    ok: false,
    error: { reason: "conflict", pointer: "/remove/issuers/0" },
  });
  expect(change({ remove: { issuers: [iss] } }, there)).toMatchObject({ ok: true });
});
