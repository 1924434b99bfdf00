import { beforeAll, test } from "vitest";
import { admitOperator } from "#platform/d1/admit-operator";
import { findOperator } from "#platform/d1/operators";
import { emptyRegistry } from "./registry.ts";

let registry: D1Database;
beforeAll(async () => {
  registry = await emptyRegistry();
});

const [first, second] = ["F".repeat(43), "S".repeat(43)];

test("an operator is found by the certificate it has now, and stays suspended whoever admits it again", async ({ expect }) => {
  await admitOperator(registry, { id: "registrar", x5t: first, roles: ["registry-admin"] });
  expect(await findOperator(registry, first)).toEqual({ id: "registrar", status: "active", roles: ["registry-admin"] });
  await registry.prepare("UPDATE operators SET status = 'suspended'").run();
  await admitOperator(registry, { id: "registrar", x5t: second, roles: ["registry-admin", "reader"] });
  expect(await findOperator(registry, first)).toBeUndefined();
  expect(await findOperator(registry, second)).toEqual({ id: "registrar", status: "suspended", roles: ["registry-admin", "reader"] });
});

test("one certificate is one operator", async ({ expect }) => {
  await expect(admitOperator(registry, { id: "another", x5t: second, roles: ["registry-admin"] })).rejects.toThrow();
});
