import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { test, vi } from "vitest";
import type { Recorded } from "#audit/ports";
import { splitEntries } from "#ledger/leaf/frame";
import { openInclusionNote } from "#ledger/tlog/inclusion-note";
import { leafHash } from "#ledger/tlog/merkle";
import { verifyLog } from "#ledger/verify";
import { bucket, startWith } from "./bucket.ts";
import { ledger, positionOf, ownLog, publicReader, refusal, shard, verifierOf } from "./worker.ts";

const APPENDS = ledger.LANE === "fast" ? 40 : 120;
const slowly = async <T>(call: () => Promise<T>): Promise<T> => {
  await scheduler.wait(3);
  return call();
};
/** A bucket that lets concurrent calls go on while it answers. */
const slow = {
  get: (key: string) => slowly(() => bucket.get(key)),
  head: (key: string) => slowly(() => bucket.head(key)),
  put: (key: string, bytes: Uint8Array, options: R2PutOptions) =>
    slowly(() => bucket.put(key, bytes, options)),
} as unknown as R2Bucket; // the three calls that the ledger makes

test.skipIf(ledger.LANE === "fast")(
  "appends, copies, pruning and reads at once: every frame, entry and proof that is read is right",
  { timeout: 60_000 },
  async ({ expect }) => {
    const log = ownLog();
    const receipts: Recorded[] = [];
    await runInDurableObject(shard(log), async (_, state) => {
      const began = Date.now();
      vi.useFakeTimers({ toFake: ["Date"], now: began });
      try {
        const instance = await startWith(state, slow, { LEDGER_KEEP_MIB: "0" });
        const run = { isOver: false };
        const alarms = async () => {
          for (; !run.isOver; await scheduler.wait(1)) await instance.alarm();
        };
        const reads = async () => {
          for (let i = 0; !run.isOver; i += 7, await scheduler.wait(1)) {
            const receipt = receipts[i % Math.max(1, receipts.length)];
            if (receipt === undefined) continue;
            const { frame, index, leafHash: hash } = receipt;
            expect(await instance.frame(frame)).toBeDefined();
            const entries = splitEntries(
              (await instance.entries(Math.floor(index / 256), (index % 256) + 1)) ?? new Uint8Array(),
            );
            expect(leafHash(entries?.at(-1) ?? new Uint8Array())).toEqual(hash);
            const note = await instance.proof(index);
            if (note !== undefined)
              expect(openInclusionNote(note, hash, verifierOf(log))).toMatchObject({
                ok: true,
                value: { index },
              });
          }
        };
        const running = Promise.all([alarms(), reads(), reads()]);
        for (let i = 0; i < APPENDS; i++) {
          vi.setSystemTime(began + i * 20_000); // so that even the latest append may be deleted
          receipts.push(
            positionOf(await instance.append(Array.from({ length: 100 + (i % 3) * 70 }, () => refusal()))),
          );
          await scheduler.wait(25); // a copy takes a turn for each of its objects
        }
        run.isOver = true;
        await running;
        const first = state.storage.sql.exec<{ n: number }>("SELECT min(number) AS n FROM frames").one().n;
        expect(first, "rows were deleted meanwhile").toBeGreaterThan(APPENDS / 2);
      } finally {
        vi.useRealTimers();
      }
    });
    await evictDurableObject(shard(log));
    expect(await verifyLog(publicReader(log), verifierOf(log))).toMatchObject({ ok: true });
  },
);
