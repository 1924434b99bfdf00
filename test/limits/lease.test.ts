import * as fc from "fast-check";
import { test } from "vitest";
import { instant, type Instant } from "#kernel/clock";
import { GrantWindows } from "#limits/grant-windows";
import { grantSize, LeaseBook } from "#limits/lease";
import type { LeaseCall } from "#limits/lease-call";
import type { StoredWindow } from "#limits/window";

const quota = { requests: 100, windowSeconds: 60, revision: 1 };
const call = (id: string, more: Partial<LeaseCall> = {}): LeaseCall => ({
  id,
  holder: "a",
  key: "main/TREAT",
  quota,
  want: 1,
  need: 0,
  returned: 0,
  ...more,
});
const start = instant(60_000 * 1000);

test("a quota of 100 grants exactly 100 of 500 single requests, and reports the end of the window", ({
  expect,
}) => {
  const book = new LeaseBook("one", new GrantWindows([]));
  const answers = Array.from(
    { length: 500 },
    (_, n) => book.lease(call(`${n}`), instant(start + 15_500), instant(start + 15_500)).answer,
  );
  expect(answers.filter(({ granted }) => granted === 1)).toHaveLength(100);
  expect(answers.at(-1)).toMatchObject({
    granted: 0,
    remaining: 0,
    limit: 100,
    windowMillisecondsLeft: 44_500,
    denyMilliseconds: 1_000,
  });
});

test("the next window has its own tokens, and a clock that steps back does not open the last one again", ({
  expect,
}) => {
  const book = new LeaseBook("one", new GrantWindows([]));
  const spend = (n: number, at: Instant) => book.lease(call(`${n}`), at, at).answer;
  for (let n = 0; n < 100; n += 1) spend(n, start);
  expect(spend(100, instant(start + 59_999)).granted).toBe(0);
  expect(spend(101, instant(start + 60_000))).toMatchObject({ granted: 1, remaining: 99 });
  expect(spend(102, instant(start + 30_000))).toMatchObject({
    granted: 1,
    remaining: 98,
    windowStart: start + 60_000,
  });
});

test("a call repeated with its id is answered as before and changes nothing", ({ expect }) => {
  const book = new LeaseBook("one", new GrantWindows([]));
  const { answer } = book.lease(call("x", { want: 5 }), start, start);
  expect(book.lease(call("x", { want: 5 }), instant(start + 1), instant(start + 1)).answer).toBe(answer);
  const back = { want: 0, returned: 3, incarnation: "one", windowStart: answer.windowStart };
  expect(book.lease(call("y", back), start, start).answer.remaining).toBe(98);
  expect(book.lease(call("y", back), start, start).answer.remaining).toBe(98);
});

test("tokens of a different incarnation or window come back as spent", ({ expect }) => {
  const book = new LeaseBook("two", new GrantWindows([]));
  const { windowStart } = book.lease(call("x", { want: 5 }), start, start).answer;
  expect(
    book.lease(call("y", { want: 0, returned: 3, incarnation: "one", windowStart }), start, start).answer
      .remaining,
  ).toBe(95);
  const old = instant(windowStart - 60_000);
  expect(
    book.lease(call("z", { want: 0, returned: 3, incarnation: "two", windowStart: old }), start, start).answer
      .remaining,
  ).toBe(95);
});

test("after a call that returned tokens is forgotten, returns count as spent until its window is over", ({
  expect,
}) => {
  const book = new LeaseBook("one", new GrantWindows([]));
  const large = { ...quota, requests: 1_000_000 };
  const { windowStart } = book.lease(call("first", { quota: large, want: 100 }), start, start).answer;
  const back = { quota: large, want: 0, returned: 60, incarnation: "one", windowStart };
  expect(book.lease(call("back", back), start, start).answer.remaining).toBe(999_960);
  for (let n = 0; n < 10_001; n += 1) book.lease(call(`n${n}`, { quota: large, want: 0 }), start, start);
  expect(
    book.lease(call("back", back), start, start).answer.remaining,
    "the repeat of a forgotten call",
  ).toBe(999_960);
});

test("a larger quota from a stale isolate is not believed, and a smaller quota of the same revision is", ({
  expect,
}) => {
  const book = new LeaseBook("one", new GrantWindows([]));
  const limitFor = (id: string, requests: number, revision: number) =>
    book.lease(call(id, { want: 0, quota: { ...quota, requests, revision } }), start, start).answer.limit;
  expect(limitFor("a", 100, 5)).toBe(100);
  expect(limitFor("b", 900, 4)).toBe(100);
  expect(limitFor("c", 900, 5)).toBe(100);
  expect(limitFor("d", 40, 5)).toBe(40);
  expect(limitFor("e", 900, 6)).toBe(900);
});

test("a window whose length changes while it runs hands its count on", ({ expect }) => {
  const book = new LeaseBook("one", new GrantWindows([]));
  for (let n = 0; n < 100; n += 1) book.lease(call(`${n}`), start, start);
  const shorter = { requests: 100, windowSeconds: 10, revision: 2 };
  expect(
    book.lease(call("x", { quota: shorter }), instant(start + 1_000), instant(start + 1_000)).answer.granted,
  ).toBe(0);
  expect(
    book.lease(call("y", { quota: shorter }), instant(start + 10_000), instant(start + 10_000)).answer
      .granted,
  ).toBe(1);
});

test("a lease lives five seconds, and never past seven seconds after the guard last asked for revocations", ({
  expect,
}) => {
  const lifeAfter = (age: number) =>
    new LeaseBook("one", new GrantWindows([])).lease(call("x"), instant(start + age), start).answer
      .lifeMilliseconds;
  expect([0, 1_000, 2_000, 2_001, 5_000, 7_000, 9_000].map(lifeAfter)).toEqual([
    5_000, 5_000, 5_000, 4_999, 2_000, 0, 0,
  ]);
});

test("leases shrink to 1 near the limit, and are never over a twentieth of the quota", ({ expect }) => {
  expect(grantSize({ limit: 1_000, remaining: 1_000, holders: 1, want: 900, need: 0 })).toBe(50);
  expect(grantSize({ limit: 1_000, remaining: 40, holders: 4, want: 900, need: 0 })).toBe(5);
  expect(grantSize({ limit: 1_000, remaining: 3, holders: 4, want: 900, need: 0 })).toBe(1);
  expect(grantSize({ limit: 1_000, remaining: 0, holders: 4, want: 900, need: 0 })).toBe(0);
  expect(grantSize({ limit: 1_000, remaining: 1_000, holders: 1, want: 0, need: 0 })).toBe(0);
});

test("the need of a request is granted whole or not at all, and the answer shows the remaining tokens", ({
  expect,
}) => {
  expect(grantSize({ limit: 1_000, remaining: 1_000, holders: 1, want: 500, need: 400 })).toBe(400);
  expect(grantSize({ limit: 1_000, remaining: 399, holders: 1, want: 500, need: 400 })).toBe(0);
  expect(grantSize({ limit: 1_000, remaining: 400, holders: 9, want: 400, need: 400 })).toBe(400);
  const book = new LeaseBook("one", new GrantWindows([]));
  expect(book.lease(call("many", { want: 101, need: 101 }), start, start).answer).toMatchObject({
    granted: 0,
    remaining: 100,
  });
});

test("without crashes the whole quota can be used, and a crash costs at most a step of the reserve", ({
  expect,
}) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 400 }), fc.nat(399), (requests, crashAfter) => {
      const size = { ...quota, requests };
      let row: StoredWindow | undefined;
      let [book, admitted] = [new LeaseBook("0", new GrantWindows([])), 0];
      for (let n = 0; n < requests + 5; n += 1) {
        if (n === crashAfter) book = new LeaseBook("1", new GrantWindows(row === undefined ? [] : [row]));
        const { answer, store } = book.lease(call(`${n}`, { quota: size }), start, start);
        row = store ?? row;
        admitted += answer.granted;
      }
      expect(admitted).toBeLessThanOrEqual(requests);
      expect(admitted).toBeGreaterThanOrEqual(
        requests - (crashAfter < requests ? Math.max(1, Math.floor(requests / 50)) - 1 : 0),
      );
    }),
    { numRuns: 300 },
  );
});
