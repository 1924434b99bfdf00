import { test } from "vitest";
import { instant } from "#kernel/clock";
import { IsolateCache } from "#platform/registry/copies/isolate-cache";
import { registryLimits } from "#platform/registry/copies/registry-limits";

/** A reading without a version: its copy is read again in full. */
const readAt = (at: number) => ({ asOf: instant(at), begun: instant(at), version: undefined });

/** A cache over a store that a test changes, and its clock. */
function world<T>(first: T) {
  const state = { at: 1_000_000, value: first as T | undefined, epoch: 1, reads: 0 };
  const cache = new IsolateCache<T>(registryLimits, () => instant(state.at), {
    settled: () => true,
    load: async () => {
      state.reads += 1;
      return { value: structuredClone(state.value), epoch: state.epoch, ...readAt(state.at) };
    },
  });
  return { state, cache };
}

const record = () => ({ id: "a", until: undefined as number | undefined, grants: [{ scopes: ["r"] }] });

test("a record that was read again unchanged stays the same object, and a changed record is a new object", async ({
  expect,
}) => {
  const { state, cache } = world(record());
  const first = await cache.get("a");
  state.at += registryLimits.freshMilliseconds;
  expect(await cache.get("a")).toBe(first);
  expect(state.reads).toBe(2);
  for (const value of [
    { ...record(), grants: [{ scopes: ["r", "s"] }] },
    { ...record(), until: 5 },
    { ...record(), grants: [] },
  ]) {
    const before = await cache.get("a");
    state.value = value;
    state.at += registryLimits.freshMilliseconds;
    const now = await cache.get("a");
    expect(now).toEqual(value);
    expect(now).not.toBe(before);
  }
});

test("the content of a map counts, and not only its type", async ({ expect }) => {
  const { state, cache } = world(new Map([["a", { keys: ["1"] }]]));
  const first = await cache.get("all");
  state.at += registryLimits.freshMilliseconds;
  expect(await cache.get("all")).toBe(first);
  state.value = new Map([["a", { keys: ["2"] }]]);
  state.at += registryLimits.freshMilliseconds;
  expect((await cache.get("all"))?.get("a")).toEqual({ keys: ["2"] });
});

test("an unchanged record has the age of its last reading", async ({ expect }) => {
  const { state, cache } = world(record());
  await cache.get("a");
  state.at += registryLimits.hardMilliseconds - 1;
  await cache.get("a");
  state.at += registryLimits.freshMilliseconds - 1;
  const { reads } = state;
  await cache.get("a");
  expect(state.reads).toBe(reads);
});

test("a record that a delta named is read again, whatever it was", async ({ expect }) => {
  const { state, cache } = world(record());
  const first = await cache.get("a");
  cache.forget("a", 2);
  state.epoch = 2;
  const second = await cache.get("a");
  expect(second).toEqual(first);
  expect(state.reads).toBe(2);
});

test("the oldest records leave when their number or their weight is too large, and a dropped record weighs nothing", async ({
  expect,
}) => {
  const reads: string[] = [];
  const limits = { ...registryLimits, entriesMax: 3, weightMax: 10 };
  const cache = new IsolateCache<string>(limits, () => instant(1_000_000), {
    settled: () => true,
    load: async (key) => {
      reads.push(key);
      return { value: key, epoch: 1, ...readAt(1_000_000) };
    },
    weight: (value) => value.length,
  });
  const readsOf = async (...keys: readonly string[]) => {
    reads.length = 0;
    for (const key of keys) await cache.get(key);
    return reads.join(" ");
  };
  expect(await readsOf("a", "b", "c", "a", "b", "c")).toBe("a b c");
  expect(await readsOf("d", "b", "c", "d", "a")).toBe("d a"); // "a" left for "d"
  expect(await readsOf("eeeeeeee", "d", "a", "eeeeeeee")).toBe("eeeeeeee"); // ten: "c" left by number
  expect(await readsOf("ff", "a", "eeeeeeee", "ff")).toBe("ff a eeeeeeee ff");
  for (let n = 0; n < 5; n += 1) {
    cache.forget("gggg", n + 2);
    await cache.get("gggg");
  }
  cache.forgetAll(9);
  expect(await readsOf("h", "iiii", "h", "iiii")).toBe("h iiii h iiii"); // read before the change: not stored
});

test("a clock that is set back prolongs no copy: it is read again, and without the store it is refused", async ({
  expect,
}) => {
  const { state, cache } = world(record());
  await cache.get("a");
  state.value = { ...record(), grants: [] };
  state.at -= 60_000;
  expect(cache.isFresh("a")).toBe(false);
  expect(await cache.get("a")).toEqual({ ...record(), grants: [] });
  expect(await cache.get("a"), "the copy of the earlier clock is gone").toEqual({ ...record(), grants: [] });
  expect(state.reads).toBe(2);

  const broken = { down: false };
  const late = new IsolateCache(registryLimits, () => instant(state.at), {
    settled: () => true,
    load: async () => {
      if (broken.down) throw new Error("down");
      return { value: record(), epoch: 1, ...readAt(state.at) };
    },
  });
  await late.get("a");
  broken.down = true;
  state.at -= 60_000;
  await expect(late.get("a")).rejects.toThrow("down");
});

/** The cache of {@link world}, whose early reads a test ends. */
function aheadWorld() {
  const state = { at: 1_000_000, reads: 0, isDown: false, works: [] as Promise<unknown>[] };
  const cache = new IsolateCache<number>(registryLimits, () => instant(state.at), {
    settled: () => true,
    load: async () => {
      state.reads += 1;
      if (state.isDown) throw new Error("down");
      return { value: state.reads, epoch: 1, ...readAt(state.at) };
    },
    keepAlive: (work) => void state.works.push(work),
  });
  return { state, cache };
}

test("in the last second of its freshness a copy is read again once, and no request waits for that read", async ({
  expect,
}) => {
  const { state, cache } = aheadWorld();
  await cache.get("a");
  state.at += registryLimits.freshMilliseconds - 1_001;
  await cache.get("a");
  expect(state).toMatchObject({ reads: 1, works: [] });
  state.at += 1;
  expect(await Promise.all([cache.get("a"), cache.get("a")])).toEqual([1, 1]);
  expect(state.reads).toBe(2);
  await Promise.all(state.works);
  state.at += 1_000; // the first copy would be read again now
  expect(await cache.get("a")).toBe(2);
  expect(state.reads).toBe(2);
});

test("an early read that fails prolongs no copy, and a record that a delta named is not kept from it", async ({
  expect,
}) => {
  const { state, cache } = aheadWorld();
  await cache.get("a");
  state.at += registryLimits.freshMilliseconds - 1;
  state.isDown = true;
  expect(await cache.get("a")).toBe(1);
  await Promise.all(state.works);
  state.at += registryLimits.hardMilliseconds - registryLimits.freshMilliseconds + 1;
  await expect(cache.get("a")).rejects.toThrow("down");

  state.isDown = false;
  expect(await cache.get("a")).toBe(4);
  state.at += registryLimits.freshMilliseconds - 1;
  await cache.get("a");
  cache.forget("a", 2); // while the early read runs
  await Promise.all(state.works);
  expect(cache.isFresh("a")).toBe(false);
});
