import { beforeEach, test } from "vitest";
import { instant } from "#kernel/clock";
import { applyRegistry } from "#platform/registry/apply-registry";
import { authorizationServers } from "#platform/registry/authorization-servers";
import { RegistryReader } from "#platform/registry/copies/registry-reader";
import { withSignIn, withValue } from "../../support/registry-file.ts";
import { emptyRegistry, everything, sampleFile } from "./registry.ts";

const iss = "https://issuer.example.org";
let now = Date.UTC(2026, 10, 24);
const clock = () => instant(now);
const desk = { clock, publicUrl: "https://gateway.example.org" };
const file = await withSignIn(await sampleFile());
let registry: D1Database;
beforeEach(async () => {
  registry = await emptyRegistry();
  await applyRegistry(registry, file, "add", desk);
});
const at = (origin: string) => authorizationServers(new RegistryReader(registry, clock)).of(origin);

test("the gateway reads an origin's sign-in place and the issuers of its clients, without the issuers of a different origin", async ({
  expect,
}) => {
  expect(await at("main")).toEqual({
    signIn: { ...file.issuers[0]?.endpoints, issuer: iss },
    external: [iss],
  });
  expect(await at("elsewhere")).toEqual({ signIn: undefined, external: [] });
});

test("a suspended client's issuer is not named, and neither is an issuer whose clients have grants only at different origins", async ({
  expect,
}) => {
  const second = { origins: [{ ...file.origins[0], name: "second", signInAt: undefined }] };
  expect(await applyRegistry(registry, second, "add", desk)).toMatchObject({ ok: true });
  expect(await at("second")).toEqual({ signIn: undefined, external: [] });
  await applyRegistry(registry, withValue(file, "/clients/1/status", "suspended"), "replace", desk);
  expect(await at("main")).toMatchObject({ signIn: { issuer: iss }, external: [] });
});

test("a repeated file changes nothing, and a file that removes the entry deletes it", async ({ expect }) => {
  const before = await everything(registry);
  for (const mode of ["add", "replace"] as const)
    expect(await applyRegistry(registry, file, mode, desk)).toEqual({
      ok: true,
      value: { added: 0, changed: 0 },
    });
  expect(await everything(registry)).toEqual(before);
  const without = withValue(
    withValue(file, "/issuers/0/endpoints", undefined),
    "/origins/0/signInAt",
    undefined,
  );
  expect(await applyRegistry(registry, without, "replace", desk)).toEqual({
    ok: true,
    value: { added: 0, changed: 2 },
  });
  expect(await at("main")).toEqual({ signIn: undefined, external: [iss] });
});

test("they are read once in five seconds, whatever origin is asked for, and not believed past ten", async ({
  expect,
}) => {
  let [reads, off] = [0, false];
  const watched: D1Database = new Proxy(registry, {
    get(target, name) {
      if (name === "withSession") return () => watched;
      if (name === "prepare") return (sql: string) => target.prepare(sql);
      if (name !== "batch") throw new Error(`the directory called ${String(name)} of D1`);
      return (statements: D1PreparedStatement[]) => {
        reads += 1;
        if (off) throw new Error("D1 is down");
        return target.batch(statements);
      };
    },
  });
  const servers = authorizationServers(new RegistryReader(watched, clock));
  for (let n = 0; n < 100; n += 1) await servers.of(`made-up-${n}`);
  expect((await servers.of("main")).external).toEqual([iss]);
  expect(reads).toBe(1);
  now += 5_000;
  await servers.of("main");
  expect(reads).toBe(2);
  off = true;
  now += 9_999;
  expect((await servers.of("main")).external).toEqual([iss]);
  now += 1;
  await expect(servers.of("main")).rejects.toThrow();
});
