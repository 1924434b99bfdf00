import { test } from "vitest";
import { instant } from "#kernel/clock";
import { mergeRegistry, type MergeMode } from "#registry/merge";
import { readRegistry } from "#registry/read";
import { agreementEntry, clientEntry, grantKey, type RegistryState } from "#registry/state";
import { registryFile, withExternalClient, withSignIn, withValue } from "../support/registry-file.ts";

const sample = await registryFile();
const external = await withExternalClient(sample);
const policy = { digest: `sha256:${"1".repeat(64)}`, name: "treat", purposes: ["TREAT"], body: {} };
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

function read(file: unknown) {
  const document = readRegistry(file, "https://gateway.example.org");
  if (!document.ok) throw new Error(document.error.pointer);
  return document.value;
}

/** The registry after the sample was merged into it. */
function filled(whole: unknown = sample): RegistryState {
  const file = read(whole);
  return {
    issuers: new Map(file.issuers.map((issuer) => [issuer.iss, issuer])),
    clients: new Map(file.clients.map((client) => [client.id, clientEntry(client)])),
    certificates: new Map([["telehealth", [{ x5t: "A".repeat(43), from: undefined, to: undefined }]]]),
    certificateSubjects: new Map(),
    agreements: new Map(file.agreements.map((agreement) => [agreement.id, agreementEntry(agreement)])),
    policies: new Map([[policy.digest, policy]]),
    grants: new Map(file.grants.map((grant) => [grantKey(grant), { ...grant, policy: policy.digest }])),
    origins: new Map(file.origins.map((origin) => [origin.name, origin])),
  };
}

function merge(there: RegistryState, file: unknown, mode: MergeMode = "add") {
  const document = read(file);
  const certificates = document.clients.map((client) =>
    client.certificates.flatMap((x5t) =>
      typeof x5t === "string" ? [{ x5t, from: undefined, to: undefined }] : [],
    ),
  );
  const certificateSubjects = document.clients.map((client) =>
    client.certificates.flatMap((entry) =>
      typeof entry !== "string" && "sanDns" in entry
        ? [{ issuerDn: entry.issuerDn, field: "sanDns" as const, value: entry.sanDns }]
        : [],
    ),
  );
  return mergeRegistry(
    there,
    document,
    { policies: document.policies.map(() => policy), certificates, certificateSubjects },
    mode,
  );
}

test("an empty registry gets every entry, and the second merge adds nothing", ({ expect }) => {
  const once = merge(nothing, sample);
  expect(once).toMatchObject({
    ok: true,
    value: { clients: { added: [{ id: "telehealth" }] }, grants: { added: [{ policy: policy.digest }] } },
  });
  const twice = merge(filled(), sample);
  expect(
    twice.ok &&
      Object.values(twice.value).flatMap((each) => (Array.isArray(each) ? each : Object.values(each).flat())),
  ).toEqual([]);
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
] as const)(
  "an entry that differs at %s from the registry is a conflict, with its pointer",
  ([at, pointer, value], { expect }) => {
    expect(merge(filled(), withValue(sample, at, value))).toMatchObject({
      ok: false,
      error: { reason: "conflict", pointer },
    });
  },
);

test("replacing takes the file's content, but neither changes an agreement nor lifts a suspension", ({
  expect,
}) => {
  const quotas = withValue(sample, "/grants/0/quotas/default/requests", 7);
  expect(merge(filled(), quotas, "replace")).toMatchObject({
    ok: true,
    value: { grants: { changed: [{ quotas: { default: { requests: 7 } } }] } },
  });
  const agreement = withValue(sample, "/agreements/0/to", "2030-01-01");
  expect(merge(filled(), agreement, "replace")).toMatchObject({
    ok: false,
    error: { reason: "conflict", pointer: "/agreements/0/to" },
  });
  const there = filled();
  const suspended = {
    ...there,
    clients: new Map(
      [...there.clients].map(([id, client]) => [id, { ...client, status: "suspended" as const }]),
    ),
  };
  expect(merge(suspended, sample, "replace")).toMatchObject({
    ok: false,
    error: { reason: "conflict", pointer: "/clients/0/status" },
  });
});

test("a new certificate is added next to the old certificate, which only `replace` removes", ({ expect }) => {
  const rotated = withValue(sample, "/clients/0/certificates", ["B".repeat(43)]);
  expect(merge(filled(), rotated)).toMatchObject({
    ok: true,
    value: { certificates: { added: [{ x5t: "B".repeat(43) }], removed: [] } },
  });
  expect(merge(filled(), rotated, "replace")).toMatchObject({
    ok: true,
    value: { certificates: { removed: [{ x5t: "A".repeat(43) }] } },
  });
});

test.for(["clients", "agreements", "grants", "origins"] as const)(
  "%s that are in a file twice clash, by the second's pointer",
  (list, { expect }) => {
    const twice = { ...sample, [list]: [...sample[list], ...sample[list]] };
    expect(merge(nothing, twice)).toMatchObject({
      ok: false,
      error: { reason: "conflict", pointer: `/${list}/1` },
    });
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
  expect(merge(nothing, withValue(sample, pointer, value))).toMatchObject({
    ok: false,
    error: { reason: "invalid", pointer },
  });
});

test("a different client's agreement gives no grant", ({ expect }) => {
  const [client] = sample.clients;
  const two = { ...sample, clients: client === undefined ? [] : [client, { ...client, id: "other" }] };
  expect(merge(nothing, withValue(two, "/grants/0/client", "other"))).toMatchObject({
    ok: false,
    error: { pointer: "/grants/0/agreement" },
  });
});

test("an external issuer and its client are added, conflict if they differ, and are replaced", ({
  expect,
}) => {
  expect(merge(nothing, external)).toMatchObject({
    ok: true,
    value: {
      issuers: { added: [{ iss: "https://issuer.example.org" }] },
      clients: { added: [{}, { issuer: "https://issuer.example.org" }] },
    },
  });
  const there = filled(external);
  const again = merge(there, external);
  expect(again).toMatchObject({
    ok: true,
    value: { issuers: { added: [], changed: [] }, clients: { added: [], changed: [] } },
  });
  for (const [at, pointer, value] of [
    ["/issuers/0/audience", "/issuers/0/audience", "another"],
    ["/issuers/0/purpose", "/issuers/0/purpose", { claim: "pou" }],
    ["/issuers/0/claims/client", "/issuers/0/claims", "appid"],
    ["/issuers/0/jwks/keys/0/kid", "/issuers/0/jwks", "issuer-2"],
    ["/clients/1/externalClientId", "/clients/1/externalClientId", "app-2"],
    ["/clients/1/patient", "/clients/1/patient", "bela"],
    ["/clients/1/patient", "/clients/1/patient", undefined],
  ] as const) {
    const changed = withValue(external, at, value);
    expect(merge(there, changed), at).toMatchObject({ ok: false, error: { reason: "conflict", pointer } });
    expect(merge(there, changed, "replace").ok, at).toBe(true);
  }
});

test("a client of an unknown issuer, and two clients with the same name at an issuer, are refused", ({
  expect,
}) => {
  expect(merge(nothing, withValue(external, "/issuers", []))).toMatchObject({
    error: { reason: "invalid", pointer: "/clients/1/issuer" },
  });
  const second = { ...external.clients[1], id: "second", issuer: "https://issuer.example.org" };
  expect(merge(nothing, withValue(external, "/clients/2", second))).toMatchObject({
    error: { reason: "conflict", pointer: "/clients/1/externalClientId" },
  });
  const alone = { clients: [second] };
  expect(merge(filled(external), alone, "replace")).toMatchObject({
    error: { reason: "conflict", pointer: "/clients/0/externalClientId" },
  });
});

test("only a client of an external issuer may have patient/ scopes", ({ expect }) => {
  expect(merge(nothing, withValue(external, "/grants/0/scopes", "system/*.rs patient/*.rs"))).toMatchObject({
    error: { reason: "invalid", pointer: "/grants/0/scopes" },
  });
});

test("a date alone means its first moment in UTC, and an offset is respected", ({ expect }) => {
  const [agreement] = read(sample).agreements.map(agreementEntry);
  expect(agreement?.from).toBe(instant(Date.UTC(2026, 0, 1)));
  expect(agreement?.to).toBe(instant(Date.UTC(2028, 0, 1, 5)));
});

test("a name under an authority is added once, next to existing certificates, and removed by a replacing file without it", ({
  expect,
}) => {
  const name = { issuerDn: "CN=ca", field: "sanDns", value: "lab.example" };
  const file = withValue(sample, "/clients/0/certificates", [
    "A".repeat(43),
    { issuerDn: "CN=ca", sanDns: "lab.example" },
  ]);
  const there: RegistryState = {
    ...filled(),
    certificateSubjects: new Map([["telehealth", [{ ...name, field: "sanDns" as const }]]]),
  };
  expect(merge(filled(), file)).toMatchObject({
    ok: true,
    value: { certificateSubjects: { added: [{ ...name, client: "telehealth" }], removed: [] } },
  });
  expect(merge(there, file)).toMatchObject({
    ok: true,
    value: { certificateSubjects: { added: [], removed: [] } },
  });
  expect(merge(there, sample)).toMatchObject({
    ok: true,
    value: { certificateSubjects: { added: [], removed: [] } },
  });
  expect(merge(there, sample, "replace")).toMatchObject({
    ok: true,
    value: { certificateSubjects: { added: [], removed: [{ ...name, client: "telehealth" }] } },
  });
});

test("T35: a grant that requires signatures needs a client with a key that can sign", ({ expect }) => {
  const asking = withValue(sample, "/grants/0/signedRequests", true);
  expect(merge(nothing, asking)).toMatchObject({
    ok: true,
    value: { grants: { added: [{ signedRequests: true }] } },
  });
  for (const spoil of [
    (file: unknown) => withValue(file, "/clients/0/jwks/keys/0/kid", undefined),
    (file: unknown) =>
      withValue(withValue(file, "/clients/0/auth", "tls_client_auth"), "/clients/0/jwks", undefined),
  ]) {
    expect(merge(nothing, spoil(asking))).toMatchObject({
      error: { reason: "invalid", pointer: "/grants/0/signedRequests" },
    });
  }
  const elsewhere = withValue(
    withValue(asking, "/clients/0/jwks", undefined),
    "/clients/0/jwksUri",
    "https://client.example.org/jwks",
  );
  expect(merge(nothing, elsewhere).ok).toBe(true);
});

test("signInAt must name a registered issuer with endpoints, and the issuer keeps its endpoints while an origin names it", async ({
  expect,
}) => {
  const signIn = await withSignIn(sample);
  expect(merge(nothing, signIn)).toMatchObject({ ok: true });
  for (const [at, value] of [
    ["/issuers", []],
    ["/issuers/0/endpoints", undefined],
    ["/origins/0/signInAt", "https://other.example.org"],
  ] as const) {
    const alone = withValue(withValue(withValue(signIn, "/clients", []), "/grants", []), "/agreements", []);
    expect(merge(nothing, withValue(alone, at, value)), at).toMatchObject({
      error: { reason: "invalid", pointer: "/origins/0/signInAt" },
    });
  }
  const there = filled(signIn);
  const { issuers } = withValue(signIn, "/issuers/0/endpoints", undefined);
  expect(merge(there, { issuers }, "replace")).toMatchObject({
    error: { reason: "invalid", pointer: "/issuers/0/endpoints" },
  });
  const { origins } = withValue(signIn, "/origins/0/signInAt", undefined);
  expect(merge(there, { origins })).toMatchObject({
    error: { reason: "conflict", pointer: "/origins/0/signInAt" },
  });
  expect(merge(there, { issuers, origins }, "replace")).toMatchObject({ ok: true });
});

test("sign-in endpoints may be added to an issuer without any; no further field changes, and different endpoints are a conflict", async ({
  expect,
}) => {
  const signIn = await withSignIn(sample);
  const before = filled(
    withValue(withValue(signIn, "/issuers/0/endpoints", undefined), "/origins/0/signInAt", undefined),
  );
  expect(merge(before, signIn)).toMatchObject({
    value: {
      issuers: { added: [], changed: [{}] },
      origins: { added: [], changed: [{}] },
      clients: { added: [], changed: [] },
    },
  });
  expect(merge(before, withValue(signIn, "/issuers/0/audience", "another"))).toMatchObject({
    error: { reason: "conflict", pointer: "/issuers/0/audience" },
  });
  const elsewhere = withValue(signIn, "/issuers/0/endpoints/token", "https://issuer.example.org/2");
  expect(merge(filled(signIn), elsewhere)).toMatchObject({
    error: { reason: "conflict", pointer: "/issuers/0/endpoints" },
  });
});

test.for([" ", "\u00A0", "Acme\u202Egro", "Acme\nSecond row", "a\u0000", "a\u2066b", "a\u2028b", "a\ud800"])(
  "%j is no name of an entity: it could be read as a different name",
  (name, { expect }) => {
    const read = readRegistry(
      withValue(sample, "/clients/0/entity", { name }),
      "https://gateway.example.org",
    );
    expect(read).toMatchObject({ ok: false, error: { pointer: "/clients/0/entity/name" } });
  },
);

test("a file that adds entries sets an entity that is missing, keeps one that it omits, and renames none", ({
  expect,
}) => {
  const named = withValue(sample, "/clients/0/entity", {
    name: "Lantern Telehealth",
    address: "Springfield",
  });
  expect(merge(filled(), named)).toMatchObject({
    ok: true,
    value: { clients: { changed: [{ entity: { name: "Lantern Telehealth" } }] } },
  });
  expect(merge(filled(named), sample)).toMatchObject({ ok: true, value: { clients: { changed: [] } } });
  const renamed = withValue(sample, "/clients/0/entity", { name: "Another" });
  expect(merge(filled(named), renamed)).toMatchObject({
    ok: false,
    error: { reason: "conflict", pointer: "/clients/0/entity" },
  });
  expect(merge(filled(named), renamed, "change")).toMatchObject({
    ok: true,
    value: { clients: { changed: [{ entity: { name: "Another" } }] } },
  });
});

test("no entry's storage base overlaps with the server or the storage of another entry, in any spelling", ({
  expect,
}) => {
  const origin = (name: string, url: string, ...storage: readonly string[]) => ({
    name,
    url,
    credentials: { kind: "none" },
    ...(storage.length > 0 && { storage: storage.map((base) => ({ base, bytesMax: 1_000 })) }),
  });
  const there = (...origins: readonly object[]) => filled({ origins });
  const main = origin("main", "https://fhir.example/r4", "https://files.example/notes/");
  const meets = (...entries: readonly object[]) => {
    const merged = merge(there(main), { origins: entries });
    return merged.ok ? undefined : merged.error.pointer;
  };
  expect(meets(origin("other", "https://fhir.example/r5", "https://files.example/other/"))).toBeUndefined();
  expect(meets(origin("other", "https://fhir.example/r5", "https://files.example/notes-of-others/"))).toBe(
    undefined,
  );
  for (const base of [
    "https://files.example/",
    "https://files.example/notes/",
    "https://files.example/notes/deep/",
    "https://files.example:80/notes/",
    "https://files.example./notes/",
    "https://files.example/NOTES/",
    "https://fhir.example/r4/files/",
    "https://fhir.example/",
  ])
    expect(meets(origin("other", "https://fhir.other.example/r4", base)), base).toBe("/origins/0");
  expect(meets(origin("other", "https://files.example/notes/fhir"))).toBe("/origins/0");
  const file = [
    origin("a", "https://a.example/r4"),
    origin("b", "https://b.example/r4", "https://a.example/r4/x/"),
  ];
  expect(meets(...file)).toBe("/origins/0");
});
