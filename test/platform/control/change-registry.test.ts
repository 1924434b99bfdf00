import { beforeEach, test } from "vitest";
import { instant } from "#kernel/clock";
import { applyRegistry, planRegistry, showRegistry } from "#platform/registry/apply-registry";
import { clientDirectory } from "#platform/registry/client-directory";
import { RegistryReader } from "#platform/registry/copies/registry-reader";
import { withExternalClient } from "../../support/registry-file.ts";
import { emptyRegistry, everything, sampleFile } from "./registry.ts";

const clock = () => instant(Date.UTC(2026, 10, 24));
const rules = { clock, publicUrl: "https://gateway.example.org" };
let registry: D1Database;
beforeEach(async () => {
  registry = await emptyRegistry();
  const file = await withExternalClient(await sampleFile());
  if (!(await applyRegistry(registry, file, "add", rules)).ok) throw new Error("the sample was refused");
});

const client = async (id: string) => clientDirectory(new RegistryReader(registry, clock)).find(id);

test("the shown registry is a registry file of which a plan has no change", async ({ expect }) => {
  const { digest, registry: file } = await showRegistry(registry);
  expect(file.clients?.map(({ id }) => id)).toEqual(["patient-app", "telehealth"]);
  expect(await planRegistry(registry, { set: file, expects: digest }, rules)).toEqual({
    ok: true,
    value: { digest, changes: [], policies: {}, opens: [] },
  });
  expect(await applyRegistry(registry, file, "add", rules)).toEqual({
    ok: true,
    value: { added: 0, changed: 0 },
  });
});

test("an exported registry that is applied to an empty one gives the same registry", async ({ expect }) => {
  const shown = await showRegistry(registry);
  const elsewhere = await emptyRegistry();
  expect(await applyRegistry(elsewhere, shown.registry, "add", rules)).toMatchObject({ ok: true });
  const { clients, agreements, grants, origins, issuers, policies } = (await showRegistry(elsewhere))
    .registry;
  expect({ clients, agreements, grants, origins, issuers, policies }).toEqual(shown.registry);
});

test("a change on a registry that has changed since its plan is refused, and writes nothing", async ({
  expect,
}) => {
  const { digest } = await showRegistry(registry);
  const end = { agreements: [{ ...(await sampleFile()).agreements[0], to: "2026-12-01" }] };
  expect(await applyRegistry(registry, { set: end, expects: digest }, "change", rules)).toMatchObject({
    ok: true,
    value: { added: 0, changed: 1, removed: 0 },
  });
  const before = await everything(registry);
  const stale = { remove: { clients: ["telehealth"] }, expects: digest };
  expect(await applyRegistry(registry, stale, "change", rules)).toMatchObject({
    ok: false,
    error: { reason: "stale", pointer: "/expects" },
  });
  expect(await everything(registry)).toEqual(before);
  expect((await client("telehealth"))?.agreements).toMatchObject([{ to: Date.UTC(2026, 11, 1) }]);
});

test("a removed client is gone with all of its rows, and its external id is free at once", async ({
  expect,
}) => {
  const { registry: file } = await showRegistry(registry);
  const app = file.clients?.find(({ id }) => id === "patient-app");
  const successor = { ...app, id: "patient-app-2", certificates: ["C".repeat(43)] };
  const done = await applyRegistry(
    registry,
    { set: { clients: [successor] }, remove: { clients: ["patient-app"] } },
    "change",
    rules,
  );
  expect(done).toMatchObject({ ok: true });
  expect(await client("patient-app")).toBeUndefined();
  expect(await client("patient-app-2")).toMatchObject({ id: "patient-app-2" });
  expect(JSON.stringify(await everything(registry))).not.toContain('"patient-app"');
});

test("two clients exchange their external ids in one change", async ({ expect }) => {
  const { registry: file } = await showRegistry(registry);
  const app = file.clients?.find(({ id }) => id === "patient-app");
  const other = { ...app, id: "second-app", externalClientId: "second", certificates: ["C".repeat(43)] };
  const change = (...clients: object[]) => applyRegistry(registry, { set: { clients } }, "change", rules);
  expect(await change(other)).toMatchObject({ ok: true });
  const first = app?.externalClientId;
  expect(
    await change({ ...app, externalClientId: "second" }, { ...other, externalClientId: first }),
  ).toMatchObject({ ok: true, value: { changed: 2 } });
  expect(await client("patient-app")).toMatchObject({ external: { id: "second" } });
  expect(await client("second-app")).toMatchObject({ external: { id: first } });
});

test("a plan says each entry before and after, with the policies of its grants, and writes nothing", async ({
  expect,
}) => {
  const before = await everything(registry);
  const { registry: file } = await showRegistry(registry);
  const grants = file.grants?.map((grant) => ({ ...grant, scopes: "system/Patient.r" }));
  const plan = await planRegistry(
    registry,
    { set: { policies: file.policies, grants: grants?.slice(-1) } },
    rules,
  );
  if (!plan.ok) throw new Error(plan.error.pointer);
  expect(plan.value.changes).toMatchObject([
    { kind: "grant", before: { scopes: "system/*.rs" }, after: { scopes: "system/Patient.r" } },
  ]);
  expect(Object.values(plan.value.policies)).toHaveLength(1);
  expect(await everything(registry)).toEqual(before);
});

test("each removal tells readers of the record: client, origin, issuer", async ({ expect }) => {
  const told: string[] = [];
  const { registry: file } = await showRegistry(registry);
  await applyRegistry(
    registry,
    {
      remove: {
        clients: ["patient-app", "telehealth"],
        origins: ["main"],
        issuers: file.issuers?.map(({ iss }) => iss),
      },
    },
    "change",
    {
      ...rules,
      begin: async (records) => {
        told.push(...records);
      },
    },
  );
  expect(told.toSorted()).toEqual([
    "client/patient-app",
    "client/telehealth",
    "issuer/https://issuer.example.org",
    "origin/main",
  ]);
});
