import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { test, vi } from "vitest";
import { checkpointKey } from "#ledger/flush";
import { checkpointText } from "#ledger/tlog/checkpoint";
import { leafKinds } from "#ledger/leaf/leaf";
import { instant } from "#kernel/clock";
import { halfYearOf, overAt } from "#ledger/log-name";
import { ROOT_LOG } from "#ledger/root-log";
import { verifyLog } from "#ledger/verify";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import { signText } from "#platform/ledger/object/log/signer";
import { bucket, bucketReader, bytesAt, flush, keysOf, originOf, startWith } from "./bucket.ts";
import {
  config,
  disclosureOf,
  failure,
  leavesOf,
  ledger,
  openAll,
  positionOf,
  ownLog,
  publicReader,
  refusal,
  seen,
  shard,
  verifierOf,
  refusals,
} from "./worker.ts";
import { patience } from "../../support/patience.ts";

const after = (log: string): number => (overAt(log) ?? 0) + 1000;

/** Runs work on this log's object at a different time. */
function at<T>(
  log: string,
  time: number,
  act: (shardItself: LedgerShard, state: DurableObjectState) => Promise<T>,
): Promise<T> {
  return runInDurableObject(shard(log), async (shardItself, state) => {
    vi.useFakeTimers({ toFake: ["Date"], now: time });
    try {
      return await act(shardItself, state);
    } finally {
      vi.useRealTimers();
    }
  });
}

const seal = (log: string): Promise<void> => at(log, after(log), (shardItself) => shardItself.alarm());

test.for([
  ["in the midst of a bundle", 200],
  ["one leaf before a bundle's end", 253],
  ["at a bundle's end", 254],
  ["one leaf behind a bundle's end", 255],
] as const)(
  "a log that ends %s is sealed when its half-year is over: its last bundle is full, all of it is in R2, and it verifies",
  async ([, count], { expect }) => {
    const log = ownLog();
    for (const some of [Math.min(count, 254), Math.max(0, count - 254)])
      if (some > 0) positionOf(await shard(log).append(refusals(some)));
    const { size } = await shard(log).status();
    await seal(log);
    const status = await shard(log).status();
    expect(status).toMatchObject({
      sealed: true,
      open: false,
      health: "good",
      why: null,
      copied: status.size,
    });
    expect(status.size % 256).toBe(0);
    expect(status.size - size).toBe(256 - (size % 256));
    const leaves = await leavesOf(log);
    expect(leaves.map(({ kind }) => kind === leafKinds.shardSeal)).toEqual(leaves.map((_, i) => i >= size));
    const bundles = status.size / 256;
    expect((await keysOf(log)).filter((key) => key.startsWith("tile/entries/"))).toHaveLength(bundles);
    for (const reader of [publicReader(log), bucketReader(log)])
      expect(await verifyLog(reader, verifierOf(log))).toMatchObject({
        ok: true,
        value: { size: status.size },
      });
  },
);

test("nothing is ever added to a sealed log: not when the clock is set back, not by another alarm, not after a restart", async ({
  expect,
}) => {
  const log = ownLog();
  positionOf(await shard(log).append(refusals(3)));
  await seal(log);
  const { size, frames } = await shard(log).status();
  expect(await failure(() => shard(log).append([refusal()])), "this very half-year, by the clock").toContain(
    "this log is not open",
  );
  await seal(log);
  await evictDurableObject(shard(log));
  expect(await failure(() => shard(log).append([disclosureOf(1)]))).toContain("this log is not open");
  await seal(log);
  expect(await shard(log).status()).toMatchObject({ size, frames, sealed: true });
});

test("a log is not sealed while its successor may still ask it about proofs, nor is a log without records", async ({
  expect,
}) => {
  const [log, empty] = [ownLog(), ownLog()];
  positionOf(await shard(log).append([refusal()]));
  await at(log, after(log) - 2000, (shardItself) => shardItself.alarm());
  expect(await shard(log).status()).toMatchObject({ sealed: false });
  await shard(empty).status();
  await seal(empty);
  expect(await shard(empty).status()).toMatchObject({ sealed: false, size: 0 });
});

test("a single clock that runs ahead seals no log: the root log's clock must agree", async ({ expect }) => {
  const log = ownLog();
  positionOf(await shard(log).append([refusal()]));
  const rootInTime = {
    getByName: (name: string) => {
      const root = ledger.LEDGER_ROOT.getByName(name);
      return {
        // by its clock the next half-year is far off
        open: async (one: string) => (one === log ? root.open(one) : undefined),
        add: (...given: Parameters<typeof root.add>) => root.add(...given),
      };
    },
  } as unknown as typeof ledger.LEDGER_ROOT; // the two calls that a log makes
  await at(log, after(log), async (_, state) => {
    const ahead = await startWith(state, bucket, { LEDGER_ROOT: rootInTime } as object);
    await ahead.alarm();
    expect(await ahead.status()).toMatchObject({ sealed: false, why: null });
  });
  await evictDurableObject(shard(log));
  positionOf(await shard(log).append([refusal()]));
});

test("a log that the root log knows otherwise neither copies nor seals, and its alarm comes no more", async ({
  expect,
}) => {
  const log = ownLog();
  positionOf(await shard(log).append([refusal()]));
  const other = {
    origin: originOf(log),
    size: 9,
    root: new Uint8Array(32),
    frame: { number: 7, hash: new Uint8Array(32) },
  };
  const open = async () => signText(config, originOf(log), checkpointText(other));
  // the only call of a start
  const LEDGER_ROOT = { getByName: () => ({ open }) } as unknown as typeof ledger.LEDGER_ROOT;
  await at(log, after(log), async (_, state) => {
    const stopped = await startWith(state, bucket, { LEDGER_ROOT } as object);
    await state.storage.deleteAlarm();
    await stopped.alarm();
    expect(await stopped.status()).toMatchObject({ sealed: false, copied: 0, health: "refusing" });
    expect(await state.storage.getAlarm()).toBeNull();
  });
});

test("an idle log wakes when its time is over, and a sealed log never again", async ({ expect }) => {
  const log = ownLog();
  positionOf(await shard(log).append([refusal()]));
  await flush(log);
  const alarm = () => runInDurableObject(shard(log), (_, state) => state.storage.getAlarm());
  expect(await alarm()).toBe(overAt(log));
  positionOf(await shard(log).append([refusal()]));
  expect(await alarm(), "and sooner when there is something to copy").toBeLessThan(Date.now() + 60_000);
  await seal(log);
  await runDurableObjectAlarm(shard(log)); // the commit of the seal had set it
  expect(await alarm()).toBeNull();
});

test("the last checkpoint of a sealed log stands in the root log", async ({ expect }) => {
  const log = ownLog();
  positionOf(await shard(log).append([refusal()]));
  await seal(log);
  const { size } = await shard(log).status();
  const note = await ledger.LEDGER_ROOT.getByName(ROOT_LOG).open(log);
  expect(note?.split("\n")[1]).toBe(String(size));
});

test("when the commit of the seal fails, the log is unchanged, and the next alarm seals it", async ({
  expect,
}) => {
  const log = ownLog();
  const recorded = positionOf(await shard(log).append([refusal()]));
  await runInDurableObject(shard(log), (_, state) => {
    state.storage.sql.exec(
      "CREATE TRIGGER broken BEFORE INSERT ON frames BEGIN SELECT RAISE(FAIL, 'made to fail by the test'); END",
    );
  });
  await seal(log).catch(() => undefined);
  await runInDurableObject(
    shard(log),
    (_, state) => void state.storage.sql.exec("DROP TRIGGER broken"),
  ).catch(() => undefined);
  expect(await shard(log).status()).toMatchObject({ sealed: false, frames: 1 });
  await seal(log);
  expect(await shard(log).status()).toMatchObject({ sealed: true, frames: 2 });
  expect(await verifyLog(publicReader(log), verifierOf(log), { receipts: [recorded] })).toMatchObject({
    ok: true,
  });
});

test("counted refusals are recorded without a further append, or in the following log, and readers count them once", async ({
  expect,
}) => {
  const log = ownLog();
  const heir = log.replace(halfYearOf(instant(Date.now())), halfYearOf(instant(after(log))));
  const anonymous = () => ({ ...refusal(), outcome: { status: 401, reason: "token_missing" } });
  const flood = async (count: number) => {
    const answers = await Promise.all(Array.from({ length: count }, () => shard(log).append([anonymous()])));
    return answers.filter((answer) => answer === "counted").length;
  };
  const talliesIn = async (name: string) => {
    const records = await openAll(name, ledger.AUDITOR_PRIVATE_KEYS[0] ?? {});
    return records.flatMap((record) =>
      record?.event.kind === "refusals" ? [{ id: record.event.id, ...record.event.tally }] : [],
    );
  };
  const counted = await flood(1_200);
  await flush(log); // settles the counts during the copy
  await expect.poll(() => talliesIn(log), patience).toMatchObject([{ token_missing: counted }]);

  const late = await flood(30); // every two seconds, one has its own record
  expect(late).toBeGreaterThan(0);
  const heirOf = (fails: boolean) =>
    ({
      getByName: (name: string) =>
        fails ? { appendText: () => Promise.reject(new Error("made to fail by the test")) } : shard(name),
    }) as unknown as DurableObjectNamespace<LedgerShard>; // the only call that sealing makes
  await at(log, after(log), async (_, state) => {
    const cut = await startWith(state, bucket, { LEDGER_SHARD: heirOf(true) } as object);
    await cut.alarm();
    expect(await cut.status(), "not while its counts are recorded nowhere").toMatchObject({ sealed: false });
    const whole = await startWith(state, bucket);
    await whole.alarm();
    expect(await whole.status()).toMatchObject({ sealed: true });
  });
  await evictDurableObject(shard(log));
  expect(await talliesIn(log)).toHaveLength(1);
  expect(await talliesIn(heir)).toMatchObject([{ token_missing: late }]);
});

test("a log that was deleted whole after six years is absent, not missing, and is not copied again from its object's rows", async ({
  expect,
}) => {
  const log = ownLog();
  positionOf(await shard(log).append(refusals(3)));
  await seal(log);
  const remove = async () => {
    for (const { key } of (await bucket.list({ prefix: `log/${originOf(log)}/` })).objects)
      await bucket.delete(key);
    await bucket.delete(checkpointKey(originOf(log)));
    await evictDurableObject(shard(log)).catch(() => undefined); // it may sleep already
  };
  const addresses = ["checkpoint", "frame/0", "frame/1", "tile/entries/000", "proof/0"];
  const statuses = () => Promise.all(addresses.map(async (path) => (await seen(`/${log}/${path}`))[0]));
  expect(await statuses()).toEqual([200, 200, 200, 200, 200]);
  vi.useFakeTimers({ toFake: ["Date"], now: after(log) + 6 * 366 * 86_400_000 });
  try {
    const note = (await bytesAt(checkpointKey(originOf(log)))) ?? new Uint8Array();
    await bucket.put(checkpointKey(originOf(log)), "another text");
    await evictDurableObject(shard(log)).catch(() => undefined);
    // bytes that the log once committed: only an intact log signs and proves
    const whatR2Has = [200, 200, 200];
    expect(await statuses(), "it may be deleted by then, but it is not").toEqual([503, ...whatR2Has, 503]);
    await bucket.put(checkpointKey(originOf(log)), note);
    await remove();
    expect(await statuses()).toEqual([404, 404, 404, 404, 404]);
    await runDurableObjectAlarm(shard(log));
    expect(await keysOf(log)).toEqual([]);
  } finally {
    vi.useRealTimers();
  }
});
