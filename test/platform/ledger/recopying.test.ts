import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { test, vi } from "vitest";
import type { AuditEvent } from "#audit/event";
import { checkpointKey } from "#ledger/flush";
import { verifyLog } from "#ledger/verify";
import { bucket, bucketReader, flush, keysOf, originOf, startWith } from "./bucket.ts";
import { ledger, newId, ownLog, positionOf, publicReader, refusal, shard, verifierOf } from "./worker.ts";

/** A record of the largest size: 65,535 bytes as a leaf, so that few records fill an object of 8 MiB. */
function large(): AuditEvent {
  const id = newId();
  return {
    ...refusal(id),
    patients: Array.from({ length: 500 }, (_, i) => ({
      patient: `main/Patient/made-up-${1000 + i}-${id}-and-longer`,
      counts: {},
    })),
  };
}

/** One alarm ten minutes later, of an instance that retains this much. */
const alarmKeeping = (log: string, mebibytes: string) =>
  runInDurableObject(shard(log), async (_, state) => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 600_000 });
    try {
      await (await startWith(state, bucket, { LEDGER_KEEP_MIB: mebibytes })).alarm();
    } finally {
      vi.useRealTimers();
    }
  });

async function restart(log: string): Promise<void> {
  await shard(log).status(); // only a running object can be evicted
  await evictDurableObject(shard(log));
}

const firstRow = (log: string) =>
  runInDurableObject(
    shard(log),
    (_, { storage: { sql } }) => sql.exec<{ n: number }>("SELECT min(number) AS n FROM frames").one().n,
  );

test.skipIf(ledger.LANE === "fast")(
  "after a loss a log is copied again from its first row on, also when its next object ends before the bundle of its last deleted leaf",
  { timeout: 60_000 },
  async ({ expect }) => {
    const log = ownLog();
    const receipts = [];
    for (let i = 0; i < 22; i++) {
      receipts.push(positionOf(await shard(log).append(Array.from({ length: 15 }, large))));
      await flush(log);
    }
    await alarmKeeping(log, "18");
    expect(await firstRow(log)).toBeGreaterThan(2);
    await bucket.delete(checkpointKey(originOf(log)));
    await restart(log);
    for (let i = 0; i < 5; i++) await flush(log);
    const { size, copied, why } = await shard(log).status();
    expect({ copied, why }).toEqual({ copied: size, why: null });
    await scheduler.wait(1001); // a checkpoint is signed once a second at most
    for (const [name, reader] of Object.entries({ shown: publicReader(log), inBucket: bucketReader(log) }))
      expect(await verifyLog(reader, verifierOf(log), { receipts }), name).toMatchObject({
        ok: true,
        value: { size },
      });
  },
);

test("frames that an earlier version copied, without a note of where, are copied under a name that is noted before they go", async ({
  expect,
}) => {
  const log = ownLog();
  const fill = async () => positionOf(await shard(log).append(Array.from({ length: 254 }, () => refusal())));
  const receipts = [];
  for (let i = 0; i < 3; i++) {
    receipts.push(await fill());
    await flush(log);
  }
  await runInDurableObject(
    shard(log),
    (_, { storage: { sql } }) => void sql.exec("DROP TABLE copied; DROP TABLE freed"),
  );
  await restart(log);
  for (let i = 0; i < 2; i++) {
    receipts.push(await fill());
    await flush(log);
  }
  for (let i = 0; i < 2; i++) await alarmKeeping(log, "0");
  await restart(log);
  expect(await firstRow(log)).toBe(4);
  expect((await keysOf(log)).filter((key) => key.startsWith("frames/"))).toEqual(
    expect.arrayContaining(["frames/0-0", "frames/1-1", "frames/2-2", "frames/0-2"]),
  );
  expect(await verifyLog(publicReader(log), verifierOf(log), { receipts })).toMatchObject({ ok: true });
});
