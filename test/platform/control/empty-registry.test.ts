import { evictAllDurableObjects } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { test } from "vitest";
import { revocationsOf } from "#platform/revocation/object/revocations";
import { emptyRegistry } from "./registry.ts";

// workerd evicts an object after ten idle seconds, and on a busy machine so much time passes between two files.
test("no test sees entries of the test before, whether or not workerd has evicted their object since", async ({
  expect,
}) => {
  const denial = { kind: "client", client: "telehealth" } as const;
  for (const isEvicted of [false, true]) {
    const registry = await emptyRegistry();
    await registry.prepare("CREATE TABLE earlier (entry)").run();
    await revocationsOf(env).deny(denial);
    expect(await revocationsOf(env).denials(1)).toMatchObject([{ name: '["client","telehealth"]' }]);
    if (isEvicted) await evictAllDurableObjects();
    await emptyRegistry();
    expect(await revocationsOf(env).denials(1)).toEqual([]);
    await expect(registry.prepare("SELECT * FROM earlier").all()).rejects.toThrow("no such table");
  }
});
