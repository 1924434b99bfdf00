import { listDurableObjectIds, reset, runInDurableObject } from "cloudflare:test";
import { afterAll, beforeAll, vi } from "vitest";
import { ledger, unusedFrom } from "./worker.ts";

// The files of a run share a workerd, because each start takes more than a second of processor time. No file finds
// what another left.

beforeAll(async () => {
  const own = await caches.open(crypto.randomUUID());
  Object.defineProperty(caches, "default", { configurable: true, value: own });
});

afterAll(async () => {
  vi.useRealTimers();
  const { LEDGER_SHARD, LEDGER_ROOT, ACCOUNTING_SHELF, ACCOUNTING_INTAKE } = ledger;
  for (const objects of [LEDGER_SHARD, LEDGER_ROOT, ACCOUNTING_SHELF, ACCOUNTING_INTAKE])
    for (const id of await listDurableObjectIds(objects))
      // `reset` forgets an object that was evicted: it must run. Without its name a log refuses, but it runs.
      await runInDurableObject(objects.get(id), () => undefined).catch(() => undefined);
  await reset();
  unusedFrom();
});
