import { beforeEach, test } from "vitest";
import { instant } from "#kernel/clock";
import { applyRegistry } from "#platform/registry/apply-registry";
import { clientDirectory } from "#platform/registry/client-directory";
import { issuerDirectory } from "#platform/registry/issuer-directory";
import { withExternalClient, withValue } from "../../support/registry-file.ts";
import { RegistryReader } from "#platform/registry/copies/registry-reader";
import { emptyRegistry, everything, sampleFile } from "./registry.ts";

const iss = "https://issuer.example.org";
let now = Date.UTC(2026, 10, 24);
const clock = () => instant(now);
const desk = { clock, publicUrl: "https://gateway.example.org" };
const file = await withExternalClient(await sampleFile());
let registry: D1Database;
beforeEach(async () => {
  registry = await emptyRegistry();
});

test("the gateway reads an external issuer and its client, only by the issuer's exact names", async ({
  expect,
}) => {
  expect(await applyRegistry(registry, file, "add", desk)).toEqual({
    ok: true,
    value: { added: 11, changed: 0 },
  });
  expect(await issuerDirectory(new RegistryReader(registry, clock)).find(iss)).toEqual({
    iss,
    keys: file.issuers[0]?.jwks.keys,
    algorithms: ["ES256"],
    audience: "phylax",
    purpose: { fixed: ["TREAT"] },
    claims: { client: "azp" },
  });
  expect(await issuerDirectory(new RegistryReader(registry, clock)).find(`${iss}/`)).toBeUndefined();

  const clients = clientDirectory(new RegistryReader(registry, clock));
  expect(await clients.findExternal({ issuer: iss, id: "app" })).toMatchObject({
    id: "patient-app",
    authentication: "external",
    keys: [],
    external: { issuer: iss, id: "app" },
    patient: "amara",
    certificates: [{ x5t: "B".repeat(43) }],
    agreements: [{ id: "patient-app-terms", purposes: ["TREAT"] }],
    grants: [{ origin: "main", scopes: [{ context: "patient", type: "*", permissions: ["r", "s"] }] }],
  });
  for (const name of [
    { issuer: iss, id: "patient-app" },
    { issuer: iss, id: "telehealth" },
    { issuer: "https://other.example.org", id: "app" },
    { issuer: "", id: "" },
  ]) {
    expect(await clients.findExternal(name)).toBeUndefined();
  }
  expect(await clients.find("telehealth")).toMatchObject({ external: undefined, patient: undefined });
});

test("a file that is applied twice changes nothing, and a replacing file's content counts, including removed fields", async ({
  expect,
}) => {
  await applyRegistry(registry, file, "add", desk);
  const before = await everything(registry);
  for (const mode of ["add", "replace"] as const) {
    expect(await applyRegistry(registry, file, mode, desk)).toEqual({
      ok: true,
      value: { added: 0, changed: 0 },
    });
  }
  expect(await everything(registry)).toEqual(before);

  const changed = withValue(
    withValue(file, "/issuers/0/audience", "another"),
    "/clients/1/patient",
    undefined,
  );
  expect(await applyRegistry(registry, changed, "add", desk)).toMatchObject({
    ok: false,
    error: { pointer: "/issuers/0/audience" },
  });
  expect(await applyRegistry(registry, changed, "replace", desk)).toEqual({
    ok: true,
    value: { added: 0, changed: 2 },
  });
  expect(await issuerDirectory(new RegistryReader(registry, clock)).find(iss)).toMatchObject({
    audience: "another",
  });
  expect(
    (await clientDirectory(new RegistryReader(registry, clock)).findExternal({ issuer: iss, id: "app" }))
      ?.patient,
  ).toBeUndefined();
});

test("a client turned from private_key_jwt to tls_client_auth loses its keys", async ({ expect }) => {
  await applyRegistry(registry, file, "add", desk);
  const tls = withValue(withValue(file, "/clients/0/auth", "tls_client_auth"), "/clients/0/jwks", undefined);
  expect(await applyRegistry(registry, tls, "replace", desk)).toEqual({
    ok: true,
    value: { added: 0, changed: 1 },
  });
  expect(await clientDirectory(new RegistryReader(registry, clock)).find("telehealth")).toMatchObject({
    authentication: "tls_client_auth",
    keys: [],
  });
});

test.for([
  ["/issuers/0/jwks/keys/0", "/issuers/0/jwks/keys/0/x", "A".repeat(43)], // off the curve
  ["/issuers/0/purpose/fixed/0", "/issuers/0/purpose/fixed/0", "WHATEVER"],
  ["/issuers/0/jwksUri", "/issuers/0/jwksUri", "https://issuer.example.org/jwks"],
  ["/issuers/0/iss", "/issuers/0/iss", desk.publicUrl],
] as const)("what is wrong at %s leaves nothing behind", async ([pointer, at, value], { expect }) => {
  const before = await everything(registry);
  expect(await applyRegistry(registry, withValue(file, at, value), "add", desk)).toMatchObject({
    ok: false,
    error: { pointer },
  });
  expect(await everything(registry)).toEqual(before);
});

test.for([
  ["few issuers", 0],
  ["issuers with 6 MiB of keys", 384],
] as const)(
  "%s are read once in five seconds, for any issuer that a token claims, and not used past ten",
  async ([, more], { expect }) => {
    await applyRegistry(registry, file, "add", desk);
    const jwks = JSON.stringify({ keys: [{ kty: "oct", x: "A".repeat(16_384) }] });
    for (let from = 0; from < more; from += 64)
      await registry.batch(
        Array.from({ length: 64 }, (_, n) =>
          registry
            .prepare(
              `INSERT INTO issuers (iss, jwks, algs, audience, purpose, claims)
             SELECT ?, ?, algs, audience, purpose, claims FROM issuers WHERE iss = ?`,
            )
            .bind(`https://issuer-${from + n}.example.org`, jwks, iss),
        ),
      );
    let [reads, off] = [0, false];
    const watched: D1Database = new Proxy(registry, {
      get(target, name) {
        if (name === "withSession") return () => watched;
        if (name === "prepare") return target.prepare.bind(target);
        if (name !== "batch") throw new Error(`the directory called ${String(name)} of D1`);
        return (statements: D1PreparedStatement[]) => {
          reads += 1;
          if (off) throw new Error("D1 is down");
          return target.batch(statements);
        };
      },
    });
    const directory = issuerDirectory(new RegistryReader(watched, clock));
    for (let n = 0; n < 100; n += 1) await directory.find(`https://made-up-${n}.example.org`);
    expect(await directory.find(iss)).toBeDefined();
    expect(reads).toBe(1);
    now += 5_000;
    await directory.find(iss);
    expect(reads).toBe(2);
    off = true;
    now += 9_999;
    expect(await directory.find(iss)).toBeDefined();
    now += 1;
    await expect(directory.find(iss)).rejects.toThrow();
  },
);
