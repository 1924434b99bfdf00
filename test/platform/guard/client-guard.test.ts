import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env, waitUntil } from "cloudflare:workers";
import { afterEach, beforeEach, test, vi } from "vitest";
import { instant } from "#kernel/clock";
import type { Spend } from "#limits/ports";
import { ClientGuard } from "#platform/guard/object/client-guard";
import { guardLimiter } from "#platform/guard/isolate/limiter";
import { guardMemory } from "#platform/guard/isolate/assertion-memory";
import { failure } from "../../support/failure.ts";

const guards = env.CLIENT_GUARD;
const clock = () => instant(Date.now());
/** Each call of a limiter has its own id. */
const isolate = (onCall = () => {}) => {
  const newId = () => (onCall(), crypto.randomUUID());
  const limiter = guardLimiter({ guards, clock, newId, waitUntil, onUpdate: () => {} });
  const nothing = () => undefined; // no revocation here
  return {
    spend: async (of: Spend) => {
      const spent = await limiter.spend<never>([of], nothing);
      return spent.ok ? { ok: true as const, value: spent.value[0] } : spent;
    },
    renew: (of: Spend) => limiter.renew<never>(of, nothing),
  };
};
const hourly = (client: string, requests: number): Spend => ({
  client,
  key: "main/TREAT",
  policy: "default",
  many: 1,
  quota: { requests, windowSeconds: 3_600, revision: 1 },
  issuer: "https://gateway.example",
});

beforeEach(() => {
  // keeps windows from ending in the middle of a test
  vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-11-24T10:15:00Z") });
});
afterEach(() => {
  vi.useRealTimers();
});

test("500 simultaneous requests from five isolates get exactly the quota of 100, and the refused requests learn when to come back", async ({
  expect,
}) => {
  const isolates = Array.from({ length: 5 }, isolate);
  const spend = hourly("five-hundred", 100);
  const spent = await Promise.all(
    Array.from({ length: 500 }, async (_, n) => await isolates[n % 5]?.spend(spend)),
  );
  expect(spent.filter((one) => one?.ok === true)).toHaveLength(100);
  for (const one of spent) {
    if (one?.ok === false)
      expect(one.error).toMatchObject({
        reason: "quota_exhausted",
        limit: 100,
        remaining: 0,
        retryAfterSeconds: 2_700,
        resetSeconds: 2_700,
      });
  }
});

test("each grant has its own count, and each client its own guard", async ({ expect }) => {
  const limiter = isolate();
  const one = hourly("separate", 1);
  expect((await limiter.spend(one)).ok).toBe(true);
  expect((await limiter.spend(one)).ok).toBe(false);
  expect((await limiter.spend({ ...one, key: "main/HPAYMT" })).ok).toBe(true);
  expect((await limiter.spend({ ...one, client: "another" })).ok).toBe(true);
});

test("looking at the budget again spends nothing of it, also when nothing is left", async ({ expect }) => {
  const limiter = isolate();
  const one = hourly("renewed", 1);
  await limiter.spend(one);
  const budget = await limiter.renew(one);
  expect(budget).toMatchObject({ ok: true, value: { limit: 1, remaining: 0 } });
  expect(budget.ok && budget.value.livesUntil).toBeGreaterThan(clock());
});

test("200 simultaneous requests from four isolates on a quota of 100 get exactly 100, and the guard is not asked for each", async ({
  expect,
}) => {
  let calls = 0;
  const isolates = Array.from({ length: 4 }, () => isolate(() => (calls += 1)));
  const admitted = async (spend: Spend) => {
    const spent = await Promise.all(
      Array.from({ length: 200 }, async (_, n) => await isolates[n % 4]?.spend(spend)),
    );
    return spent.filter((one) => one?.ok === true).length;
  };
  expect(await admitted(hourly("two-hundred", 100))).toBe(100);
  calls = 0;
  expect(await admitted(hourly("two-hundred", 100)), "the remaining requests are refused from memory").toBe(
    0,
  );
  expect(calls).toBe(0);
  expect(await admitted(hourly("ten-thousand", 10_000))).toBe(200);
  expect(calls).toBeLessThan(80);
});

test("guards that are evicted in the middle of a window never over-admit, and lose the granted shares and a step of the reserve each time", async ({
  expect,
}) => {
  const limiter = isolate();
  const spend = hourly("evicted", 200);
  let admitted = 0;
  for (let round = 0; round < 30; round += 1) {
    const spent = await Promise.all(Array.from({ length: 25 }, () => limiter.spend(spend)));
    admitted += spent.filter(({ ok }) => ok).length;
    vi.setSystemTime(Date.now() + 6_000); // every lease has ended: the guard is asked again
    await limiter.renew(spend);
    await evictDurableObject(guards.getByName("evicted"));
  }
  expect(admitted).toBeLessThanOrEqual(200);
  expect(admitted).toBeGreaterThan(100);
});

test("an isolate that spends slowly asks once in a while, and returns its unspent share", async ({
  expect,
}) => {
  const limiter = isolate();
  const spend = hourly("spends-slowly", 400);
  for (let n = 0; n < 10; n += 1) await limiter.spend(spend);
  vi.setSystemTime(Date.now() + 60_000);
  expect(await limiter.spend(spend)).toMatchObject({ ok: true, value: { remaining: 400 - 11 } });
});

test("after a restart a smaller quota is still known, and a stale isolate's larger quota is not believed", async ({
  expect,
}) => {
  const limiter = isolate();
  const old = hourly("narrowed", 500);
  await limiter.spend(old);
  await limiter.spend({ ...old, quota: { ...old.quota, requests: 50, revision: 2 } });
  await evictDurableObject(guards.getByName("narrowed"));
  expect(await limiter.spend(old)).toMatchObject({ ok: true, value: { limit: 50 } });
});

test("a malformed call throws and nothing is written", async ({ expect }) => {
  const guard = guards.getByName("malformed");
  const call = {
    id: "a",
    holder: "b",
    key: "main/TREAT",
    quota: { requests: 5, windowSeconds: 60, revision: 1 },
    want: -1,
    need: 0,
    returned: 0,
  };
  expect(
    await failure(() => guard.lease(call, { client: "malformed", issuer: "https://gateway.example" })),
  ).not.toBe("no failure");
  const rows = await runInDurableObject(guard, (_, { storage }) =>
    storage.sql.exec("SELECT * FROM windows").toArray(),
  );
  expect(rows).toEqual([]);
});

test("among 50 simultaneous uses of an assertion exactly one is the first, also after an eviction", async ({
  expect,
}) => {
  const memory = guardMemory(guards);
  const assertion = { id: crypto.randomUUID(), expires: instant(Date.now() + 60_000) };
  const uses = await Promise.all(
    Array.from({ length: 50 }, () => memory.first({ id: "replayed" }, assertion)),
  );
  expect(uses.filter(Boolean)).toHaveLength(1);
  await evictDurableObject(guards.getByName("replayed"));
  expect(await memory.first({ id: "replayed" }, assertion)).toBe(false);
  expect(await memory.first({ id: "replayed" }, { ...assertion, id: crypto.randomUUID() })).toBe(true);
  expect(await memory.first({ id: "another-client" }, assertion)).toBe(true);
});

test("used assertions are stored as hashes until they expire, then pruned", async ({ expect }) => {
  const memory = guardMemory(guards);
  const guard = guards.getByName("pruned");
  const kept = () =>
    runInDurableObject(guard, (_, { storage }) =>
      storage.sql.exec<{ id_hash: string }>("SELECT id_hash FROM assertions").toArray(),
    );
  await memory.first({ id: "pruned" }, { id: "patient-of-interest", expires: instant(Date.now() + 60_000) });
  expect(JSON.stringify(await kept())).not.toContain("patient-of-interest");
  vi.setSystemTime(Date.now() + 119_000);
  expect(
    await memory.first(
      { id: "pruned" },
      { id: "patient-of-interest", expires: instant(Date.now() - 59_000) },
    ),
    "within the grace for clocks that differ",
  ).toBe(false);
  vi.setSystemTime(Date.now() + 2_000);
  await memory.first({ id: "pruned" }, { id: "next", expires: instant(Date.now() + 60_000) });
  expect(await kept()).toHaveLength(1);
});

test("an invalid hash of an assertion, or an end beyond any assertion's life, throws", async ({ expect }) => {
  const guard = guards.getByName("strict");
  expect(await failure(() => guard.assertionOnce("short", instant(Date.now() + 1_000)))).not.toBe(
    "no failure",
  );
  expect(await failure(() => guard.assertionOnce("A".repeat(43), instant(Date.now() + 401_000)))).not.toBe(
    "no failure",
  );
  expect(await failure(() => guard.assertionOnce("A".repeat(43), instant(Number.NaN)))).not.toBe(
    "no failure",
  );
});

test("more live assertions than there is room for is a fault, never a forgotten assertion", async ({
  expect,
}) => {
  const guard = guards.getByName("flooded");
  await guard.assertionOnce("A".repeat(43), instant(Date.now() + 60_000));
  await runInDurableObject(guard, (_, { storage }) => {
    storage.sql.exec(
      "INSERT INTO assertions WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) SELECT printf('%043d', i), ? FROM n",
      Date.now() + 60_000,
    );
  });
  expect(await failure(() => guard.assertionOnce("B".repeat(43), instant(Date.now() + 60_000)))).toContain(
    "too many",
  );
});

test("the guard's calls are exactly lease, leaseOfSubject, denials, heed and assertionOnce, and the runtime's alarm", ({
  expect,
}) => {
  expect(Object.getOwnPropertyNames(ClientGuard.prototype).sort()).toEqual([
    "alarm",
    "assertionOnce",
    "constructor",
    "denials",
    "heed",
    "lease",
    "leaseOfSubject",
  ]);
});
