import * as fc from "fast-check";
import { test } from "vitest";
import { instant, type Instant } from "#kernel/clock";
import { LeaseBook } from "#limits/lease";
import type { LeaseCall } from "#limits/lease-call";
import { SubjectWindows } from "#limits/subject-windows";
import type { StoredWindow } from "#limits/window";

const start = instant(60_000 * 1000);
const after = (milliseconds: number) => instant(start + milliseconds);
const quota = { requests: 10, windowSeconds: 60, revision: 1 };
const call = (id: string, subject: string, more: Partial<LeaseCall> = {}): LeaseCall => ({
  id,
  holder: "a",
  key: `main/PATRQT ${subject}`,
  quota,
  want: 1,
  need: 1,
  returned: 0,
  ...more,
});
const bookOf = (windows: SubjectWindows, incarnation = "one") => new LeaseBook(incarnation, windows, 2);
const ask = (book: LeaseBook, made: LeaseCall, at: Instant) => book.lease(made, at, at).answer;

test("a subject over its quota leaves every further subject its own quota", ({ expect }) => {
  const book = bookOf(new SubjectWindows([]));
  for (let n = 0; n < 10; n += 1) expect(ask(book, call(`${n}`, "greedy"), start).granted).toBe(1);
  expect(ask(book, call("more", "greedy"), start)).toMatchObject({
    granted: 0,
    remaining: 0,
    denyMilliseconds: 250,
  });
  expect(ask(book, call("other", "modest"), start)).toMatchObject({ granted: 1, remaining: 9 });
});

test("with 50,000 subjects counted a further subject gets nothing, and no running window begins anew", ({
  expect,
}) => {
  const stored = Array.from({ length: 49_999 }, (_, n) => ({
    key: `main/PATRQT s${n}`,
    quota,
    start,
    reserved: 10,
  }));
  const windows = new SubjectWindows(stored);
  const book = bookOf(windows);
  expect(ask(book, call("the last", "s49999", { want: 10, need: 10 }), start).granted).toBe(10);
  expect(() => ask(book, call("one more", "one more"), start)).toThrow("more subjects");
  expect(windows.forgetEnded(after(119_999)).forgotten, "ended 59.999 s ago").toHaveLength(0);
  for (const subject of ["s0", "s49999"])
    expect(ask(book, call(`again ${subject}`, subject), after(59_999)).granted).toBe(0);
  expect(windows.forgetEnded(after(120_000)).forgotten).toHaveLength(50_000);
  expect(windows.isFull).toBe(false);
  expect(ask(book, call("room", "one more"), after(120_000)).granted).toBe(1);
});

test("a forgotten subject leaves the grant's newest quota, so a stale isolate is not believed, even after a restart", ({
  expect,
}) => {
  const stored = new Map<string, StoredWindow>();
  const windows = new SubjectWindows([]);
  const { store } = bookOf(windows).lease(
    call("new", "a", { quota: { ...quota, requests: 3, revision: 2 } }),
    start,
    start,
  );
  if (store !== undefined) stored.set(store.key, store);
  const { forgotten, kept } = windows.forgetEnded(after(120_000));
  for (const key of forgotten) stored.delete(key);
  for (const row of kept) stored.set(row.key, row);
  expect([...stored.keys()]).toEqual(["main/PATRQT"]);
  for (const shelf of [windows, new SubjectWindows([...stored.values()])])
    expect(ask(bookOf(shelf), call("old", "b", { want: 9, need: 9 }), after(120_000))).toMatchObject({
      granted: 0,
      limit: 3,
    });
});

test("the time of the next forgetting is known, also after a restart", ({ expect }) => {
  const windows = new SubjectWindows([]);
  expect(windows.nextEnd).toBeUndefined();
  const { store } = bookOf(windows).lease(call("x", "a"), start, start);
  expect(windows.nextEnd).toBe(after(120_000));
  expect(new SubjectWindows(store === undefined ? [] : [store]).nextEnd).toBe(after(120_000));
  windows.forgetEnded(after(120_000));
  expect(windows.nextEnd).toBeUndefined();
});

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant("ask" as const),
      subject: fc.nat(3),
      want: fc.integer({ min: 1, max: 4 }),
      again: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      milliseconds: fc.integer({ min: -50_000, max: 90_000 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("forget" as const, "restart" as const) }) },
);

test("with windows forgotten, calls repeated and guards restarted, no subject gets more than its quota in a window", ({
  expect,
}) => {
  let full = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 60, maxLength: 200, size: "max" }), (steps) => {
      const stored = new Map<string, StoredWindow>();
      const granted = new Map<string, number>();
      let [windows, at, made, latest] = [new SubjectWindows([]), start as number, 0, start as number];
      let book = bookOf(windows);
      for (const now of steps) {
        made += 1;
        switch (now.do) {
          case "ask": {
            const sent = call(`${made}`, `${now.subject}`, { want: now.want, need: 1 });
            const { answer, store } = book.lease(sent, instant(at), instant(at));
            if (store !== undefined) stored.set(store.key, store);
            if (now.again)
              expect(book.lease(sent, instant(at), instant(at))).toEqual({ answer, store: undefined });
            const window = `${now.subject} ${answer.windowStart}`;
            granted.set(window, (granted.get(window) ?? 0) + answer.granted);
            break;
          }
          case "wait":
            // a clock may step back by less than the grace
            at = Math.max(at + now.milliseconds, latest - 59_000);
            latest = Math.max(latest, at);
            break;
          case "forget": {
            const { forgotten, kept } = windows.forgetEnded(instant(at));
            for (const key of forgotten) stored.delete(key);
            for (const row of kept) stored.set(row.key, row);
            break;
          }
          case "restart":
            windows = new SubjectWindows([...stored.values()]);
            book = bookOf(windows, `${made}`);
            break;
        }
      }
      for (const [window, count] of granted) {
        expect(count, window).toBeLessThanOrEqual(10);
        if (count === 10) full += 1;
      }
    }),
    { numRuns: 300 },
  );
  expect(full, "windows used up, so that a single extra token would be seen").toBeGreaterThan(30);
});
