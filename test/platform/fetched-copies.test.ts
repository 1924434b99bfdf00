import { setTimeout as wait } from "node:timers/promises";
import { test } from "vitest";
import { instant } from "#kernel/clock";
import { FetchedCopies, type Fetched } from "#platform/fetched-copies";

/** Fresh for 100, good for 1,000, fetched at most once in 30. The test decides the server's answer. */
function copies() {
  let now = 10_000;
  let fetches = 0;
  const keptAlive: Promise<unknown>[] = [];
  let answer: () => Promise<string> = () => Promise.resolve(`answer ${fetches}`);
  const cache = new FetchedCopies<string>({
    clock: () => instant(now),
    wait: () => wait(1),
    keepAlive: (work) => keptAlive.push(work),
    intervalMilliseconds: 30,
    patienceMilliseconds: 20,
  });
  const load = async (at: number): Promise<Fetched<string>> => {
    fetches += 1;
    return { value: await answer(), freshUntil: instant(at + 100), goodUntil: instant(at + 1_000) };
  };
  return {
    get: (anew = false) => cache.get("key", load, anew),
    pass: (milliseconds: number) => (now += milliseconds),
    fetches: () => fetches,
    keptAlive,
    answerWith: (next: () => Promise<string>) => (answer = next),
  };
}
const down = () => Promise.reject(new Error("down"));

test("a fresh value is not fetched, and a stale value is fetched once", async ({ expect }) => {
  const { get, pass, fetches } = copies();
  expect(await get()).toBe("answer 1");
  pass(99);
  expect(await get()).toBe("answer 1");
  pass(1);
  expect(await Promise.all(Array.from({ length: 50 }, () => get()))).toContain("answer 2");
  expect(fetches()).toBe(2);
});

test("a thousand requests for a newer value cost one fetch per interval", async ({ expect }) => {
  const { get, pass, fetches } = copies();
  await get();
  await Promise.all(Array.from({ length: 1_000 }, () => get(true)));
  expect(fetches()).toBe(1);
  pass(30);
  const answers = await Promise.all(Array.from({ length: 1_000 }, () => get(true)));
  expect(fetches()).toBe(2);
  expect(new Set(answers), "they wait for the first request's fetch").toEqual(new Set(["answer 2"]));
});

test("while the server is down a good value is used, and afterwards there is none", async ({ expect }) => {
  const { get, pass, answerWith } = copies();
  await get();
  answerWith(down);
  pass(500);
  expect(await get()).toBe("answer 1");
  pass(499);
  expect(await get()).toBe("answer 1");
  pass(1);
  await expect(get()).rejects.toThrow("failed to answer just now");
  pass(30);
  await expect(get()).rejects.toThrow("down");
});

test("a clock that was set back makes no value fresh or good for longer, and delays no fetch", async ({
  expect,
}) => {
  const { get, pass, answerWith } = copies();
  expect(await get()).toBe("answer 1");
  pass(-5_000);
  expect(await get()).toBe("answer 2");
  pass(-5_000);
  answerWith(down);
  await expect(get()).rejects.toThrow("down");
});

test("a request without a value gets the value of a fetch in progress, without a second fetch", async ({
  expect,
}) => {
  const { get, fetches, answerWith } = copies();
  const { promise, resolve } = Promise.withResolvers<string>();
  answerWith(() => promise);
  const all = Array.from({ length: 100 }, () => get());
  resolve("late");
  expect(new Set(await Promise.all(all))).toEqual(new Set(["late"]));
  expect(fetches()).toBe(1);
});

test("each fetch is kept alive on its own, and that promise never fails", async ({ expect }) => {
  const { get, pass, keptAlive, answerWith } = copies();
  await get();
  answerWith(down);
  pass(100);
  expect(await get()).toBe("answer 1");
  pass(1_000);
  await expect(get()).rejects.toThrow("down");
  expect(await Promise.allSettled(keptAlive)).toMatchObject([
    { status: "fulfilled" },
    { status: "fulfilled" },
    { status: "fulfilled" },
  ]);
});

test("a fetch that was cut off delays requests no longer than it may take: then one of the waiting requests fetches, and only one", async ({
  expect,
}) => {
  const { get, pass, fetches, answerWith } = copies();
  answerWith(() => new Promise(() => {}));
  void get(); // a caller that disconnected
  const waiting = Array.from({ length: 100 }, () => get());
  answerWith(() => Promise.resolve("now"));
  pass(20);
  expect(
    (await Promise.allSettled(waiting)).filter(({ status }) => status === "fulfilled").length,
  ).toBeGreaterThan(0);
  expect(fetches()).toBe(2);
  expect(await get()).toBe("now");
});

test("a fetch that was cut off while something good is known costs its server nothing more", async ({
  expect,
}) => {
  const { get, pass, fetches, answerWith } = copies();
  await get();
  pass(30);
  answerWith(() => new Promise(() => {}));
  void get(true);
  const waiting = Array.from({ length: 100 }, () => get(true));
  pass(20);
  expect(new Set(await Promise.all(waiting))).toEqual(new Set(["answer 1"]));
  expect(fetches()).toBe(2);
  answerWith(() => Promise.resolve("now"));
  pass(10);
  expect(await get(true), "the next interval has its own question").toBe("now");
});
