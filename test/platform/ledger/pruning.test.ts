import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeAll, test, vi } from "vitest";
import { utf8 } from "#kernel/encoded";
import { checkpointText } from "#ledger/tlog/checkpoint";
import { checkpointKey, objectKey } from "#ledger/flush";
import { splitEntries } from "#ledger/leaf/frame";
import { openInclusionNote } from "#ledger/tlog/inclusion-note";
import { consistencyProof, leafHash, rootAt } from "#ledger/tlog/merkle";
import { RootLeaves, ROOT_LOG } from "#ledger/root-log";
import { hashAtTiles } from "#ledger/tlog/tile";
import { verifyLog } from "#ledger/verify";
import type { LedgerEnv } from "#platform/ledger/config";
import { LedgerRoot } from "#platform/ledger/object/root/ledger-root";
import { signText } from "#platform/ledger/object/log/signer";
import { bucket, bucketReader, bytesAt, flush, originOf, startWith } from "./bucket.ts";
import {
  config,
  failure,
  get,
  ledger,
  positionOf,
  ownLog,
  publicReader,
  refusal,
  seen,
  shard,
  verifierOf,
  fill,
} from "./worker.ts";

const keepNothing: Partial<LedgerEnv> = { LEDGER_KEEP_MIB: "0" };

/** Runs work ten minutes later, when nothing is recent any more. */
async function later<T>(act: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 600_000 });
  try {
    return await act();
  } finally {
    vi.useRealTimers();
  }
}

/** Runs three alarms of a log that retains no copied frames; then its object starts anew. */
async function free(log: string): Promise<void> {
  await runInDurableObject(shard(log), (_, state) =>
    later(async () => {
      const instance = await startWith(state, bucket, keepNothing);
      for (let i = 0; i < 3; i++) await instance.alarm();
    }),
  );
  await evictDurableObject(shard(log));
}

async function restart(log: string): Promise<void> {
  await shard(log).status(); // only a running object can be evicted
  await evictDurableObject(shard(log));
}

/** The rows of a log's object: how many bytes, which frames, which tiles. */
const rowsOf = (log: string) =>
  runInDurableObject(shard(log), (_, { storage: { sql } }) => ({
    bytes: sql.databaseSize,
    frames: Array.from(sql.exec<{ number: number }>("SELECT number FROM frames"), ({ number }) => number),
    tiles: Array.from(
      sql.exec<{ level: number; number: number }>("SELECT * FROM tiles"),
      ({ level, number }) => `${level}/${number}`,
    ),
  }));

/**
 * A log whose appends are copied one by one, so that each frame is its own object, and pruned as far as
 * possible.
 */
async function prunedLog(...counts: readonly number[]) {
  const log = ownLog();
  const receipts = [];
  for (const count of counts) {
    receipts.push(await fill(log, count));
    await flush(log);
  }
  await free(log);
  return { log, receipts };
}

const framesKey = (log: string, frame: number) =>
  objectKey(originOf(log), { kind: "frames", first: frame, last: frame });
const unavailable = [503, "application/problem+json", "no-store"];

/**
 * In the slow lane a log of 65,536 leaves and some more: its first 256 tiles are under a full tile of level 1.
 * In the fast lane a log of 4,574 leaves, with frames and tiles of level 0 alone.
 */
const { appends, paths, indexes, tilesBefore, tilesAfter } =
  ledger.LANE === "fast"
    ? {
        appends: [8, 8, 2],
        paths:
          "frame/0 frame/9 frame/17 tile/0/000 tile/0/000.p/7 tile/0/016 tile/entries/000 tile/entries/000.p/3 tile/entries/016",
        indexes: [0, 1, 255, 256, 4_351, 4_352],
        tilesBefore: 17,
        tilesAfter: Array.from({ length: 17 }, (_, tile) => `0/${tile}`),
      }
    : {
        appends: [130, 130, 2],
        paths:
          "frame/0 frame/137 frame/261 tile/0/000 tile/0/000.p/7 tile/0/255 tile/0/256 tile/1/000 tile/1/000.p/9 tile/entries/000 tile/entries/000.p/3 tile/entries/255 tile/entries/256 tile/entries/258",
        indexes: [0, 1, 255, 256, 40_000, 65_535, 65_536],
        tilesBefore: 260,
        tilesAfter: ["0/256", "0/257", "0/258", "1/0"],
      };
const large = {
  log: "",
  shown: [] as string[],
  before: { bytes: 0, frames: [] as number[], tiles: [] as string[] },
};
const answers = (log: string) =>
  Promise.all(
    paths
      .split(" ")
      .map(async (path) =>
        Buffer.from(await (await get(`/${log}/${path}`)).arrayBuffer()).toString("base64"),
      ),
  );

beforeAll(async () => {
  large.log = ownLog();
  for (const count of appends) {
    for (let i = 0; i < count; i++) await fill(large.log, 254);
    for (
      let status = await shard(large.log).status();
      status.copied < status.size;
      status = await shard(large.log).status()
    )
      await flush(large.log);
  }
  large.before = await rowsOf(large.log);
  large.shown = await answers(large.log);
  await free(large.log);
}, 120_000);

test("rows of frames and tiles go once R2 has them, and every address answers the bytes that it did", async ({
  expect,
}) => {
  const { log, before, shown } = large;
  const after = await rowsOf(log);
  expect(after.frames.length).toBeLessThan(before.frames.length / 2);
  expect(after.bytes).toBeLessThan(before.bytes / 2);
  expect(before.tiles).toHaveLength(tilesBefore);
  expect(after.tiles.toSorted()).toEqual(tilesAfter.toSorted());
  expect(shown.every((bytes) => bytes.length > 100)).toBe(true);
  expect(await answers(log)).toEqual(shown);
});

test("a proof of any record verifies, wherever its hashes are now, alone and together with further proofs", async ({
  expect,
}) => {
  const { log } = large;
  const { size } = await shard(log).status();
  const asked = [...indexes, size - 1];
  const together = await shard(log).proofs(asked);
  for (const [i, index] of asked.entries()) {
    const bundle = await shard(log).entries(Math.floor(index / 256), (index % 256) + 1);
    const leaf = leafHash(splitEntries(bundle ?? new Uint8Array())?.at(-1) ?? new Uint8Array());
    for (const note of [together[i], await shard(log).proof(index)])
      expect(openInclusionNote(note ?? new Uint8Array(), leaf, verifierOf(log))).toMatchObject({
        ok: true,
        value: { index },
      });
  }
});

test(
  "a log goes on after its rows were deleted: it starts, appends, copies, hands over, and verifies from its first frame on",
  { timeout: 60_000 },
  async ({ expect }) => {
    const { log } = large;
    await shard(log).checkpoint();
    const receipts = [await fill(log, 254), await fill(log, 3)];
    await flush(log);
    await free(log);
    receipts.push(await fill(log, 1));
    await flush(log);
    const { size, copied, health, why } = await shard(log).status();
    expect({ copied, health, why }).toEqual({ copied: size, health: "good", why: null });
    await scheduler.wait(1001); // a checkpoint is signed once a second at most
    expect(await verifyLog(publicReader(log), verifierOf(log), { receipts })).toMatchObject({
      ok: true,
      value: { size },
    });
  },
);

test("these rows stay: frames of an unfinished bundle, the last frame, recent frames, and as many bytes as configured", async ({
  expect,
}) => {
  const { log } = await prunedLog(200, 200, 200, 100); // leaves: 202, 402, 602, 702, and a key-epoch leaf
  expect((await rowsOf(log)).frames).toEqual([2, 3]);

  const recent = ownLog();
  for (const count of [254, 254, 254]) {
    await fill(recent, count);
    await flush(recent);
  }
  const asNow = async (others: Partial<LedgerEnv>) =>
    runInDurableObject(shard(recent), async (_, state) => (await startWith(state, bucket, others)).alarm());
  await asNow(keepNothing);
  expect((await rowsOf(recent)).frames, "a retry would be answered from them").toEqual([0, 1, 2]);
  await runInDurableObject(shard(recent), (_, state) =>
    later(async () => (await startWith(state, bucket, { LEDGER_KEEP_MIB: "256" })).alarm()),
  );
  expect((await rowsOf(recent)).frames, "256 MiB by default").toEqual([0, 1, 2]);
  await free(recent);
  expect((await rowsOf(recent)).frames).toEqual([2]);
});

test("frames stay while their accounting lines are on no shelf", async ({ expect }) => {
  const log = ownLog();
  for (const count of [254, 254, 254, 254]) {
    await fill(log, count);
    await flush(log);
  }
  await runInDurableObject(
    shard(log),
    (_, { storage: { sql } }) => void sql.exec("INSERT INTO lines VALUES (1, 1, 0, X'00', X'00')"),
  );
  await free(log);
  expect((await rowsOf(log)).frames).toEqual([1, 2, 3]);
  await runInDurableObject(shard(log), (_, { storage: { sql } }) => void sql.exec("DELETE FROM lines"));
  await free(log);
  expect((await rowsOf(log)).frames).toEqual([3]);
});

test("when pruning fails halfway every row is still there, and the next alarm completes it", async ({
  expect,
}) => {
  const log = ownLog();
  for (const count of [254, 254, 254]) {
    await fill(log, count);
    await flush(log);
  }
  const execute = (statement: string) =>
    runInDurableObject(shard(log), (_, { storage: { sql } }) => void sql.exec(statement));
  await execute(
    "CREATE TRIGGER broken BEFORE INSERT ON freed BEGIN SELECT RAISE(FAIL, 'made to fail by the test'); END",
  );
  await free(log);
  expect((await rowsOf(log)).frames).toEqual([0, 1, 2]);
  await execute("DROP TRIGGER broken");
  await free(log);
  expect((await rowsOf(log)).frames).toEqual([2]);
});

test("an old signature does not keep a log from starting, nor do its frames stay for that", async ({
  expect,
}) => {
  const log = ownLog();
  await fill(log, 254);
  const early = await shard(log).checkpoint();
  await flush(log);
  for (const count of [254, 254]) {
    await fill(log, count);
    await flush(log);
  }
  await free(log);
  expect((await rowsOf(log)).frames).not.toContain(0);
  await restart(log);
  expect(await shard(log).status()).toMatchObject({ health: "good", why: null });
  expect(await shard(log).checkpoint()).not.toEqual(early);
});

test("a bucket that shows an earlier checkpoint, or none, gets a copy again from the first row on, and objects of deleted rows are still there", async ({
  expect,
}) => {
  const log = ownLog();
  const receipts = [await fill(log, 254)];
  await flush(log);
  const early = (await bytesAt(checkpointKey(originOf(log)))) ?? new Uint8Array();
  for (const count of [254, 254, 10]) {
    receipts.push(await fill(log, count));
    await flush(log);
  }
  await free(log);
  expect((await rowsOf(log)).frames).not.toContain(0);
  for (const lost of [
    () => bucket.put(checkpointKey(originOf(log)), early),
    () => bucket.delete(checkpointKey(originOf(log))),
  ]) {
    await lost();
    await restart(log);
    receipts.push(await fill(log, 1));
    await flush(log);
    await flush(log);
    const { size, copied, why } = await shard(log).status();
    expect({ copied, why }).toEqual({ copied: size, why: null });
    await scheduler.wait(1001); // a checkpoint is signed once a second at most
    for (const [name, reader] of Object.entries({ shown: publicReader(log), inBucket: bucketReader(log) }))
      expect(await verifyLog(reader, verifierOf(log), { receipts }), name).toMatchObject({
        ok: true,
        value: { size },
      });
    await free(log);
  }
});

test("a checkpoint of a different history is found even where the log's own rows are deleted", async ({
  expect,
}) => {
  const { log } = await prunedLog(254, 254, 254);
  const other = await prunedLog(254, 254, 254);
  const note = (await bytesAt(checkpointKey(originOf(log)))) ?? new Uint8Array();
  await bucket.put(
    checkpointKey(originOf(log)),
    (await bytesAt(checkpointKey(originOf(other.log)))) ?? new Uint8Array(),
  );
  await restart(log);
  expect(await shard(log).status()).toMatchObject({ health: "refusing" });
  await bucket.put(checkpointKey(originOf(log)), note);
  await restart(log);
  expect(await shard(log).status()).toMatchObject({ health: "good" });
});

test("an object that the bucket lost is no answer of another content, nor of absence; appends go on", async ({
  expect,
}) => {
  const { log } = await prunedLog(254, 254, 254);
  await bucket.delete(framesKey(log, 0));
  await bucket.delete(objectKey(originOf(log), { kind: "entries", index: 0 }));
  expect(await seen(`/${log}/frame/0`)).toEqual(unavailable);
  expect(await seen(`/${log}/tile/entries/000`)).toEqual(unavailable);
  expect(await seen(`/${log}/frame/9`), "absent from the log").toEqual([404, ...unavailable.slice(1)]);
  expect(await fill(log, 1)).toMatchObject({ frame: 3 });
});

test("while R2 cannot be read, deleted rows are unavailable, present rows are served, and records are taken", async ({
  expect,
}) => {
  const { log } = await prunedLog(254, 254, 254);
  await runInDurableObject(shard(log), async (_, state) => {
    let isAway = false;
    const shaky = {
      get: (key: string) => (isAway ? Promise.reject(new Error("R2 is away")) : bucket.get(key)),
      head: () => Promise.reject(new Error("R2 is away")),
      put: () => Promise.reject(new Error("R2 is away")),
    } as unknown as R2Bucket; // the three calls that the ledger makes
    const instance = await startWith(state, shaky);
    isAway = true;
    expect(await failure(() => instance.frame(0))).toContain("R2 is away");
    expect(await instance.frame(2)).toBeDefined();
    expect(positionOf(await instance.append([refusal()]))).toMatchObject({ frame: 3 });
    await instance.alarm();
    expect(await instance.status()).toMatchObject({ size: 766, copied: 764, why: null });
    isAway = false;
    expect(await instance.frame(0), "asked again once the server is back").toBeDefined();
  });
});

test("a log read from its beginning fetches each object of frames once", async ({ expect }) => {
  const log = ownLog();
  for (let i = 0; i < 12; i++) await fill(log, 254);
  await flush(log); // twelve frames, one object
  await fill(log, 254);
  await flush(log);
  await free(log);
  await runInDurableObject(shard(log), async (_, state) => {
    const reads: string[] = [];
    // all that reading needs
    const counting = { get: (key: string) => (reads.push(key), bucket.get(key)) } as unknown as R2Bucket;
    const instance = await startWith(state, counting);
    for (let number = 0; number < 12; number++) expect(await instance.frame(number)).toBeDefined();
    expect(reads.filter((key) => key.includes("/frames/"))).toHaveLength(1);
  });
});

test("many who read old frames at once do not fill the memory of the object that takes the records", async ({
  expect,
}) => {
  const { log } = await prunedLog(...Array.from({ length: 9 }, () => 254));
  const frame = await shard(log).frame(0);
  expect(frame?.buffer.byteLength, "an answer contains no further frames of its object").toBe(frame?.length);
  await runInDurableObject(shard(log), async (_, state) => {
    let [now, most] = [0, 0];
    const counting = {
      async get(key: string) {
        most = Math.max(most, ++now);
        await scheduler.wait(5);
        return bucket.get(key).finally(() => now--);
      },
    } as unknown as R2Bucket; // all that reading needs
    const instance = await startWith(state, counting);
    const found = await Promise.all(Array.from({ length: 8 }, (_, number) => instance.frame(number)));
    expect(found.every((bytes) => bytes !== undefined)).toBe(true);
    expect(most).toBe(3);
  });
});

test(
  "the root log frees its rows too, and goes on: its proofs verify, and every log's checkpoints are there",
  { timeout: 60_000 },
  async ({ expect }) => {
    const root = ledger.LEDGER_ROOT.getByName(ROOT_LOG);
    // logs without objects: the root log uses only their checkpoints
    const logs = Array.from({ length: 40 }, ownLog);
    const hashes = Array.from({ length: 8 }, (_, i) => leafHash(Uint8Array.of(i)));
    const tree = hashAtTiles(() => hashes);
    const handOver = async (size: number) => {
      for (const log of logs) {
        if (size === 1) await root.open(log);
        const head = {
          origin: originOf(log),
          size,
          root: rootAt(size, tree),
          frame: { number: size, hash: hashes[0] ?? new Uint8Array() },
        };
        const checkpoint = utf8(signText(config, originOf(log), checkpointText(head)));
        const proof = size === 1 ? [] : consistencyProof(size - 1, size, tree);
        expect(await root.add(log, { oldSize: size - 1, proof, checkpoint })).toEqual({ size });
      }
      await runDurableObjectAlarm(root);
    };
    for (let size = 1; size <= 6; size++) await handOver(size); // 280 leaves, including each log's opening
    const frames = () =>
      runInDurableObject(
        root,
        (_, { storage: { sql } }) => sql.exec<{ n: number }>("SELECT count(*) AS n FROM frames").one().n,
      );
    const before = await frames();
    await runInDurableObject(root, (_, state) =>
      later(async () => {
        // the bindings of vitest.config.ts
        const others = ledger as unknown as ConstructorParameters<typeof LedgerRoot>[1];
        const instance = new LedgerRoot(state, { ...others, ...keepNothing });
        await scheduler.wait(1); // its start holds this timer back
        for (let i = 0; i < 3; i++) await instance.alarm();
      }),
    );
    await evictDurableObject(root);
    expect(await frames()).toBeLessThan(before / 2);
    await handOver(7);
    await scheduler.wait(1001); // a checkpoint is signed once a second at most
    await runDurableObjectAlarm(root);
    const leaves = new RootLeaves(verifierOf(ROOT_LOG));
    const { size } = await root.status();
    expect(await verifyLog(publicReader(ROOT_LOG), verifierOf(ROOT_LOG), {}, leaves)).toMatchObject({
      ok: true,
      value: { size },
    });
    for (const log of logs)
      expect(leaves.seen.get(log)?.map((seen) => seen.size)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    for (const index of [0, 200, size - 1]) {
      const bundle = await root.entries(Math.floor(index / 256), (index % 256) + 1);
      const leaf = leafHash(splitEntries(bundle ?? new Uint8Array())?.at(-1) ?? new Uint8Array());
      const note = (await root.proof(index)) ?? new Uint8Array();
      expect(openInclusionNote(note, leaf, verifierOf(ROOT_LOG))).toMatchObject({
        ok: true,
        value: { index },
      });
    }
  },
);
