import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { checkpointKey, objectKey } from "#ledger/flush";
import { splitFrames } from "#ledger/frame-copies";
import type { LogReader } from "#ledger/ports";
import { TILE_WIDTH } from "#ledger/tlog/tile";
import type { LedgerEnv } from "#platform/ledger/config";
import { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import { ledger, shard } from "./worker.ts";

export const bucket = ledger.LEDGER_BUCKET;
export const originOf = (log: string): string => `ledger.test/${log}`;

/** A log's keys in the bucket, without their common prefix. */
export async function keysOf(log: string): Promise<string[]> {
  const { objects } = await bucket.list({ prefix: `log/${originOf(log)}/` });
  return objects.map(({ key }) => key.slice(`log/${originOf(log)}/`.length)).sort();
}

export async function bytesAt(key: string): Promise<Uint8Array | undefined> {
  return (await bucket.get(key))?.bytes();
}

/**
 * The log as the bucket has it: frames out of their containers. Only unfinished tiles and bundles come from
 * the shard.
 */
export function bucketReader(log: string): LogReader {
  const origin = originOf(log);
  const containers = keysOf(log).then((keys) =>
    keys.flatMap((key) => {
      const [, first = "", last = ""] = /^frames\/(\d+)-(\d+)$/.exec(key) ?? [];
      return first === "" ? [] : [{ first: Number(first), last: Number(last) }];
    }),
  );
  return {
    checkpoint: () => bytesAt(checkpointKey(origin)),
    tile: (level, index, width) =>
      width === TILE_WIDTH
        ? bytesAt(objectKey(origin, { kind: "tile", level, index }))
        : shard(log).tile(level, index, width),
    entries: (index, width) =>
      width === TILE_WIDTH
        ? bytesAt(objectKey(origin, { kind: "entries", index }))
        : shard(log).entries(index, width),
    async frame(number) {
      const at = (await containers).find(({ first, last }) => first <= number && number <= last);
      const frames =
        at && splitFrames((await bytesAt(objectKey(origin, { kind: "frames", ...at }))) ?? new Uint8Array());
      return at && frames?.[number - at.first];
    },
  };
}

/**
 * A second instance over a log's storage, with this bucket, or with different variables too. Resolves when
 * its start is over.
 */
export async function startWith(
  state: DurableObjectState,
  own: R2Bucket,
  others: Partial<LedgerEnv> = {},
): Promise<LedgerShard> {
  const instance = new LedgerShard(state, { ...ledger, LEDGER_BUCKET: own, ...others });
  await scheduler.wait(1); // the start delays all outside events, including this timer
  return instance;
}

/**
 * Runs a log's flush on a separate instance with this bucket, over the same storage; then the object starts
 * anew.
 */
export async function flushWith(log: string, faulty: R2Bucket): Promise<void> {
  await runInDurableObject(shard(log), async (_, state) => {
    await (await startWith(state, faulty)).alarm();
  }).catch(() => undefined); // some of these tests want a crash
  await evictDurableObject(shard(log)).catch(() => undefined);
}

/** Runs the flush that a log's alarm would run now. */
export const flush = (log: string): Promise<void> =>
  runInDurableObject(shard(log), (instance) => instance.alarm());

/**
 * The result of a bucket call: not done and an error, done and an error, and both with a crash instead of
 * the error.
 */
export type Fault = "lost" | "done, but an error" | "crash before" | "crash after";

/** A bucket whose nth call (from 0) and all later calls fail; `calls` counts them. */
export function faultyBucket(
  nth: number,
  fault: Fault,
  crash: () => void,
): { bucket: R2Bucket; readonly calls: number } {
  let calls = 0;
  const around =
    <A extends unknown[], T>(call: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      if (calls++ < nth) return call(...args);
      if (fault === "done, but an error" || fault === "crash after") await call(...args);
      if (fault.startsWith("crash")) crash();
      throw new Error("made to fail by the test");
    };
  const broken = {
    get: around((key: string) => bucket.get(key)),
    head: around((key: string) => bucket.head(key)),
    put: around((key: string, bytes: Uint8Array, options: R2PutOptions) => bucket.put(key, bytes, options)),
  } as unknown as R2Bucket; // the three calls that the ledger makes
  return {
    bucket: broken,
    get calls() {
      return calls;
    },
  };
}
