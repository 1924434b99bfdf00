import { env, exports } from "cloudflare:workers";
import { beforeEach, test } from "vitest";
import { instant } from "#kernel/clock";
import { applyRegistry } from "#platform/registry/apply-registry";
import { clientDirectory } from "#platform/registry/client-directory";
import { originDirectory } from "#platform/registry/origin-directory";
import { grantedPolicy } from "#platform/registry/policy-reading";
import { withExternalClient, withValue } from "../../support/registry-file.ts";
import { RegistryReader } from "#platform/registry/copies/registry-reader";
import { emptyRegistry, everything, sampleFile } from "./registry.ts";

const at = instant(Date.UTC(2026, 10, 24));
const clock = () => at;
const desk = { clock, publicUrl: "https://gateway.example.org" };
let registry: D1Database;
beforeEach(async () => {
  registry = await emptyRegistry();
});

test("the gateway reads the content of a registry file: client, certificate, agreement, grant, policy, origin", async ({
  expect,
}) => {
  expect(await applyRegistry(registry, await sampleFile(), "add", desk)).toEqual({
    ok: true,
    value: { added: 6, changed: 0 },
  });

  const client = await clientDirectory(new RegistryReader(registry, clock)).find("telehealth");
  const { x5t, from, to } = env.CERTIFICATE;
  expect(client).toMatchObject({
    id: "telehealth",
    status: "active",
    authentication: "private_key_jwt",
    assertionProfile: "fapi2",
    tokensBoundTo: "certificate",
    keys: [{ kty: "EC", kid: "telehealth-1" }],
    certificates: [{ x5t, from, to }],
    agreements: [{ id: "telehealth-baa", from: Date.UTC(2026, 0, 1), to: Date.UTC(2028, 0, 1, 5) }],
    grants: [
      {
        origin: "main",
        purpose: "TREAT",
        agreement: "telehealth-baa",
        quotas: { default: { requests: 100, windowSeconds: 60 } },
      },
    ],
  });
  expect(client?.agreements[0]?.purposes.toSorted()).toEqual(["COC", "TREAT"]);
  const digest = client?.grants[0]?.policyDigest ?? "";
  expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/u);
  expect(await grantedPolicy(registry, digest)).toMatchObject({ format: "phylax.policy.v1", name: "treat" });
  expect(await grantedPolicy(registry, `sha256:${"0".repeat(64)}`)).toBeUndefined();
  expect(await originDirectory(new RegistryReader(registry, clock)).find("main")).toEqual({
    name: "main",
    url: "https://fhir.example.org/r4",
    credentials: { kind: "bearer", secret: "ORIGIN_TOKEN" },
    forwardClientCert: false,
  });
  expect(await clientDirectory(new RegistryReader(registry, clock)).find("nobody")).toBeUndefined();
});

test("the gateway reads a file's optional fields, and a file that removes them removes them from the registry", async ({
  expect,
}) => {
  const soon = new Date(clock() + 86_400_000).toISOString();
  const file = await withExternalClient(await sampleFile());
  const asking = withValue(
    withValue(withValue(file, "/grants/0/signedRequests", true), "/origins/0/forwardClientCert", true),
    "/clients/1/unboundUntil",
    soon,
  );
  const answered = withValue(asking, "/grants/0/signedResponses", true);
  const registered = async () => {
    const clients = clientDirectory(new RegistryReader(registry, clock));
    return {
      signed: (await clients.find("telehealth"))?.grants[0]?.signedRequests,
      answered: (await clients.find("telehealth"))?.grants[0]?.signedResponses,
      until: (await clients.find("patient-app"))?.unboundUntil,
      told: (await originDirectory(new RegistryReader(registry, clock)).find("main"))?.forwardClientCert,
    };
  };
  expect((await applyRegistry(registry, answered, "add", desk)).ok).toBe(true);
  expect(await registered()).toEqual({ signed: true, answered: true, until: Date.parse(soon), told: true });
  expect(await applyRegistry(registry, answered, "add", desk)).toEqual({
    ok: true,
    value: { added: 0, changed: 0 },
  });
  expect((await applyRegistry(registry, file, "replace", desk)).ok).toBe(true);
  expect(await registered()).toEqual({ signed: false, answered: false, until: undefined, told: false });
});

test("a client's home has the time of its last change, which no other change of the client moves", async ({
  expect,
}) => {
  const file = await sampleFile();
  const home = async (
    region: string | undefined,
    mode: "add" | "replace",
    hours: number,
    kind = "telehealth",
  ) => {
    const changed = withValue(withValue(file, "/clients/0/region", region), "/clients/0/kind", kind);
    const then = instant(at + hours * 3_600_000);
    const applied = await applyRegistry(registry, changed, mode, { ...desk, clock: () => then });
    if (!applied.ok) return applied.error.pointer;
    const { home } = (await clientDirectory(new RegistryReader(registry, clock)).find("telehealth")) ?? {};
    return home && [home.region, home.since && (home.since - at) / 3_600_000];
  };
  expect(await home(undefined, "add", 0)).toBeUndefined();
  expect(await home("weur", "add", 1)).toEqual(["weur", 1]);
  expect(await home("enam", "add", 2)).toBe("/clients/0/region");
  expect(await home("weur", "replace", 3, "payer")).toEqual(["weur", 1]);
  expect(await home("enam", "replace", 4)).toEqual(["enam", 4]);
  expect(await home(undefined, "replace", 5)).toEqual([undefined, 5]);
});

test("T5: an exception that is longer than ninety days ahead is refused, and nothing of its file is taken", async ({
  expect,
}) => {
  const late = new Date(clock() + 91 * 86_400_000).toISOString();
  const file = withValue(await withExternalClient(await sampleFile()), "/clients/1/unboundUntil", late);
  const before = await everything(registry);
  expect(await applyRegistry(registry, file, "add", desk)).toMatchObject({
    ok: false,
    error: { pointer: "/clients/1/unboundUntil" },
  });
  expect(await everything(registry)).toEqual(before);
});

test("applied twice, a file changes nothing the second time", async ({ expect }) => {
  const file = await sampleFile();
  await applyRegistry(registry, file, "add", desk);
  const before = await everything(registry);
  expect(await applyRegistry(registry, file, "add", desk)).toEqual({
    ok: true,
    value: { added: 0, changed: 0 },
  });
  expect(await applyRegistry(registry, file, "replace", desk)).toEqual({
    ok: true,
    value: { added: 0, changed: 0 },
  });
  expect(await everything(registry)).toEqual(before);
});

test("a policy may be named by the digest of a registered policy", async ({ expect }) => {
  const file = await sampleFile();
  await applyRegistry(registry, withValue(file, "/grants", []), "add", desk);
  const { results } = await registry.prepare("SELECT digest FROM policies").all<{ digest: string }>();
  const byDigest = withValue(withValue(file, "/policies", []), "/grants/0/policy", results[0]?.digest);
  expect(await applyRegistry(registry, byDigest, "add", desk)).toEqual({
    ok: true,
    value: { added: 1, changed: 0 },
  });
});

const bad: readonly (readonly [string, string, unknown])[] = [
  ["/clients/0/jwks/keys/0/x", "/clients/0/jwks/keys/0", "A".repeat(43)], // off the curve
  [
    "/clients/0/certificates/0",
    "/clients/0/certificates/0",
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
  ],
  ["/agreements/0/purposes/1", "/agreements/0/purposes/1", "WHATEVER"],
  // conditions that no row can be judged by
  ["/grants/0/scopes", "/grants/0/scopes", "system/*.rs?nonsense=a"],
  ["/grants/0/scopes", "/grants/0/scopes", "system/Observation.rs?_text=a"],
  ["/policies/0/body/rules/0/show/0", "/policies/0/body/rules/0/show/0", "no.such.element"],
  [
    "/policies/0/body/rules/0/examples/0/becomes/birthDate",
    "/policies/0/body/rules/0/examples/0",
    "1999-09-09",
  ], // an example that is not true
  ["/origins/0/credentials/secret", "/origins/0/credentials/secret", "TOKEN_SIGNING_KEY"],
  ["/policies/0/body/surprise", "/policies/0/body", 1],
  ["/grants/0/purpose", "/grants/0/purpose", "COC"],
  ["/grants/0/scopes", "/grants/0/scopes", "system/Observation.rs?code:in=718-7"],
];

test.for(bad)(
  "a file that is bad at %s is refused by its pointer and leaves nothing behind",
  async ([where, pointer, value], { expect }) => {
    const before = await everything(registry);
    const applied = await applyRegistry(registry, withValue(await sampleFile(), where, value), "add", desk);
    expect(applied).toMatchObject({ ok: false, error: { pointer } });
    expect(await everything(registry)).toEqual(before);
  },
);

test("a clash is named by its pointer and nothing of its file is taken", async ({ expect }) => {
  const file = await sampleFile();
  await applyRegistry(registry, file, "add", desk);
  const before = await everything(registry);
  const clashing = withValue(
    withValue(file, "/origins/1", {
      name: "second",
      url: "https://b.example.org",
      credentials: { kind: "none" },
    }),
    "/clients/0/kind",
    "payer",
  );
  expect(await applyRegistry(registry, clashing, "add", desk)).toMatchObject({
    ok: false,
    error: { reason: "conflict", pointer: "/clients/0/kind" },
  });
  expect(await everything(registry)).toEqual(before);
});

test("a replaced grant gets a higher revision, also when the clock stands still", async ({ expect }) => {
  const file = await sampleFile();
  await applyRegistry(registry, file, "add", desk);
  const quotas = withValue(file, "/grants/0/quotas/default/requests", 7);
  expect(await applyRegistry(registry, quotas, "replace", desk)).toEqual({
    ok: true,
    value: { added: 0, changed: 1 },
  });
  const grants = (await clientDirectory(new RegistryReader(registry, clock)).find("telehealth"))?.grants;
  expect(grants?.[0]?.quotas.default).toEqual({ requests: 7, windowSeconds: 60, revision: at + 1 });
});

test("quotas of subjects and of records are stored, read with the grant's revision, and absent when the file no longer has them", async ({
  expect,
}) => {
  const file = await sampleFile();
  const quotasOf = async () =>
    (await clientDirectory(new RegistryReader(registry, clock)).find("telehealth"))?.grants[0]?.quotas;
  const plain = { default: { requests: 100, windowSeconds: 60 } };
  const full = {
    ...plain,
    perSubject: { requests: 20, windowSeconds: 10 },
    records: { records: 5_000, windowSeconds: 3_600 },
  };
  await applyRegistry(registry, withValue(file, "/grants/0/quotas", full), "add", desk);
  expect(await quotasOf()).toMatchObject({
    perSubject: { requests: 20, windowSeconds: 10, revision: at },
    records: { requests: 5_000, windowSeconds: 3_600, revision: at },
  });
  const again = await applyRegistry(registry, withValue(file, "/grants/0/quotas", full), "replace", desk);
  expect(again).toEqual({ ok: true, value: { added: 0, changed: 0 } });
  expect(await applyRegistry(registry, file, "replace", desk)).toEqual({
    ok: true,
    value: { added: 0, changed: 1 },
  });
  expect(await quotasOf()).toEqual({
    default: { ...plain.default, revision: at + 1 },
    perSubject: undefined,
    records: undefined,
  });
});

test("two that apply the same file at once both succeed, and it is there once", async ({ expect }) => {
  const file = await sampleFile();
  const both = await Promise.all([
    applyRegistry(registry, file, "add", desk),
    applyRegistry(registry, file, "add", desk),
  ]);
  expect(both.map(({ ok }) => ok)).toEqual([true, true]);
  expect(await registry.prepare("SELECT count(*) AS n FROM grants").first("n")).toBe(1);
});

test("the desk does the same by RPC", async ({ expect }) => {
  const { RegistryDesk: entry } = exports as unknown as {
    readonly RegistryDesk: { apply(document: unknown): Promise<unknown> };
  }; // the worker under test exports it
  const answer = await entry.apply(await sampleFile());
  expect(answer).toMatchObject({ ok: true, value: { counts: { added: 6, changed: 0 } } });
});
