import { createHash } from "node:crypto";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env, waitUntil } from "cloudflare:workers";
import { afterEach, beforeEach, test, vi } from "vitest";
import { instant } from "#kernel/clock";
import type { Spend } from "#limits/ports";
import { guardLimiter } from "#platform/guard/isolate/limiter";

const guards = env.CLIENT_GUARD;
const issuer = "https://idp.example";
const nobody = () => undefined;
const isolate = (onCall = () => {}) =>
  guardLimiter({
    guards,
    clock: () => instant(Date.now()),
    newId: () => (onCall(), crypto.randomUUID()),
    waitUntil,
    onUpdate: () => {},
  });
const hour = (requests: number) => ({ requests, windowSeconds: 3_600, revision: 1 });
const ofClient = (client: string, requests: number): Spend => ({
  client,
  key: "main/PATRQT",
  issuer,
  policy: "default",
  quota: hour(requests),
  many: 1,
});
const ofSubject = (client: string, sub: string, requests: number): Spend => ({
  ...ofClient(client, 0),
  policy: "subject",
  subject: `${issuer} ${sub}`,
  quota: hour(requests),
});
const ofRecords = (client: string, records: number, many: number): Spend => ({
  ...ofClient(client, 0),
  policy: "records",
  quota: hour(records),
  many,
});
const hashOf = (sub: string) => createHash("sha256").update(`${issuer} ${sub}`).digest();
const subjectGuard = (client: string, sub: string) =>
  guards.getByName(`${client} ${(hashOf(sub)[0] ?? 0) % 16}`);
const rowsOf = (guard: DurableObjectStub) =>
  runInDurableObject(guard, (_, { storage }) =>
    storage.sql.exec<{ key: string }>("SELECT key FROM subject_windows").toArray(),
  );

beforeEach(() => {
  // A quarter past a future hour: no window ends in the middle of a test, and no alarm rings by itself.
  const nextHour = Math.ceil(Date.now() / 3_600_000) * 3_600_000;
  vi.useFakeTimers({ toFake: ["Date"], now: nextHour + 900_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

test("a subject over its quota is refused by it, further subjects go on, and its refused requests cost the client's quota nothing", async ({
  expect,
}) => {
  const limiter = isolate();
  const asks = (sub: string) => limiter.spend([ofClient("app", 1_000), ofSubject("app", sub, 5)], nobody);
  for (let n = 0; n < 5; n += 1) expect((await asks("greedy")).ok).toBe(true);
  for (let n = 0; n < 50; n += 1)
    expect(await asks("greedy")).toMatchObject({
      ok: false,
      error: {
        reason: "subject_quota_exhausted",
        policy: "subject",
        limit: 5,
        remaining: 0,
        retryAfterSeconds: 2_700,
      },
    });
  expect(await asks("modest")).toMatchObject({
    ok: true,
    value: [
      { policy: "default", remaining: 1_000 - 6 },
      { policy: "subject", limit: 5, remaining: 4 },
    ],
  });
});

test("simultaneous requests of a subject from five isolates get exactly its quota, and the client's count has exactly these", async ({
  expect,
}) => {
  const isolates = Array.from({ length: 5 }, () => isolate());
  const [client, subject] = [ofClient("five", 300), ofSubject("five", "someone", 100)];
  const spent = await Promise.all(
    Array.from({ length: 400 }, async (_, n) => await isolates[n % 5]?.spend([client, subject], nobody)),
  );
  expect(spent.filter((one) => one?.ok === true)).toHaveLength(100);
  const rest = await Promise.all(
    Array.from({ length: 400 }, async (_, n) => await isolates[n % 5]?.spend([client], nobody)),
  );
  expect(rest.filter((one) => one?.ok === true)).toHaveLength(200);
});

test("a client over its own quota costs its subjects nothing of their quotas", async ({ expect }) => {
  const limiter = isolate();
  const asks = (requests: number) =>
    limiter.spend([ofClient("poor", requests), ofSubject("poor", "someone", 10)], nobody);
  expect((await asks(1)).ok).toBe(true);
  for (let n = 0; n < 20; n += 1)
    expect(await asks(1)).toMatchObject({ ok: false, error: { reason: "quota_exhausted" } });
  // the leases have ended: both are asked for anew, and returned tokens go back
  vi.setSystemTime(Date.now() + 6_000);
  const wealthy = { ...ofClient("poor", 100), quota: { ...hour(100), revision: 2 } };
  expect(await limiter.spend([wealthy, ofSubject("poor", "someone", 10)], nobody)).toMatchObject({
    ok: true,
    value: [{ policy: "default" }, { policy: "subject", remaining: 8 }],
  });
});

test("an app that is over its quota makes no guard count subjects that it makes up", async ({ expect }) => {
  let calls = 0;
  const limiter = isolate(() => (calls += 1));
  const asks = (sub: string) =>
    limiter.spend([ofClient("made-up", 2), ofSubject("made-up", sub, 10)], nobody);
  for (let n = 0; n < 3; n += 1) await asks(`${n}`);
  calls = 0;
  for (let n = 3; n < 100; n += 1)
    expect(await asks(`${n}`)).toMatchObject({ ok: false, error: { reason: "quota_exhausted" } });
  expect(calls).toBe(0);
});

test("a denied request costs no quota", async ({ expect }) => {
  const limiter = isolate();
  const both = [ofClient("denied", 100), ofSubject("denied", "someone", 100)];
  for (let n = 0; n < 20; n += 1)
    expect(await limiter.spend(both, () => "denied")).toEqual({ ok: false, error: "denied" });
  expect(await limiter.spend(both, nobody)).toMatchObject({
    ok: true,
    value: [{ remaining: 99 }, { remaining: 99 }],
  });
});

test("while leases are held a subject's requests ask no guard", async ({ expect }) => {
  let calls = 0;
  const limiter = isolate(() => (calls += 1));
  const spends = [ofClient("held", 10_000), ofSubject("held", "busy", 2_000)];
  for (let n = 0; n < 40; n += 1) await limiter.spend(spends, nobody);
  calls = 0;
  for (let n = 0; n < 40; n += 1) expect((await limiter.spend(spends, nobody)).ok).toBe(true);
  expect(calls, "including renewals ahead, which no request waits for").toBeLessThan(12);
});

test("records are spent page by page from several isolates, never beyond their quota, and a refused large page leaves the rest to smaller pages", async ({
  expect,
}) => {
  const isolates = Array.from({ length: 4 }, () => isolate());
  let released = 0;
  for (let n = 0; n < 60; n += 1) {
    const many = 7 + ((n * 37) % 90);
    const spent = await isolates[n % 4]?.spend([ofRecords("bulk", 1_000, many)], nobody);
    if (spent?.ok === true) released += many;
    else if (spent?.ok === false && spent.error !== undefined) {
      expect(spent.error.reason).toBe("record_quota_exhausted");
      expect(spent.error.remaining).toBeLessThan(many);
    }
  }
  expect(released).toBeLessThanOrEqual(1_000);
  expect(released).toBeGreaterThan(900);
  expect(
    await isolates[0]?.spend([ofRecords("bulk", 1_000, 1_001)], nobody),
    "more than a whole window has",
  ).toMatchObject({ ok: false });
  vi.setSystemTime(Date.now() + 3_600_000);
  expect((await isolates[0]?.spend([ofRecords("bulk", 1_000, 1_000)], nobody))?.ok).toBe(true);
});

test("among simultaneous pages of 30 records from four isolates exactly the pages with credits are released", async ({
  expect,
}) => {
  const isolates = Array.from({ length: 4 }, () => isolate());
  const spent = await Promise.all(
    Array.from(
      { length: 60 },
      async (_, n) => await isolates[n % 4]?.spend([ofRecords("pages", 1_000, 30)], nobody),
    ),
  );
  const pages = spent.filter((one) => one?.ok === true).length;
  expect(pages).toBeLessThanOrEqual(33);
  expect(pages).toBeGreaterThan(25);
});

test("a denial refuses records too, and an answer without records costs nothing", async ({ expect }) => {
  const limiter = isolate();
  expect(await limiter.spend([ofRecords("refused", 100, 10)], () => "denied")).toEqual({
    ok: false,
    error: "denied",
  });
  expect(await limiter.spend([], nobody)).toEqual({ ok: true, value: [] });
  expect(await limiter.spend([ofRecords("refused", 100, 10)], nobody)).toMatchObject({
    ok: true,
    value: [{ remaining: 90 }],
  });
});

test("guards of subjects that are evicted in the middle of a window never over-admit", async ({ expect }) => {
  const limiter = isolate();
  let admitted = 0;
  for (let round = 0; round < 20; round += 1) {
    for (let n = 0; n < 10; n += 1)
      if ((await limiter.spend([ofSubject("evicted", "someone", 60)], nobody)).ok) admitted += 1;
    vi.setSystemTime(Date.now() + 6_000);
    await evictDurableObject(subjectGuard("evicted", "someone"));
  }
  expect(admitted).toBeLessThanOrEqual(60);
  expect(admitted).toBeGreaterThan(30);
});

test("a subject is known to its guard by a hash alone, and forgotten by an alarm a minute after its window", async ({
  expect,
}) => {
  await isolate().spend([ofSubject("forgets", "alice@clinic.example", 10)], nobody);
  const guard = subjectGuard("forgets", "alice@clinic.example");
  expect(await rowsOf(guard)).toEqual([
    { key: `main/PATRQT ${hashOf("alice@clinic.example").toString("base64url")}` },
  ]);
  vi.setSystemTime(Date.now() + 2_700_000 + 59_999);
  expect(await runDurableObjectAlarm(guard)).toBe(true);
  expect(await rowsOf(guard)).toHaveLength(1);
  vi.setSystemTime(Date.now() + 1);
  expect(await runDurableObjectAlarm(guard)).toBe(true);
  expect(await rowsOf(guard), "the grant's quota is not a subject").toEqual([{ key: "main/PATRQT" }]);
  expect(await runDurableObjectAlarm(guard), "there is nothing more to forget").toBe(false);
});

test("with 50,000 subjects in one guard a further subject gets a fault and no lease, and the counted subjects go on", async ({
  expect,
}) => {
  const limiter = isolate();
  await limiter.spend([ofSubject("crowded", "known", 100)], nobody);
  const guard = subjectGuard("crowded", "known");
  const start = Math.floor(Date.now() / 3_600_000) * 3_600_000;
  await runInDurableObject(guard, (_, { storage }) => {
    storage.sql.exec(
      "INSERT INTO subject_windows WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 49999) SELECT 'main/PATRQT s' || i, 10, 3600, 1, ?, 10 FROM n",
      start,
    );
  });
  await evictDurableObject(guard);
  expect((await limiter.spend([ofSubject("crowded", "known", 100)], nobody)).ok).toBe(true);
  let other = 0;
  while (
    hashOf(`other${other}`)[0] === undefined ||
    (hashOf(`other${other}`)[0] ?? 0) % 16 !== (hashOf("known")[0] ?? 0) % 16
  )
    other += 1;
  let fault = "";
  try {
    await limiter.spend([ofSubject("crowded", `other${other}`, 100)], nobody);
  } catch (thrown) {
    fault = String(thrown);
  }
  expect(fault).toContain("more subjects");
  vi.setSystemTime(start + 3_660_000);
  expect(
    (await limiter.spend([ofSubject("crowded", `other${other}`, 100)], nobody)).ok,
    "once the windows are over",
  ).toBe(true);
});
