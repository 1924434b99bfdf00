import { applyD1Migrations } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, test } from "vitest";
import { instant } from "#kernel/clock";
import { admitOperator } from "#platform/registry/admit-operator";
import { findOperator } from "#platform/registry/operators";
import { emptyRegistry, withoutTables } from "./registry.ts";

let registry: D1Database;
beforeAll(async () => {
  registry = await emptyRegistry();
});

const [first, second] = ["F".repeat(43), "S".repeat(43)];

const machine = { id: "ci", kind: "machine", x5t: first, roles: ["registry-admin"] } as const;
const signIn = {
  iss: "https://issuer.example.org",
  sub: "ada",
  acr: ["https://refeds.org/profile/mfa"],
  amr: ["otp"],
  maxAgeSeconds: 900,
};
const now = instant(Date.now());
const person = { id: "ada", kind: "person", x5t: "P".repeat(43), roles: ["revoker"], signIn } as const;

test("an operator is found by its present certificate, and stays suspended when it is admitted again", async ({
  expect,
}) => {
  await admitOperator(registry, machine);
  const found = { id: "ci", status: "active", roles: ["registry-admin"], kind: "machine", signIn: undefined };
  expect(await findOperator(registry, first, now)).toEqual(found);
  await registry.prepare("UPDATE operators SET status = 'suspended'").run();
  await admitOperator(registry, { ...machine, x5t: second, roles: ["registry-admin", "reader"] });
  expect(await findOperator(registry, first, now)).toBeUndefined();
  expect(await findOperator(registry, second, now)).toEqual({
    ...found,
    status: "suspended",
    roles: ["registry-admin", "reader"],
  });
});

test("a certificate belongs to a single operator", async ({ expect }) => {
  await expect(admitOperator(registry, { ...machine, id: "another", x5t: second })).rejects.toThrow();
});

test("a person has a sign-in, which may change; a machine that becomes a person gets a sign-in, and a person that becomes a machine loses it", async ({
  expect,
}) => {
  await admitOperator(registry, person);
  expect(await findOperator(registry, person.x5t, now)).toMatchObject({ kind: "person", signIn });
  await admitOperator(registry, { ...person, signIn: { ...signIn, maxAgeSeconds: 60 } });
  expect(await findOperator(registry, person.x5t, now)).toMatchObject({ signIn: { maxAgeSeconds: 60 } });
  await admitOperator(registry, { id: "ada", kind: "machine", x5t: person.x5t, roles: ["revoker"] });
  expect(await findOperator(registry, person.x5t, now)).toMatchObject({ kind: "machine", signIn: undefined });
  await admitOperator(registry, person);
  expect(await findOperator(registry, person.x5t, now)).toMatchObject({ kind: "person", signIn });
});

const { kind: _kind, ...unkind } = machine;
test.for([
  ["who says nothing of being a machine", unkind],
  ["a person who need not sign in", { ...unkind, kind: "person" }],
  ["a machine that would sign in", { ...machine, signIn }],
  ["a demand that this version does not know", { ...person, signIn: { ...signIn, phishingResistant: true } }],
  [
    "an acr that would end a challenge's quotation",
    { ...person, signIn: { ...signIn, acr: ['mfa", realm="x'] } },
  ],
  ["no acr at all in a list of them", { ...person, signIn: { ...signIn, acr: [] } }],
  ["a sign-in that never ages", { ...person, signIn: { ...signIn, maxAgeSeconds: 1e9 } }],
  ["an issuer by http", { ...person, signIn: { ...signIn, iss: "http://issuer.example.org" } }],
  ["a member that nobody knows", { ...machine, signin: signIn }],
] as const)("nobody is admitted as an operator: %s", async ([, entry], { expect }) => {
  await expect(
    admitOperator(registry, { ...entry, id: "nobody", x5t: "N".repeat(43) } as never),
  ).rejects.toThrow();
  expect(await findOperator(registry, "N".repeat(43), now)).toBeUndefined();
});

test("the database refuses it too: a row says that it is a machine, or has the sign-in that its person must show", async ({
  expect,
}) => {
  const insert = (columns: string, values: string) =>
    registry
      .prepare(
        `INSERT INTO operators (id, status, x5t, roles ${columns}) VALUES ('row', 'active', ?, '["revoker"]' ${values})`,
      )
      .bind("R".repeat(43))
      .run();
  await expect(insert("", "")).rejects.toThrow("a person signs in");
  await expect(insert(", kind", ", 'person'")).rejects.toThrow("a person signs in");
  await expect(insert(", kind, sign_in", ", 'machine', '{}'")).rejects.toThrow("a person signs in");
  await expect(insert(", kind, sign_in", ", 'person', '[]'")).rejects.toThrow("CHECK");
  await expect(insert(", kind", ", 'robot'")).rejects.toThrow("CHECK");
  await insert(
    ", kind, sign_in",
    `, 'person', '{"iss":"https://issuer.example.org","sub":"ada","maxAge":1}'`,
  );
  expect(
    await findOperator(registry, "R".repeat(43), now),
    "a demand that cannot be held to is none",
  ).toMatchObject({ signIn: undefined });
  await expect(
    registry.prepare("UPDATE operators SET kind = 'machine' WHERE id = 'row'").run(),
  ).rejects.toThrow("a person signs in");
  await registry.prepare("UPDATE operators SET status = 'suspended' WHERE id = 'row'").run();
});

test("an operator that was admitted by a certificate alone, before people had to sign in, is a person without a sign-in", async ({
  expect,
}) => {
  await withoutTables();
  const at = env.MIGRATIONS.findIndex(({ name }) => name.includes("operators_sign_in"));
  expect(at).toBeGreaterThan(0);
  await applyD1Migrations(env.REGISTRY, env.MIGRATIONS.slice(0, at));
  await env.REGISTRY.prepare(
    "INSERT INTO operators (id, status, x5t, roles) VALUES ('old', 'active', ?, '[\"revoker\"]')",
  )
    .bind(first)
    .run();
  await applyD1Migrations(env.REGISTRY, env.MIGRATIONS);
  expect(await findOperator(env.REGISTRY, first, now)).toMatchObject({
    id: "old",
    kind: "person",
    signIn: undefined,
  });
  await env.REGISTRY.prepare("UPDATE operators SET kind = 'machine' WHERE id = 'old'").run();
  expect(await findOperator(env.REGISTRY, first, now)).toMatchObject({ id: "old", kind: "machine" });
});
