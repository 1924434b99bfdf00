import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { instant } from "#kernel/clock";
import type { LeaseAnswer } from "#limits/lease-call";
import type { Spend } from "#limits/ports";
import type { RevocationUpdate } from "#registry/revocation";
import { PartBusy } from "#platform/deadlines";
import { guardLimiter } from "#platform/guard/isolate/limiter";

const news: RevocationUpdate = { kind: "whole", epoch: 1, bookmark: null, pending: [], denied: [] };
const answer: LeaseAnswer = {
  incarnation: "a",
  windowStart: instant(0),
  windowSeconds: 60,
  windowMillisecondsLeft: 60_000,
  lifeMilliseconds: 5_000,
  limit: 1_000,
  remaining: 900,
  granted: 50,
};
const spendOf = (client: string): Spend => ({
  client,
  key: "main/TREAT",
  policy: "default",
  quota: { requests: 1_000, windowSeconds: 60, revision: 1 },
  many: 1,
  issuer: "https://issuer.example.org",
});

/** An isolate whose guard of the client `frozen` answers when the test says so. */
function isolate() {
  const late = Promise.withResolvers<void>();
  let ids = 0;
  const limiter = guardLimiter({
    guards: {
      getByName: (name) => ({
        async lease() {
          if (name === "frozen") await late.promise;
          return { answer, news, newsAgeMilliseconds: 0 };
        },
        leaseOfSubject: () => Promise.reject(new Error("not asked for here")),
      }),
    },
    clock: () => instant(Date.now()),
    newId: () => String(++ids),
    waitUntil: () => {},
    onUpdate: () => {},
  });
  const spend = (client: string) => limiter.spend([spendOf(client)], () => undefined);
  return { spend, thaw: () => late.resolve() };
}

beforeEach(() => {
  vi.useFakeTimers();
  const wait = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  vi.stubGlobal("scheduler", { wait });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("a frozen guard holds its client's requests for seconds and a bounded number of them, and no other client's", async () => {
  const { spend } = isolate();
  const ends = Array.from({ length: 1_100 }, () =>
    spend("frozen").then(
      () => "served",
      (fault: unknown) => (fault instanceof PartBusy ? "busy" : "late"),
    ),
  );
  expect(await spend("free")).toMatchObject({ ok: true });
  await vi.advanceTimersByTimeAsync(10_000);
  const counts = Map.groupBy(await Promise.all(ends), (end) => end);
  expect([counts.get("late")?.length, counts.get("busy")?.length]).toEqual([1_024, 76]);
});

test("a grant that comes after the deadline counts as spent: the next request asks anew", async () => {
  const { spend, thaw } = isolate();
  const first = spend("frozen").catch(() => "late");
  await vi.advanceTimersByTimeAsync(2_001);
  expect(await first).toBe("late");
  thaw();
  await vi.advanceTimersByTimeAsync(1);
  const next = await spend("frozen");
  // one of the fifty of its own call; the fifty of the late call are in no lease
  expect(next).toMatchObject({ ok: true, value: [{ remaining: 900 + 49 }] });
});
