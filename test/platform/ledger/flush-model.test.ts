import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import * as fc from "fast-check";
import { test } from "vitest";
import type { Receipt } from "#ledger/receipt";
import { openCheckpoint } from "#ledger/checkpoint";
import { checkpointKey } from "#ledger/flush";
import { verifyLog } from "#ledger/verify";
import { bucketReader, bytesAt, type Fault, faultyBucket, flush, flushWith, originOf } from "./bucket.ts";
import { own, ownLog, publicReader, refusal, shard, verifierOf } from "./worker.ts";

type Step =
  | { readonly kind: "append"; readonly count: number }
  | { readonly kind: "flush" | "evict" }
  | { readonly kind: "faulty flush"; readonly nth: number; readonly fault: Fault };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("append" as const), count: fc.constantFrom(1, 7, 100, 254) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("flush" as const, "evict" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("faulty flush" as const),
      nth: fc.nat(12),
      fault: fc.constantFrom<Fault>("lost", "done, but an error", "crash before", "crash after"),
    }),
  },
);

async function take(log: string, next: Step, receipts: Receipt[]): Promise<void> {
  switch (next.kind) {
    case "append":
      receipts.push(own(await shard(log).append(Array.from({ length: next.count }, () => refusal()))));
      return;
    case "flush":
      return flush(log);
    case "evict":
      await shard(log).status(); // only what runs can be evicted
      return evictDurableObject(shard(log));
    case "faulty flush": {
      const { bucket } = await runInDurableObject(shard(log), (_, state) =>
        faultyBucket(next.nth, next.fault, () => state.abort("a crash made by the test")),
      );
      return flushWith(log, bucket);
    }
  }
}

async function publishedSize(log: string): Promise<number> {
  const note = await bytesAt(checkpointKey(originOf(log)));
  const checkpoint = note && openCheckpoint(note, verifierOf(log));
  if (checkpoint?.ok === false) throw new Error(checkpoint.error);
  return checkpoint?.value.size ?? 0;
}

test(
  "whatever is appended, flushed, broken and restarted in whatever order: the bucket's log only grows, and in the end both verify whole",
  { timeout: 60_000 },
  async ({ expect }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 10 }), async (steps) => {
        const log = ownLog();
        const receipts: Receipt[] = [];
        await take(log, { kind: "append", count: 1 }, receipts);
        let published = 0;
        for (const next of steps) {
          await take(log, next, receipts);
          const now = await publishedSize(log);
          expect(now).toBeGreaterThanOrEqual(published);
          if (now > 0) expect(await verifyLog(bucketReader(log), verifierOf(log))).toMatchObject({ ok: true, value: { size: now } });
          published = now;
        }
        await flush(log); // what was under way
        await flush(log); // and the rest
        const { size, copied, health, why } = await shard(log).status();
        expect({ copied, health, why }).toEqual({ copied: size, health: "good", why: null });
        expect(await verifyLog(bucketReader(log), verifierOf(log), { receipts })).toMatchObject({ ok: true, value: { size } });
        expect(await verifyLog(publicReader(log), verifierOf(log), { receipts })).toMatchObject({ ok: true, value: { size } });
      }),
      { numRuns: 25 },
    );
  },
);
