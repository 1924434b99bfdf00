import { listDurableObjectIds, reset, runInDurableObject } from "cloudflare:test";
import { afterAll, beforeAll, vi } from "vitest";
import { ledger, unusedFrom } from "./worker.ts";

// The files of a run share a workerd, because each start takes more than a second of processor time. No file finds
// what another left.

beforeAll(async () => {
  const own = await caches.open(crypto.randomUUID());
  Object.defineProperty(caches, "default", { configurable: true, value: own });
});

/** `reset` forgets an object that was evicted: it must run. Without its name a log refuses, but it runs. */
async function run<T extends Rpc.DurableObjectBranded>(objects: DurableObjectNamespace<T>): Promise<void> {
  for (const id of await listDurableObjectIds(objects))
    await runInDurableObject(objects.get(id), () => undefined).catch(() => undefined);
}

afterAll(async () => {
  vi.useRealTimers();
  await run(ledger.LEDGER_SHARD);
  await run(ledger.LEDGER_ROOT);
  await run(ledger.ACCOUNTING_SHELF);
  await run(ledger.ACCOUNTING_INTAKE);
  await run(ledger.TRAFFIC_BOOK);
  await reset();
  unusedFrom();
});
