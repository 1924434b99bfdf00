import * as fc from "fast-check";
import { test } from "vitest";
import type { RecordName, RegistryPosition } from "#registry/revocation";
import { instant } from "#kernel/clock";
import { applyRevocationDeltas } from "#platform/registry/apply-deltas";
import { registryCache } from "#platform/registry/registry-cache";
import { RegistryReader, type Subject } from "#platform/registry/registry-reader";

/**
 * A database whose copy is behind, and that counts its writes. A session's bookmark is the number of writes
 * that its copy has.
 */
class LaggingD1 {
  writes = 0;
  copied = 0;
  down = false;
  readonly asked: string[] = [];
  withSession(from: string) {
    if (this.down) throw new Error("D1 is down");
    this.asked.push(from);
    return { writes: from === "first-primary" ? this.writes : Math.max(this.copied, Number(from)) };
  }
}
const writesSeen = async (db: object): Promise<number> => Number(Reflect.get(db, "writes"));
const bookmarkOf = (writes: number) => `${writes}`.padStart(8, "0");

function isolate() {
  let now = instant(1_000_000);
  const d1 = new LaggingD1();
  // the only methods that the reader calls
  const reader = new RegistryReader(d1 as unknown as D1Database, () => now);
  const cacheOf = (subjectOf: (key: string) => Subject) => registryCache(reader, subjectOf, writesSeen);
  const caches = {
    client: cacheOf((id) => `client/${id}`),
    origin: cacheOf((name) => `origin/${name}`),
    issuer: cacheOf(() => "issuer"),
  };
  const ofAnyIssuer = {
    forget: (_: string, epoch: number) => caches.issuer.forgetAll(epoch),
    forgetAll: (epoch: number) => caches.issuer.forgetAll(epoch),
  };
  const apply = applyRevocationDeltas(reader, { ...caches, issuer: ofAnyIssuer });
  const hear = (
    standing: Partial<RegistryPosition>,
    { client = "a", stale = [] as readonly RecordName[], age = 0 } = {},
  ) =>
    apply({
      client,
      standing: { epoch: 1, bookmark: null, pending: [], ...standing },
      stale,
      asOf: instant(now - age),
    });
  return {
    d1,
    reader,
    caches,
    hear,
    apply,
    clock: () => now,
    pass: (milliseconds: number) => (now = instant(now + milliseconds)),
  };
}

test("an isolate without deltas, without a bookmark, or with deltas older than five seconds reads at the primary, and otherwise at its newest bookmark", async ({
  expect,
}) => {
  const { d1, reader, hear, pass } = isolate();
  const read = () => reader.read("origin/main", writesSeen);
  d1.writes = 7;
  expect(await read()).toMatchObject({ value: 7, epoch: 0 });
  hear({ epoch: 3, bookmark: null });
  expect(await read()).toMatchObject({ value: 7, epoch: 3 });
  hear({ epoch: 4, bookmark: bookmarkOf(5) }, { age: 1_000 });
  expect(await read()).toMatchObject({ value: 5, epoch: 4, asOf: 1_000_000 - 1_000 });
  hear({ epoch: 2, bookmark: bookmarkOf(1) }, { client: "b" });
  expect(await read(), "a late update reverts nothing").toMatchObject({ value: 5, epoch: 4 });
  pass(3_999);
  expect(await read()).toMatchObject({ value: 5 });
  pass(1);
  expect(await read()).toMatchObject({ value: 7, epoch: 4 });
  hear({ epoch: 4, bookmark: bookmarkOf(5) });
  expect(await read(), "the same update, read again").toMatchObject({ value: 5 });
  pass(-1_000);
  expect(await read(), "a clock that stepped back").toMatchObject({ value: 7 });
  expect(d1.asked.filter((from) => from !== "first-primary")).toEqual(
    Array.from({ length: 4 }, () => bookmarkOf(5)),
  );
});

test("a record that a near copy lacks is read at the primary", async ({ expect }) => {
  const { d1, reader, hear } = isolate();
  hear({ epoch: 1, bookmark: bookmarkOf(1) });
  d1.writes = 2;
  const found = await reader.read("client/new", async (db) =>
    (await writesSeen(db)) >= 2 ? "registered" : undefined,
  );
  expect(found.value).toBe("registered");
  expect(d1.asked).toEqual([bookmarkOf(1), "first-primary"]);
});

test("while a record is being written it is read at the primary each time and no copy is used or stored; further records are cached", async ({
  expect,
}) => {
  const { d1, caches, hear } = isolate();
  const both = async () => [
    await caches.client.get("a"),
    await caches.client.get("b"),
    await caches.origin.get("main"),
    await caches.issuer.get("all"),
  ];
  hear({ epoch: 1, bookmark: bookmarkOf(0) });
  expect(await both()).toEqual([0, 0, 0, 0]);
  hear({ epoch: 2, bookmark: bookmarkOf(0), pending: ["client/a", "issuer/https://issuer.example"] });
  d1.writes = 1;
  expect(await both(), "earlier copies too").toEqual([1, 0, 0, 1]);
  d1.writes = 2;
  expect(await both()).toEqual([2, 0, 0, 2]);
  hear({ epoch: 1, bookmark: bookmarkOf(0) });
  hear({ epoch: 2, bookmark: bookmarkOf(0), pending: ["issuer/https://issuer.example"] }, { client: "b" });
  expect(await both(), "neither a late update nor a different client's says that it is over").toEqual([
    2, 0, 0, 2,
  ]);
  hear({ epoch: 3, bookmark: bookmarkOf(2) }, { stale: ["client/a", "issuer/https://issuer.example"] });
  d1.writes = 3;
  expect(await both()).toEqual([2, 0, 0, 2]);
});

test("a read in progress when the record changed, or began to change, is not stored", async ({ expect }) => {
  for (const standing of [
    { epoch: 2, bookmark: bookmarkOf(1) },
    { epoch: 2, bookmark: bookmarkOf(0), pending: ["origin/main"] as const },
  ]) {
    const { d1, caches, hear } = isolate();
    hear({ epoch: 1, bookmark: bookmarkOf(0) });
    const reading = caches.origin.get("main");
    hear(standing, { stale: ["origin/main"] });
    d1.writes = 1;
    expect(await reading).toBe(0);
    expect(await caches.origin.get("main")).toBe(1);
  }
});

test("a read from before the isolate knew that the record is being written is not stored, even without a further delta", async ({
  expect,
}) => {
  for (const when of ["before", "under way"]) {
    const { d1, caches, hear } = isolate();
    hear({ epoch: 5, bookmark: bookmarkOf(0) }, { client: "b" });
    const reading = caches.client.get("a");
    if (when === "before") await reading;
    hear({ epoch: 5, bookmark: bookmarkOf(0), pending: ["client/a"] });
    await reading;
    if (when === "before") await caches.client.get("a");
    d1.writes = 1;
    hear({ epoch: 6, bookmark: bookmarkOf(1) });
    expect(await caches.client.get("a"), when).toBe(1);
  }
});

test("a copy is as old as the isolate's knowledge when it was read: ten seconds after that it is not used, also while D1 is down", async ({
  expect,
}) => {
  const { d1, caches, hear, pass } = isolate();
  hear({ epoch: 1, bookmark: bookmarkOf(0) }, { age: 4_000 });
  await caches.client.get("a");
  d1.down = true;
  pass(5_999);
  expect(await caches.client.get("a")).toBe(0);
  pass(1);
  await expect(caches.client.get("a")).rejects.toThrow("D1 is down");
});

test("a copy that is known to have a change already is not dropped for it", async ({ expect }) => {
  const { d1, caches, hear } = isolate();
  hear({ epoch: 5, bookmark: bookmarkOf(1) }, { client: "b" });
  await caches.client.get("a");
  const asked = d1.asked.length;
  hear({ epoch: 5, bookmark: bookmarkOf(1) }, { stale: ["client/a"] });
  await caches.client.get("a");
  expect(d1.asked.length).toBe(asked);
});

/** The deltas that `control` would send. */
class Teller {
  #standing: RegistryPosition = { epoch: 1, bookmark: bookmarkOf(0), pending: [] };
  #told = 0; // the epoch of the isolate's last deltas
  readonly d1: LaggingD1;
  constructor(d1: LaggingD1) {
    this.d1 = d1;
  }
  readonly done = new Map([[1, 0]]); // by epoch: the writes that were reported done
  begin() {
    this.#step({ pending: ["origin/main"] });
  }
  write() {
    if (this.#standing.pending.length > 0) this.d1.writes += 1;
  }
  finish() {
    if (this.#standing.pending.length > 0) this.#step({ pending: [], bookmark: bookmarkOf(this.d1.writes) });
  }
  news(): { readonly standing: RegistryPosition; readonly stale: readonly RecordName[] } {
    const stale: readonly RecordName[] =
      this.#standing.epoch > this.#told && this.#told > 0 ? ["origin/main"] : [];
    this.#told = this.#standing.epoch;
    return { standing: this.#standing, stale };
  }
  #step(change: Partial<RegistryPosition>) {
    const epoch = this.#standing.epoch + 1;
    this.#standing = { ...this.#standing, ...change, epoch };
    this.done.set(epoch, Number(this.#standing.bookmark));
  }
}

// The first answer of a guard names no changed record: earlier changes are unknown, and dropping every copy
// for each new client of an isolate would cost a read of each record. A copy that was read before that
// answer lives until its ten seconds are over, as P4 promises. From then on each change is named, and its
// copy is dropped at once.
test("however far the near copy is behind, no record older than ten seconds is used, and none without a change whose delta the isolate has", async ({
  expect,
}) => {
  const step = fc.oneof(
    fc.constantFrom("begin", "write", "finish", "hear", "get", "get", "get"),
    fc.record({ pass: fc.integer({ min: 1, max: 4_000 }) }),
    fc.record({ copy: fc.nat(3) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { d1, caches, apply, clock, pass } = isolate();
      const teller = new Teller(d1);
      let includedEpoch = 0;
      let wasRead = false;
      const doneAt: { readonly at: number; readonly writes: number }[] = [{ at: 0, writes: 0 }];
      for (const each of steps) {
        if (typeof each === "object") {
          if ("pass" in each) pass(each.pass);
          else d1.copied = Math.min(d1.writes, d1.copied + each.copy);
          continue;
        }
        switch (each) {
          case "begin":
          case "write":
          case "finish":
            teller[each]();
            if (each === "finish") doneAt.push({ at: clock(), writes: Math.max(...teller.done.values()) });
            break;
          case "hear": {
            const news = teller.news();
            apply({ client: "a", ...news, asOf: clock() });
            if (!wasRead || news.stale.length > 0) includedEpoch = news.standing.epoch;
            break;
          }
          case "get": {
            wasRead = true;
            const got = (await caches.origin.get("main")) ?? -1;
            const old = doneAt.findLast(({ at }) => at <= clock() - 10_000)?.writes ?? 0;
            expect(got).toBeGreaterThanOrEqual(Math.max(old, teller.done.get(includedEpoch) ?? 0));
            expect(got).toBeLessThanOrEqual(d1.writes);
          }
        }
      }
    }),
    { numRuns: 500 },
  );
});
