import { test } from "vitest";
import { instant } from "#kernel/clock";
import { GrantWindows } from "#limits/grant-windows";
import { LeaseBook } from "#limits/lease";
import type { LeaseCall } from "#limits/lease-call";
import type { RevocationUpdate } from "#registry/revocation";
import type { Spend } from "#limits/ports";
import { guardLimiter } from "#platform/guard/isolate/limiter";

const news: RevocationUpdate = { kind: "whole", epoch: 1, bookmark: null, pending: [], denied: [] };
const spendOf = (client: number, requests: number): Spend => ({
  client: `client-${client}`,
  key: "main/TREAT",
  policy: "default",
  quota: { requests, windowSeconds: 3_600, revision: 1 },
  many: 1,
  issuer: "https://issuer.example.org",
});
const notDenied = () => undefined;

/** Guards in memory for any number of isolates, on a clock that a test sets. */
function world() {
  const state = { now: 1_800_000_000_000, calls: 0, waitedFor: 0 };
  const clock = () => instant(state.now);
  const books = new Map<string, LeaseBook>();
  const guard = (name: string) => ({
    lease: async (call: LeaseCall) => {
      state.calls += 1;
      if (call.need > 0) state.waitedFor += 1;
      const book = books.get(name) ?? new LeaseBook(name, new GrantWindows([]));
      books.set(name, book);
      return { answer: book.lease(call, clock(), clock()).answer, news, newsAgeMilliseconds: 0 };
    },
    leaseOfSubject: () => Promise.reject(new Error("no subject is counted here")),
  });
  let ids = 0;
  const isolate = () =>
    guardLimiter({
      guards: { getByName: guard },
      clock,
      newId: () => `${(ids += 1)}`,
      waitUntil: () => undefined,
      onUpdate: () => undefined,
    });
  return { state, isolate };
}

test("with 3,000 clients in turn, 1,000 requests a second, no request waits for a guard once its client's demand is known", async ({
  expect,
}) => {
  const { state, isolate } = world();
  const limiter = isolate();
  const round = async () => {
    state.calls = 0;
    state.waitedFor = 0;
    for (let client = 0; client < 3_000; client += 1) {
      state.now += 1;
      expect((await limiter.spend([spendOf(client, 6_000)], notDenied)).ok).toBe(true);
    }
    return { calls: state.calls / 3_000, waitedFor: state.waitedFor };
  };
  // The first lease has a single token, and the second as many as the client wanted lately.
  for (let n = 0; n < 2; n += 1) expect(await round()).toEqual({ calls: 1, waitedFor: 3_000 });
  for (let n = 0; n < 2; n += 1) expect((await round()).waitedFor).toBe(0);
});

test("P6: when a client's leases are evicted, again and again, two isolates together still admit no more than its quota", async ({
  expect,
}) => {
  const { state, isolate } = world();
  const isolates = [isolate(), isolate()];
  let admitted = 0;
  const crowd = async (from: number) => {
    for (let client = from; client < from + 10_000; client += 1)
      await isolates[0]?.spend([spendOf(client, 6_000)], notDenied);
  };
  for (let turn = 0; turn < 60; turn += 1) {
    state.now += 10;
    if (turn === 20) await crowd(1);
    const spent = await isolates[turn % 2]?.spend([spendOf(0, 40)], notDenied);
    if (spent?.ok === true) admitted += 1;
  }
  expect(admitted).toBeGreaterThan(20);
  expect(admitted).toBeLessThanOrEqual(40);
});
