import { runDurableObjectAlarm } from "cloudflare:test";
import { test } from "vitest";
import { type CopyObject, copyOfLog } from "#ledger/copy-of-log";
import { checkpointKey, objectKey } from "#ledger/flush";
import { halfYearOf, logName, standInsOf } from "#ledger/log-name";
import { RootLeaves, ROOT_LOG } from "#ledger/root-log";
import { verifyLog } from "#ledger/verify";
import { instant } from "#kernel/clock";
import { ledgerHealth } from "#platform/ledger/isolate/ledger-health";
import { RecoveryDesk } from "#platform/ledger/isolate/recovery-desk";
import { bucket, bytesAt, flush, keysOf, originOf } from "./bucket.ts";
import { failure, get, ledger, lose, ownLog, publicReader, shard, verifierOf, fill } from "./worker.ts";

const root = () => ledger.LEDGER_ROOT.getByName(ROOT_LOG);

async function restore(log: string) {
  const desk = new RecoveryDesk(ledger);
  for (let step = 0; step < 10; step++) {
    const restored = await desk.restore(log);
    if (!restored.ok) throw new Error(restored.error.reason);
    const [value] = restored.value;
    if (value?.isDone === true) return value;
  }
  throw new Error("not done");
}

test(
  "a log whose storage is lost refuses everything, until it is rebuilt from R2 and another log takes its records",
  { timeout: 60_000 },
  async ({ expect }) => {
    const log = ownLog();
    const early = await fill(log, 200);
    await flush(log);
    await fill(log, 150);
    await flush(log);
    await scheduler.wait(1001);
    await runDurableObjectAlarm(root());
    const { copied } = await shard(log).status();
    const late = await fill(log, 3); // after the copy

    await lose(log);
    expect(await shard(log).status()).toMatchObject({ health: "refusing", isLost: true, size: 0 });
    expect(await failure(() => fill(log, 1))).toContain("does not extend");
    expect(await failure(() => shard(log).checkpoint())).toContain("does not extend");
    expect(await shard(log).status(), "nothing was begun in its place").toMatchObject({ size: 0 });

    const restored = await restore(log);
    const [standIn = ""] = standInsOf(log);
    expect(restored).toMatchObject({ standIn, leaves: copied, rooted: copied });
    expect(await verifyLog(publicReader(log), verifierOf(log), { receipts: [early] })).toMatchObject({
      ok: true,
      value: { size: copied },
    });
    expect(await verifyLog(publicReader(log), verifierOf(log), { receipts: [late] })).toMatchObject({
      error: { index: copied, problem: expect.stringMatching(/: lea(f|ves) \d+/u) },
    });

    const next = await fill(log, 2);
    expect(next.log).toBe(standIn);
    expect(await shard(log).status(), "the lost log gets no second leaf at any index").toMatchObject({
      size: copied,
      open: false,
      standIn,
    });
    await scheduler.wait(1001);
    expect(await verifyLog(publicReader(standIn), verifierOf(standIn), { receipts: [next] })).toMatchObject({
      ok: true,
    });
    await scheduler.wait(1001);
    await runDurableObjectAlarm(root());
    const leaves = new RootLeaves(verifierOf(ROOT_LOG));
    await verifyLog(publicReader(ROOT_LOG), verifierOf(ROOT_LOG), {}, leaves);
    expect([...leaves.seen.keys()]).toContain(standIn);

    await lose(log); // once more: it refuses again, and the same log stands in
    expect(await failure(() => fill(log, 1))).toContain("does not extend");
    expect(await restore(log)).toMatchObject({ standIn, leaves: copied });
    expect((await fill(log, 1)).log).toBe(standIn);
  },
);

test(
  "a log whose storage and copy are both lost is rebuilt from an export alone",
  { timeout: 60_000 },
  async ({ expect }) => {
    const log = ownLog();
    const early = await fill(log, 200);
    await flush(log);
    await fill(log, 100);
    const late = await fill(log, 2);
    await scheduler.wait(1001);
    const exported = await verifyLog(publicReader(log), verifierOf(log));
    if (!exported.ok) throw new Error(exported.error.problem);
    const { size, frames } = exported.value;
    const copy: CopyObject[] = [];
    for await (const object of copyOfLog(publicReader(log), originOf(log), { size, frames }))
      copy.push(object);

    await lose(log);
    const keys = [
      ...(await keysOf(log)).map((key) => `log/${originOf(log)}/${key}`),
      checkpointKey(originOf(log)),
    ];
    for (const key of keys) await bucket.delete(key);
    for (const { key, bytes } of copy) await bucket.put(key, bytes); // by hand, without a checksum
    expect(await restore(log)).toMatchObject({ leaves: size });
    const receipts = [early, late];
    expect(await verifyLog(publicReader(log), verifierOf(log), { receipts })).toMatchObject({
      ok: true,
      value: { size },
    });
    expect((await fill(log, 1)).log).toBe(standInsOf(log)[0]);
  },
);

test(
  "a stand-in that is lost too is shown, and restored without its name",
  { timeout: 60_000 },
  async ({ expect }) => {
    const log = ownLog();
    const [standIn = "", second = ""] = standInsOf(log);
    const copyAll = async (name: string) => {
      await flush(name);
      await scheduler.wait(1001);
      await runDurableObjectAlarm(root());
    };
    const statesOf = async () => {
      const { logs } = await ledgerHealth({ ...ledger, WITNESSES: [] }, instant(Date.now()));
      const states = new Map(logs.map((each) => [each.log, each]));
      return [log, standIn, second].map((name) => states.get(name)?.state);
    };
    await fill(log, 2);
    await copyAll(log);
    await lose(log);
    await restore(log);
    await fill(log, 3);
    await copyAll(standIn);
    expect(await statesOf()).toEqual(["sealed", "good", undefined]);

    await lose(standIn);
    expect(await failure(() => fill(log, 1))).toContain("takes no records");
    expect(await statesOf()).toEqual(["sealed", "refusing", undefined]);
    const desk = new RecoveryDesk(ledger);
    for (let step = 0; step < 10; step++) {
      const restored = await desk.restore(undefined);
      if (!restored.ok) throw new Error(restored.error.reason);
      const { isDone } = restored.value.find((each) => each.log === standIn) ?? {};
      expect(isDone, "the stand-in is one of the lost logs").toBeDefined();
      if (isDone === true) break;
    }
    expect((await fill(log, 1)).log).toBe(second);
    expect((await statesOf()).slice(0, 2)).toEqual(["sealed", "sealed"]);
  },
);

test(
  "a checkpoint in R2 that was rolled back loses no record that the root log's checkpoint covers",
  {
    timeout: 60_000,
  },
  async ({ expect }) => {
    const log = ownLog();
    const rootIt = async () => {
      await flush(log);
      await scheduler.wait(1001);
      await runDurableObjectAlarm(root());
    };
    await fill(log, 5);
    await rootIt();
    const old = await bytesAt(checkpointKey(originOf(log)));
    await fill(log, 6);
    await rootIt();
    const { size } = await shard(log).status();
    await bucket.put(checkpointKey(originOf(log)), old ?? new Uint8Array());
    await lose(log);
    expect(await restore(log)).toMatchObject({ leaves: size, rooted: size });
    expect(await verifyLog(publicReader(log), verifierOf(log))).toMatchObject({ ok: true, value: { size } });
    await runDurableObjectAlarm(shard(log)); // R2 gets its checkpoint again
    expect(await shard(log).status()).toMatchObject({ size, copied: size, health: "good", isRebuilt: true });
  },
);

test("only a log that has no rows is restored, and only the appointment opens a stand-in", async ({
  expect,
}) => {
  const log = ownLog();
  await fill(log, 2);
  await flush(log);
  const desk = new RecoveryDesk(ledger);
  expect(await desk.restore(log)).toEqual({ ok: false, error: { reason: "restore_log_not_lost" } });
  for (const unknown of ["root", "s9", logName({ shard: 63, halfYear: "2031h1" })])
    expect(await desk.restore(unknown)).toEqual({ ok: false, error: { reason: "restore_log_unknown" } });
  const [standIn = ""] = standInsOf(log);
  expect(await failure(() => fill(standIn, 1))).toContain("not open");
  expect((await get(`/${standIn}/checkpoint`)).status).toBe(404);
  const sealed = { text: JSON.stringify({ kind: "rebuild" }), mac: new Uint8Array(32) };
  expect(await failure(() => shard(log).ownCall(sealed))).toContain("only the ledger");
  const halfYear = halfYearOf(instant(Date.now()));
  expect(standInsOf(logName({ shard: 3, halfYear })).slice(0, 2)).toEqual([
    `s10003-${halfYear}`,
    `s20003-${halfYear}`,
  ]);
  expect(standInsOf(logName({ shard: 90_003, halfYear }))).toEqual([]);
});

test("a copy that does not make the tree of its checkpoint rebuilds nothing", async ({ expect }) => {
  const log = ownLog();
  await fill(log, 2);
  await flush(log);
  const key = (await keysOf(log)).find((name) => name.startsWith("frames/")) ?? "";
  const frames = objectKey(originOf(log), { kind: "frames", first: 0, last: 0 }).replace("frames/0-0", key);
  await bucket.delete(frames);
  await lose(log);
  expect(await failure(() => restore(log))).toContain("lacks frame 0");
  expect(await failure(() => shard(log).checkpoint())).toContain("does not extend");
});

test(
  "a log that loses its storage right after its first answer does not begin anew: it is restored without a leaf, and another log takes its records",
  { timeout: 60_000 },
  async ({ expect }) => {
    const log = ownLog();
    const first = await fill(log, 2);
    await lose(log);
    expect(await shard(log).status()).toMatchObject({ health: "refusing", isLost: true, size: 0 });
    expect(await failure(() => fill(log, 1))).toContain("does not extend");
    expect(await failure(() => shard(log).checkpoint())).toContain("does not extend");
    const restored = await restore(log);
    expect(restored).toMatchObject({ standIn: standInsOf(log)[0], leaves: 0 });
    expect(restored.rooted).toBeGreaterThan(first.index);
    expect((await fill(log, 1)).log).toBe(standInsOf(log)[0]);
  },
);
