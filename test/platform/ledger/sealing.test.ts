import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { test, vi } from "vitest";
import type { AuditEvent } from "#audit/event";
import { leafKinds } from "#ledger/leaf/leaf";
import { overAt } from "#ledger/log-name";
import { verifyLog } from "#ledger/verify";
import { reload } from "./broken-writes.ts";
import { flush } from "./bucket.ts";
import {
  disclosureOf,
  failure,
  leavesOf,
  ledger,
  openAll,
  ownLog,
  positionOf,
  publicReader,
  refusal,
  shard,
  verifierOf,
} from "./worker.ts";

// Between the batch of a commit and its transaction the ledger waits for the crypto library. Each test here
// lets something happen in that wait.

interface HeldSealing {
  /** Ends when a commit waits for its seals. */
  readonly reached: () => Promise<void>;
  /** Lets it go on, or makes it fail with its counters taken. */
  readonly release: (fault?: Error) => void;
}

/** Holds the next call of `encrypt`; the calls after it go on. */
function holdSealing(): HeldSealing {
  const { subtle } = crypto;
  const encrypt = subtle.encrypt.bind(subtle);
  // Test and object have contexts of their own, so neither waits for a promise of the other.
  const state = { isReached: false, isReleased: false, fault: undefined as Error | undefined };
  subtle.encrypt = async (...given) => {
    subtle.encrypt = encrypt;
    const sealed = await encrypt(...given); // the key has used the counter
    state.isReached = true;
    while (!state.isReleased) await scheduler.wait(2);
    if (state.fault !== undefined) throw state.fault;
    return sealed;
  };
  return {
    async reached() {
      while (!state.isReached) await scheduler.wait(2);
    },
    release(fault) {
      Object.assign(state, { isReleased: true, fault });
    },
  };
}

const started = async (): Promise<string> => {
  const log = ownLog();
  positionOf(await shard(log).append([disclosureOf(2)]));
  return log;
};
const [auditor = {}] = ledger.AUDITOR_PRIVATE_KEYS;
const idsOf = async (log: string) =>
  (await openAll(log, auditor)).map((record) => record?.event.id).filter((id) => id !== undefined);

/** Each (key epoch, counter) once, the counters of an epoch in their order, and a log that verifies. */
async function nonces(log: string): Promise<readonly string[]> {
  const verified = await verifyLog(publicReader(log), verifierOf(log));
  if (!verified.ok) throw new Error(`${verified.error.object}: ${verified.error.problem}`);
  const sealed = (await leavesOf(log)).filter(({ kind }) => kind === leafKinds.sealed);
  return sealed.map(({ keyEpoch, counter }) => `${keyEpoch}.${counter}`);
}

test("a batch that fails after its counters were taken stores nothing, and no later leaf has one of these counters under that key", async ({
  expect,
}) => {
  const log = await started();
  const held = holdSealing();
  const failing = Promise.all(
    [refusal(), disclosureOf(2)].map((event) => failure(() => shard(log).append([event]))),
  );
  await held.reached();
  held.release(new Error("made to fail by the test"));
  expect(await failing).not.toContain("no failure");
  await reload(log);
  expect((await shard(log).status()).size).toBe(3); // shard-open, key-epoch, the first record
  const next = disclosureOf(1);
  positionOf(await shard(log).append([next]));
  expect(await nonces(log)).toEqual(["1.1", "2.1"]); // the object that failed ended with its key
  expect(await idsOf(log)).toContain(next.id);
});

test("appends that come while a batch is sealed are in the next frame, in order, after an alarm that copies neither", async ({
  expect,
}) => {
  const log = await started();
  const events: readonly AuditEvent[] = Array.from({ length: 6 }, () => disclosureOf(1));
  const held = holdSealing();
  const first = shard(log).append(events.slice(0, 1));
  await held.reached();
  const rest = events.slice(1).map((event) => shard(log).append([event]));
  const repeated = shard(log).append(events.slice(0, 1));
  await runDurableObjectAlarm(shard(log));
  expect(await shard(log).status()).toMatchObject({ size: 3, copied: 3, health: "good" });
  held.release();
  const places = (await Promise.all([first, ...rest])).map(positionOf);
  expect(positionOf(await repeated), "a repeated append waits for the same place").toEqual(places[0]);
  expect(places.map(({ index }) => index)).toEqual([3, 4, 5, 6, 7, 8]);
  expect(new Set(places.slice(1).map(({ frame }) => frame))).toEqual(new Set([2]));
  expect(await nonces(log)).toEqual([1, 2, 3, 4, 5, 6, 7].map((counter) => `1.${counter}`));
  expect((await idsOf(log)).slice(1)).toEqual(events.map(({ id }) => id));
  await flush(log);
  expect(await shard(log).status()).toMatchObject({ size: 9, copied: 9, health: "good", why: null });
});

test("an object that ends while a batch is sealed leaves no record, and the next object goes on under a new key", async ({
  expect,
}) => {
  const log = await started();
  const held = holdSealing();
  const lost = disclosureOf(1);
  const failing = failure(() => shard(log).append([lost]));
  await held.reached();
  await runInDurableObject(shard(log), (_, state) => state.abort("ended by the test")).catch(() => undefined);
  expect(await failing).not.toBe("no failure");
  await reload(log);
  held.release(); // too late: its object is gone
  positionOf(await shard(log).append([lost]));
  expect(await nonces(log)).toEqual(["1.1", "2.1"]);
  expect((await idsOf(log)).filter((id) => id === lost.id)).toHaveLength(1);
});

test("a batch that is sealed while its log's half-year ends is refused, and its log is sealed without it", async ({
  expect,
}) => {
  const log = await started();
  const held = holdSealing();
  const late = failure(() => shard(log).append([disclosureOf(1)]));
  await held.reached();
  await runInDurableObject(shard(log), async (shardItself) => {
    vi.useFakeTimers({ toFake: ["Date"], now: (overAt(log) ?? 0) + 1_000 });
    try {
      const sealing = shardItself.alarm();
      held.release();
      await sealing;
    } finally {
      vi.useRealTimers();
    }
  });
  expect(await late).toContain("this log is not open");
  expect(await shard(log).status()).toMatchObject({ sealed: true, size: 256, copied: 256, why: null });
  expect(await nonces(log)).toEqual(["1.1"]);
});

test("a key that is spent while its batch is sealed seals that batch, and the next batch begins a new epoch", async ({
  expect,
}) => {
  const log = await started();
  const held = holdSealing();
  const first = shard(log).append([disclosureOf(1)]);
  await held.reached();
  const second = shard(log).append([disclosureOf(1)]);
  await shard(log).status(); // calls arrive in their order
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_001 });
  try {
    held.release();
    expect([positionOf(await first).index, positionOf(await second).index]).toEqual([3, 5]);
  } finally {
    vi.useRealTimers();
  }
  expect(await nonces(log)).toEqual(["1.1", "1.2", "2.1"]); // leaf 4 introduces the second key
});

test("while 4,096 appends wait a further append is refused at once, and each of them gets its place", async ({
  expect,
}) => {
  const log = await started();
  const held = holdSealing();
  const first = shard(log).append([disclosureOf(1)]);
  await held.reached();
  const outcomes = await runInDurableObject(shard(log), async (shardItself) => {
    const waiting = Array.from({ length: 4_095 }, () => shardItself.append([disclosureOf(1)]));
    const refused = await failure(() => shardItself.append([disclosureOf(1)]));
    held.release();
    const places = (await Promise.all(waiting)).map(positionOf);
    return { refused, indexes: places.map(({ index }) => index) };
  });
  expect(outcomes.refused).toContain("ledger: overloaded");
  expect(outcomes.indexes).toEqual(Array.from({ length: 4_095 }, (_, i) => 4 + i));
  expect(positionOf(await first).index).toBe(3);
  positionOf(await shard(log).append([disclosureOf(1)]));
});
