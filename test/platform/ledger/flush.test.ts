import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { test, vi } from "vitest";
import { formatReceipt } from "#ledger/receipt";
import { checkpointKey } from "#ledger/flush";
import { overAt } from "#ledger/log-name";
import { verifyLog } from "#ledger/verify";
import { LedgerBucket } from "#platform/ledger/object/log/bucket";
import { LedgerFlush } from "#platform/ledger/object/copy/flush";
import { LedgerObjects } from "#platform/ledger/object/log/objects";
import { CheckpointSigner } from "#platform/ledger/object/log/signer";
import { LedgerStore } from "#platform/ledger/object/log/store";
import { restore } from "#platform/ledger/object/log/stored-log";
import { takesRecords } from "#platform/config/readiness";
import {
  bucket,
  bucketReader,
  bytesAt,
  type Fault,
  faultyBucket,
  flush,
  flushWith,
  keysOf,
  originOf,
  startWith,
} from "./bucket.ts";
import {
  config,
  disclosureOf,
  failure,
  fill,
  ledger,
  ownLog,
  positionOf,
  publicReader,
  refusal,
  seen,
  shard,
  verifierOf,
} from "./worker.ts";

const verifyBucket = (log: string) => verifyLog(bucketReader(log), verifierOf(log));

test("the first commit sets the alarm; it copies full bundles, tiles of each level and all frames, then the checkpoint", async ({
  expect,
}) => {
  const log = ownLog();
  for (let i = 0; i < 3; i++) await fill(log, 200);
  expect(await shard(log).status()).toMatchObject({ size: 602, copied: 0, health: "good", why: null });
  expect(await runDurableObjectAlarm(shard(log))).toBe(true);
  expect(await shard(log).status()).toMatchObject({ size: 602, copied: 602 });
  expect(await keysOf(log)).toEqual([
    "frames/0-2",
    "tile/0/000",
    "tile/0/001",
    "tile/entries/000",
    "tile/entries/001",
  ]);
  expect(await verifyBucket(log)).toMatchObject({ ok: true, value: { size: 602, frames: 3 } });

  const alarm = await runInDurableObject(shard(log), (_, state) => state.storage.getAlarm());
  expect(alarm, "an idle shard costs nothing until its half-year is over").toBe(overAt(log));
  await fill(log, 200);
  expect(await runDurableObjectAlarm(shard(log))).toBe(true);
  expect(await keysOf(log)).toContain("frames/3-3");
  expect(await keysOf(log)).toContain("tile/0/002");
  expect(await verifyBucket(log)).toMatchObject({ ok: true, value: { size: 802, frames: 4 } });
  for (const { key } of (await bucket.list({ prefix: `log/${originOf(log)}/` })).objects) {
    const bytes = (await bytesAt(key)) ?? new Uint8Array();
    expect(new Uint8Array((await bucket.head(key))?.checksums.sha256 ?? new ArrayBuffer()), key).toEqual(
      new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)),
    );
  }
});

test("whatever is changed, deleted or swapped in the bucket of a log of 602 leaves is found", async ({
  expect,
}) => {
  const log = ownLog();
  for (let i = 0; i < 2; i++) await fill(log, 200);
  await flush(log);
  await fill(log, 200);
  await flush(log);
  const keys = await keysOf(log);
  expect(keys).toEqual([
    "frames/0-1",
    "frames/2-2",
    "tile/0/000",
    "tile/0/001",
    "tile/entries/000",
    "tile/entries/001",
  ]);
  const objectOf = (key: string): RegExp =>
    ({ "frames/0-1": /^frame\/[01]$/, "frames/2-2": /^frame\/2$/ })[key] ?? new RegExp(`^${key}$`);
  const named = async (): Promise<string> => {
    const result = await verifyBucket(log);
    return result.ok ? "nothing" : result.error.object;
  };
  const put = (key: string, bytes: Uint8Array) => bucket.put(`log/${originOf(log)}/${key}`, bytes);
  const before = new Map<string, Uint8Array>();
  for (const key of keys) before.set(key, (await bytesAt(`log/${originOf(log)}/${key}`)) ?? new Uint8Array());
  for (const [key, bytes] of before) {
    for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
      const flipped = Uint8Array.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 8;
      await put(key, flipped);
      expect(await named(), `${key} at ${at}`).toMatch(objectOf(key));
    }
    await bucket.delete(`log/${originOf(log)}/${key}`);
    expect(await named(), `${key} deleted`).toMatch(objectOf(key));
    await put(key, bytes);
  }
  for (const [one = "", two = ""] of [keys.slice(0, 2), keys.slice(2, 4), keys.slice(4, 6)]) {
    await put(one, before.get(two) ?? new Uint8Array());
    await put(two, before.get(one) ?? new Uint8Array());
    expect(await named(), `${one} and ${two} swapped`).toMatch(
      new RegExp(`${objectOf(one).source}|${objectOf(two).source}`),
    );
    await put(one, before.get(one) ?? new Uint8Array());
    await put(two, before.get(two) ?? new Uint8Array());
  }
  const note = (await bytesAt(checkpointKey(originOf(log)))) ?? new Uint8Array();
  await bucket.put(
    checkpointKey(originOf(log)),
    Uint8Array.from(note, (byte, i) => (i === note.length - 9 ? byte ^ 1 : byte)),
  );
  expect(await named()).toBe("checkpoint");
  await bucket.put(checkpointKey(originOf(log)), note);
  expect(await named()).toBe("nothing");
});

// The calls of this flush, in order: reading the published checkpoint at the start, five create-only
// objects, reading and writing the checkpoint.
const calls = 8;
const faults: readonly Fault[] = ["lost", "done, but an error", "crash before", "crash after"];
// The fast lane hits each call once, with the faults in turn.
const hits = faults.flatMap((fault, f) =>
  Array.from({ length: calls }, (_, nth) => ({ fault, nth })).filter(
    ({ nth }) => ledger.LANE !== "fast" || nth % faults.length === f,
  ),
);

test.for(hits)(
  "call $nth of a flush is hit ($fault): after a restart nothing acknowledged is missing and the bucket holds exactly what it should",
  async ({ fault, nth }, { expect }) => {
    const log = ownLog();
    const receipts = [await fill(log, 200), await fill(log, 200), await fill(log, 120)];
    const cut = await runInDurableObject(shard(log), (_, state) =>
      faultyBucket(nth, fault, () => state.abort("a crash made by the test")),
    );
    await flushWith(log, cut.bucket);
    expect(cut.calls, "the fault took place").toBeGreaterThan(nth);

    receipts.push(await fill(log, 3)); // new records before the next flush
    await flush(log);
    await flush(log);
    const whole = ["tile/0/000", "tile/0/001", "tile/entries/000", "tile/entries/001"];
    const frames = (await keysOf(log)).filter((key) => !whole.includes(key));
    expect((await keysOf(log)).filter((key) => whole.includes(key))).toEqual(whole);
    // A plan from before the fault is finished as planned. Without a plan all four frames are a single
    // object.
    expect([["frames/0-2", "frames/3-3"], ["frames/0-3"]]).toContainEqual(frames);
    expect(await shard(log).status()).toMatchObject({ size: 526, copied: 526, health: "good", why: null });
    expect(await verifyBucket(log)).toMatchObject({ ok: true, value: { size: 526 } });
    expect(await verifyLog(publicReader(log), verifierOf(log), { receipts })).toMatchObject({ ok: true });
  },
);

test("the calls of a flush that the faults above go through are all there are", async ({ expect }) => {
  const log = ownLog();
  for (const count of [200, 200, 120]) await fill(log, count);
  const counting = faultyBucket(Number.POSITIVE_INFINITY, "lost", () => undefined);
  await flushWith(log, counting.bucket);
  expect(counting.calls).toBe(calls);
});

test("a shard behind its published checkpoint, or with another past, neither adds nor shows anything, and says why", async ({
  expect,
}) => {
  const log = ownLog();
  await fill(log, 5);
  await fill(log, 5);
  await flush(log);
  // Imitates a restore to a bookmark: all rows go back to an earlier moment together.
  await runInDurableObject(shard(log), (_, state) => {
    state.storage.sql.exec("DELETE FROM frames WHERE number = 1; DELETE FROM signed; DELETE FROM flush");
  });
  await evictDurableObject(shard(log));
  const why = "a checkpoint was published that this log does not extend";
  expect(await failure(() => shard(log).append([refusal()]))).toContain(why);
  expect(await shard(log).status()).toMatchObject({ size: 7, health: "refusing", why });
  expect(await seen(`/${log}/checkpoint`), "nor does it sign a second history").toEqual([
    503,
    "application/problem+json",
    "no-store",
  ]);
  expect(await seen(`/${log}/frame/0`)).toEqual([503, "application/problem+json", "no-store"]);

  expect(await failure(() => takesRecords(shard, log)), "and it is not ready").toContain("takes no records");

  const lost = ownLog();
  await fill(lost, 5);
  await flush(lost);
  await runInDurableObject(shard(lost), (_, state) => state.storage.deleteAll());
  await evictDurableObject(shard(lost));
  expect(await failure(() => shard(lost).append([refusal()])), "everything lost").toContain(why);

  const forked = ownLog();
  await fill(forked, 5);
  await flush(forked);
  await bucket.put(checkpointKey(originOf(forked)), "another text");
  await evictDurableObject(shard(forked));
  expect(await failure(() => shard(forked).append([refusal()]))).toContain("is not one that this log signed");
});

test("while R2 cannot be read a shard does not start; each request looks again, and the first that can goes on", async ({
  expect,
}) => {
  const log = ownLog();
  await fill(log, 5);
  await flush(log);
  await runInDurableObject(shard(log), async (_, state) => {
    let broken = true;
    const shaky = {
      get: (key: string) => (broken ? Promise.reject(new Error("R2 is away")) : bucket.get(key)),
    } as unknown as R2Bucket; // all a start needs
    const started = await startWith(state, shaky);
    expect(await failure(() => started.append([refusal()]))).toContain(
      "the published checkpoint cannot be read",
    );
    expect(await started.status()).toMatchObject({
      health: "refusing",
      why: "the published checkpoint cannot be read",
    });
    broken = false;
    expect(await started.append([refusal()])).toMatchObject({ frame: 1 });
    expect(await started.status()).toMatchObject({ health: "good", why: null });
  });
});

test("a bucket that takes nine seconds for each answer does not delay a start until the object is reset, after 30", async ({
  expect,
}) => {
  const log = ownLog();
  await fill(log, 5);
  await runInDurableObject(shard(log), async (_, { storage }) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const late = <T>(answer: T) => new Promise<T>((resolve) => setTimeout(() => resolve(answer), 9_000));
      const object = { etag: "x", bytes: () => late(new Uint8Array()) };
      const slow = new LedgerBucket({ get: () => late(object) } as unknown as R2Bucket); // all a start needs
      const store = new LedgerStore(storage.sql);
      const head = () => restore(store, originOf(log)).head;
      const [objects, signer] = [
        new LedgerObjects(store, slow, head),
        new CheckpointSigner(config, store, head()),
      ];
      const started = new LedgerFlush({
        storage,
        config,
        store,
        bucket: slow,
        objects,
        signer,
        head,
        retainBytes: () => 0,
      });
      const over = started.start().then(() => "over");
      await vi.advanceTimersByTimeAsync(13_000);
      vi.useRealTimers();
      expect(await Promise.race([over, scheduler.wait(100)])).toBe("over");
      expect(started.stopped).toBe("the published checkpoint cannot be read");
    } finally {
      vi.useRealTimers();
    }
  });
});

test("a bucket object with different content stops the log, until an operator repairs it", async ({
  expect,
}) => {
  const log = ownLog();
  await fill(log, 5);
  await bucket.put(`log/${originOf(log)}/frames/0-0`, "somebody else's");
  await flush(log);
  const why = `the bucket holds another log/${originOf(log)}/frames/0-0`;
  expect(await shard(log).status()).toMatchObject({ health: "refusing", why });
  await evictDurableObject(shard(log));
  expect(await failure(() => shard(log).append([refusal()])), "also after a restart").toContain(why);
  expect(await (await bucket.get(`log/${originOf(log)}/frames/0-0`))?.text()).toBe("somebody else's");
});

test("a bucket that lost its checkpoint is copied to again, and nothing in it is written twice", async ({
  expect,
}) => {
  const log = ownLog();
  for (let i = 0; i < 2; i++) await fill(log, 200);
  await flush(log);
  const { uploaded } = (await bucket.head(`log/${originOf(log)}/tile/0/000`)) ?? {};
  await bucket.delete(checkpointKey(originOf(log)));
  await evictDurableObject(shard(log));
  await fill(log, 1);
  await flush(log);
  expect(await verifyBucket(log)).toMatchObject({ ok: true, value: { size: 404 } });
  expect((await bucket.head(`log/${originOf(log)}/tile/0/000`))?.uploaded).toEqual(uploaded);
});

test("a shard reports when its copy is late, and takes no more records when it is far too late", async ({
  expect,
}) => {
  const log = ownLog();
  await fill(log, 1);
  await runInDurableObject(shard(log), async (shardItself) => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 135_000 });
    try {
      const { health, behindSeconds } = await shardItself.status();
      expect(health).toBe("degraded");
      expect(behindSeconds, "the age of its oldest record without a copy").toBeGreaterThanOrEqual(135);
      expect(await shardItself.append([refusal()])).toMatchObject({ frame: 1 });
      expect(await failure(() => takesRecords(shard, log)), "late is still ready").toBe("no failure");
      vi.setSystemTime(Date.now() + 1_800_000);
      expect(await shardItself.status()).toMatchObject({ health: "refusing", why: null });
      expect(await failure(() => shardItself.append([refusal()]))).toContain("too far behind its copy");
      await shardItself.alarm();
      expect(await shardItself.status()).toMatchObject({ behindSeconds: 0 });
      expect(await shardItself.append([refusal()])).toMatchObject({ frame: 2 });
    } finally {
      vi.useRealTimers();
    }
  });
});

test("a commit that was held up past the end of the half-year does not land in the old log", async ({
  expect,
}) => {
  const log = "s63-2026h2";
  const last = Date.UTC(2027, 0, 1) + 129_000;
  await runInDurableObject(shard(log), async (shardItself) => {
    vi.useFakeTimers({ toFake: ["Date"], now: last });
    try {
      expect(positionOf(await shardItself.append([disclosureOf(1)]))).toMatchObject({ frame: 0 });
      const late = failure(() => shardItself.append([disclosureOf(1)]));
      vi.setSystemTime(last + 20_000); // between the call, which came in time, and its commit
      expect(await late).toContain("this log is not open");
      expect(await shardItself.status()).toMatchObject({ frames: 1, open: false });
    } finally {
      vi.useRealTimers();
    }
  });
  expect(await verifyLog(publicReader(log), verifierOf(log))).toMatchObject({
    ok: true,
    value: { frames: 1 },
  });
});

test("the alarm belongs to the runtime: it cannot be called over RPC", async ({ expect }) => {
  const log = ownLog();
  expect(formatReceipt(await fill(log, 1))).toContain(log);
  const stub = shard(log) as unknown as { alarm(): Promise<void> }; // a method that the types do not have
  expect(await failure(() => stub.alarm())).not.toBe("no failure");
});
