import { beforeEach, test } from "vitest";
import { instant } from "#kernel/clock";
import { applyRegistry } from "#platform/registry/apply-registry";
import { ownSecrets } from "#platform/config/gateway-config";
import { certificateHolders } from "#platform/registry/certificate-holders";
import { clientDirectory } from "#platform/registry/client-directory";
import { issuerDirectory } from "#platform/registry/issuer-directory";
import { originDirectory } from "#platform/registry/origin-directory";
import { withExternalClient, withValue } from "../../support/registry-file.ts";
import { RegistryReader } from "#platform/registry/copies/registry-reader";
import { emptyRegistry, everything, sampleFile } from "./registry.ts";

const iss = "https://issuer.example.org";
let now = Date.UTC(2026, 10, 24);
const clock = () => instant(now);
const desk = { clock, publicUrl: "https://gateway.example.org" };
const inline = await withExternalClient(await sampleFile());
const introspection = (secret = "ISSUER_SECRET", kind = "client_secret_basic") => ({
  endpoint: `${iss}/introspect`,
  clientId: "phylax",
  credentials: { kind, secret },
});
const keyed = (secret = "ORIGIN_KEY") => ({
  kind: "private_key_jwt",
  secret,
  clientId: "phylax",
  tokenEndpoint: "https://fhir.example.org/token",
});
const changed = (changes: Readonly<Record<string, unknown>>) =>
  Object.entries(changes).reduce((file, [at, value]) => withValue(file, at, value), inline);
const fetched = changed({
  "/issuers/0/jwks": undefined,
  "/issuers/0/jwksUri": `${iss}/jwks`,
  "/issuers/0/introspection": introspection(),
  "/clients/0/jwks": undefined,
  "/clients/0/jwksUri": "https://client.example.org/jwks",
  "/origins/0/credentials": keyed(),
});
let registry: D1Database;
beforeEach(async () => {
  registry = await emptyRegistry();
});

test("the gateway reads the addresses of keys, introspection and an origin's token endpoint", async ({
  expect,
}) => {
  expect(await applyRegistry(registry, fetched, "add", desk)).toMatchObject({ ok: true });
  expect(await issuerDirectory(new RegistryReader(registry, clock)).find(iss)).toMatchObject({
    keys: [],
    jwksUri: `${iss}/jwks`,
    introspection: introspection(),
  });
  expect(await clientDirectory(new RegistryReader(registry, clock)).find("telehealth")).toMatchObject({
    keys: [],
    jwksUri: "https://client.example.org/jwks",
  });
  expect(await originDirectory(new RegistryReader(registry, clock)).find("main")).toMatchObject({
    credentials: { ...keyed(), scope: "system/*.rs" },
  });
  const before = await everything(registry);
  for (const mode of ["add", "replace"] as const)
    expect(await applyRegistry(registry, fetched, mode, desk)).toEqual({
      ok: true,
      value: { added: 0, changed: 0 },
    });
  expect(await everything(registry)).toEqual(before);
});

test("keys that were inline are fetched once the file says so, and inline again: never both", async ({
  expect,
}) => {
  await applyRegistry(registry, inline, "add", desk);
  expect(await applyRegistry(registry, fetched, "add", desk)).toMatchObject({
    error: { reason: "conflict" },
  });
  expect(await applyRegistry(registry, fetched, "replace", desk)).toMatchObject({ ok: true });
  expect(await issuerDirectory(new RegistryReader(registry, clock)).find(iss)).toMatchObject({
    keys: [],
    jwksUri: `${iss}/jwks`,
  });
  expect(await applyRegistry(registry, inline, "replace", desk)).toMatchObject({ ok: true });
  const back = await issuerDirectory(new RegistryReader(registry, clock)).find(iss);
  expect([back?.keys.length, back?.jwksUri, back?.introspection]).toEqual([1, undefined, undefined]);
  expect(
    (await clientDirectory(new RegistryReader(registry, clock)).find("telehealth"))?.jwksUri,
  ).toBeUndefined();
});

test("an issuer of opaque tokens alone has no key, and the same file again is success", async ({
  expect,
}) => {
  const opaque = changed({
    "/issuers/0/jwks": undefined,
    "/issuers/0/algs": [],
    "/issuers/0/introspection": introspection(),
  });
  expect(await applyRegistry(registry, opaque, "add", desk)).toMatchObject({ ok: true });
  expect(await applyRegistry(registry, opaque, "add", desk)).toEqual({
    ok: true,
    value: { added: 0, changed: 0 },
  });
  expect(await issuerDirectory(new RegistryReader(registry, clock)).find(iss)).toMatchObject({
    keys: [],
    algorithms: [],
    introspection: introspection(),
  });
  expect(await applyRegistry(registry, inline, "replace", desk), "and keys, once it signs").toMatchObject({
    ok: true,
  });
});

test("the gateway's own secrets are sent to no server", async ({ expect }) => {
  for (const own of ownSecrets) {
    const bad: readonly (readonly [string, object])[] = [
      ["/origins/0/credentials", { kind: "bearer", secret: own }],
      ["/origins/0/credentials", keyed(own)],
      ["/issuers/0/introspection", introspection(own)],
      ["/issuers/0/introspection", introspection(own, "private_key_jwt")],
    ];
    for (const [at, value] of bad) {
      const pointer = at.startsWith("/origins") ? `${at}/secret` : `${at}/credentials/secret`;
      expect(await applyRegistry(registry, changed({ [at]: value }), "add", desk), own).toMatchObject({
        ok: false,
        error: { pointer },
      });
    }
  }
});

test("a certificate's holders are the issuers whose clients registered it, at most ten seconds ago", async ({
  expect,
}) => {
  await applyRegistry(registry, inline, "add", desk);
  const holders = certificateHolders(new RegistryReader(registry, clock));
  expect(await holders.issuersOf("B".repeat(43))).toEqual([iss]);
  expect(await holders.issuersOf("C".repeat(43))).toEqual([]);
  const [own] =
    (await clientDirectory(new RegistryReader(registry, clock)).find("telehealth"))?.certificates ?? [];
  expect(await holders.issuersOf(own?.x5t ?? ""), "a client of the built-in issuer").toEqual([]);
  await registry.prepare("DELETE FROM certificates").run();
  now += 10_000;
  expect(await holders.issuersOf("B".repeat(43))).toEqual([]);
});
