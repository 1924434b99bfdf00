import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { test, vi } from "vitest";
import { utf8 } from "#kernel/encoded";
import { fromUtf8 } from "#ledger/bytes/bytes";
import { checkpointText, openCheckpoint } from "#ledger/tlog/checkpoint";
import { checkpointKey } from "#ledger/flush";
import { openInclusionNote } from "#ledger/tlog/inclusion-note";
import { overAt } from "#ledger/log-name";
import { leafHash } from "#ledger/tlog/merkle";
import { RootLeaves, ROOT_LOG } from "#ledger/root-log";
import { signatureTypes, verifierKey } from "#ledger/tlog/signed-note";
import { verifyLog } from "#ledger/verify";
import { LedgerRoot } from "#platform/ledger/object/root/ledger-root";
import { signText } from "#platform/ledger/object/log/signer";
import { bucket, flush } from "./bucket.ts";
import { bucketIsAway, rootIsAway } from "./outages.ts";
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
  withVariables,
  fill,
} from "./worker.ts";

const root = () => ledger.LEDGER_ROOT.getByName(ROOT_LOG);
/** A test that waits for more than ten seconds. */
const inSlowLane = test.skipIf(ledger.LANE === "fast");
/** The checkpoints of a log in the root log, read from the public addresses. */
async function standing(log: string): Promise<number[]> {
  const leaves = new RootLeaves(verifierOf(ROOT_LOG));
  const result = await verifyLog(publicReader(ROOT_LOG), verifierOf(ROOT_LOG), {}, leaves);
  if (!result.ok) throw new Error(`${result.error.object}: ${result.error.problem}`);
  return (leaves.seen.get(log) ?? []).map(({ size }) => size);
}
/** Runs the alarms of a log and of the root log, more than a second after the root log's last signature. */
async function handOver(log: string): Promise<void> {
  await flush(log);
  await scheduler.wait(1001);
  await runDurableObjectAlarm(root());
}
/** Puts a log's object back to its first frame. */
const rollBack = (log: string) =>
  runInDurableObject(shard(log), (_, { storage: { sql } }) => {
    for (const change of [
      "DELETE FROM frames WHERE number = 1",
      "DELETE FROM signed",
      "UPDATE flush SET frames = 1, size = 5",
    ])
      sql.exec(change);
  });
const sizeOf = (note: Uint8Array | string | undefined): string | undefined =>
  (typeof note === "string" ? note : fromUtf8(note ?? new Uint8Array()))?.split("\n")[1];

test(
  "a log is opened in the root log before its first record, hands its checkpoint over before its first answer, and later once",
  { timeout: 60_000 },
  async ({ expect }) => {
    const log = ownLog();
    await fill(log, 3);
    expect(sizeOf(await root().open(log)), "before the answer").toBe("5");
    await runDurableObjectAlarm(root());
    expect(await standing(log)).toEqual([0, 5]);
    await handOver(log);
    expect(await standing(log)).toEqual([0, 5]);
    await fill(log, 200);
    await fill(log, 200);
    await handOver(log);
    await evictDurableObject(shard(log));
    await evictDurableObject(root());
    await fill(log, 1); // and a new epoch
    await handOver(log);
    expect(await standing(log)).toEqual([0, 5, 405, 407]);
  },
);

test("while the root log cannot take a log's first record, the log answers no append; afterwards each retry gets its place, also after a restart", async ({
  expect,
}) => {
  await fill(ownLog(), 1); // the log that takes configurations has its first record
  for (const isRestarted of [false, true]) {
    const log = ownLog();
    await shard(log).status(); // it is opened in the root log
    const all = Array.from({ length: 20 }, () => [refusal()]);
    const append = () => Promise.all(all.map((events) => failure(() => shard(log).append(events))));
    rootIsAway(true);
    expect(new Set(await append())).toEqual(
      new Set(["ledger: the root log does not know this log's first record yet"]),
    );
    rootIsAway(false);
    const { size } = await shard(log).status();
    expect(size, "they are in the storage").toBe(22);
    expect(sizeOf(await root().open(log))).toBe("0");
    if (isRestarted) await evictDurableObject(shard(log));
    expect(new Set(await append())).toEqual(new Set(["no failure"]));
    expect((await shard(log).status()).size, "each is there once").toBe(size);
    expect(sizeOf(await root().open(log))).toBe(String(size));
  }
});

test("a checkpoint that was not handed over before a restart, while the root log or R2 was down, is handed over by the alarm, without a further record", async ({
  expect,
}) => {
  for (const isAway of [rootIsAway, bucketIsAway]) {
    const log = ownLog();
    await fill(log, 1);
    await flush(log);
    await fill(log, 7);
    rootIsAway(true);
    await runDurableObjectAlarm(shard(log)); // copied, and not handed over
    rootIsAway(false);
    expect(await shard(log).status()).toMatchObject({ size: 10, copied: 10 });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 });
    expect(await shard(log).status(), "and so it is not late with its copy").toMatchObject({
      health: "good",
    });
    vi.useRealTimers();
    isAway(true);
    await evictDurableObject(shard(log));
    expect(await runDurableObjectAlarm(shard(log))).toBe(true);
    isAway(false);
    expect(await runDurableObjectAlarm(shard(log)), "it comes again").toBe(true);
    expect(sizeOf(await root().open(log))).toBe("10");
    const next = await runInDurableObject(shard(log), (_, state) => state.storage.getAlarm());
    expect(next, "and not once it is done, but at the end of its half-year").toBe(overAt(log));
  }
});

test("in one round of ten seconds all logs' checkpoints are one frame", async ({ expect }) => {
  const logs = [ownLog(), ownLog(), ownLog()];
  for (const log of logs) await fill(log, 1);
  await runDurableObjectAlarm(root());
  for (const log of logs) await fill(log, 1);
  const before = await root().status();
  for (const log of logs) await flush(log);
  expect(await root().status()).toMatchObject({ size: before.size });
  await runDurableObjectAlarm(root());
  expect(await root().status()).toMatchObject({
    size: before.size + 3,
    copied: before.size + 3,
    health: "good",
    why: null,
    cosigned: true,
  });
});

test("the root log takes no checkpoint that shrinks, forks, comes without its proof, or is not signed by its log", async ({
  expect,
}) => {
  const [log, other] = [ownLog(), ownLog()];
  await fill(log, 4);
  await fill(other, 4);
  await handOver(log);
  await fill(log, 2);
  await flush(log); // published, and handed over
  const size = Number(sizeOf(await root().open(log)));
  const note = (await bucket.get(checkpointKey(`ledger.test/${log}`)))?.text();
  const checkpoint = openCheckpoint(utf8((await note) ?? ""), verifierOf(log));
  if (!checkpoint.ok) throw new Error(checkpoint.error);
  const make = (change: object) =>
    utf8(signText(config, `ledger.test/${log}`, checkpointText({ ...checkpoint.value, ...change })));
  const frame = { number: 9, hash: new Uint8Array(32) };
  const add = (given: { oldSize?: number; proof?: Uint8Array[]; checkpoint: Uint8Array }) =>
    root()
      .add(log, { oldSize: size, proof: [], ...given })
      .then(({ size, not }) => [size, not]);
  expect(await add({ checkpoint: make({ size: size - 1 }), oldSize: size - 1 })).toEqual([
    size,
    "old_size_is_not_the_last",
  ]);
  expect(await add({ checkpoint: make({ size: size - 1 }) })).toEqual([
    size,
    "old_size_beyond_the_checkpoint",
  ]);
  expect(await add({ checkpoint: make({ root: new Uint8Array(32) }) })).toEqual([
    size,
    "another_root_at_this_size",
  ]);
  expect(await add({ checkpoint: make({ size: size + 5, frame }) })).toEqual([size, "proof_wrong"]);
  expect(await add({ checkpoint: make({ size: size + 5, frame }), proof: [new Uint8Array(32)] })).toEqual([
    size,
    "proof_wrong",
  ]);
  const foreign = utf8(
    signText(
      config,
      `ledger.test/${other}`,
      checkpointText({ ...checkpoint.value, origin: `ledger.test/${other}` }),
    ),
  );
  expect(await add({ checkpoint: foreign })).toEqual([size, "not_a_checkpoint_of_this_log"]);
  expect(await add({ checkpoint: utf8("no note") })).toEqual([size, "not_a_checkpoint_of_this_log"]);
  expect(await add({ checkpoint: make({}) }), "the same again").toEqual([size, undefined]);
  expect(await root().add("s63-2020h1", { oldSize: 0, proof: [], checkpoint: make({}) })).toEqual({
    size: 0,
    not: "log_not_opened",
  });
  expect(await root().open("s63-2020h1"), "a half-year that is over is not opened").toBeUndefined();
});

test("a log that was rolled back, and its copy in R2 with it, neither adds nor shows anything, and says why", async ({
  expect,
}) => {
  const log = ownLog();
  await fill(log, 3);
  await flush(log);
  const published = await (await bucket.get(checkpointKey(`ledger.test/${log}`)))?.bytes();
  await fill(log, 4);
  await flush(log); // the root log has it now
  await rollBack(log);
  await bucket.put(checkpointKey(`ledger.test/${log}`), published ?? new Uint8Array());
  await evictDurableObject(shard(log));
  const why = "a checkpoint stands in the root log that this log does not extend";
  expect(await failure(() => shard(log).append([refusal()]))).toContain(why);
  expect(await shard(log).status()).toMatchObject({ size: 5, health: "refusing", why });
  expect((await seen(`/${log}/checkpoint`))[0]).toBe(503);
  expect((await seen(`/${log}/frame/0`))[0]).toBe(503);
});

test("a log that goes on from an earlier state, because it believed an earlier root log, is not taken once the root log knows better", async ({
  expect,
}) => {
  const log = ownLog();
  await fill(log, 3);
  await handOver(log);
  const row = (sql: SqlStorage) => sql.exec("SELECT * FROM root_logs WHERE log = ?", log).one();
  const early = await runInDurableObject(root(), (_, { storage }) => row(storage.sql));
  const published = await (await bucket.get(checkpointKey(`ledger.test/${log}`)))?.bytes();
  await fill(log, 4);
  await handOver(log);
  const late = await runInDurableObject(root(), (_, { storage }) => row(storage.sql));
  // Puts everything back: the object, its copy, and its entry in the root log. The log starts and grows
  // differently.
  await rollBack(log);
  await bucket.put(checkpointKey(`ledger.test/${log}`), published ?? new Uint8Array());
  await bucket.delete(`log/ledger.test/${log}/frames/1-1`);
  const put = (of: object) =>
    runInDurableObject(root(), (_, { storage: { sql } }) => {
      sql.exec("INSERT OR REPLACE INTO root_logs VALUES (?, ?, ?, ?, ?, ?)", ...Object.values(of));
    });
  await put(early);
  await evictDurableObject(shard(log));
  await fill(log, 9);
  await put(late);
  await flush(log); // hands over
  expect((await shard(log).status()).why).toBe(
    "a checkpoint stands in the root log that this log does not extend",
  );
  expect(await failure(() => shard(log).append([refusal()]))).toContain("does not extend");
  expect(Number(sizeOf(await root().open(log))), "taken records stay").toBe(late["size"]);
});

test("a root log behind its own checkpoint in R2 opens nothing, shows nothing and vouches for no log", async ({
  expect,
}) => {
  const log = ownLog();
  await fill(log, 1);
  await handOver(log);
  const rows = await runInDurableObject(root(), (_, { storage: { sql } }) => {
    const last = sql.exec("SELECT * FROM frames ORDER BY number DESC LIMIT 1").one();
    const signed = sql.exec("SELECT * FROM signed").one();
    sql.exec("DELETE FROM frames WHERE number = ?", last["number"]);
    sql.exec("DELETE FROM signed");
    return { last: Object.values(last), signed: Object.values(signed) };
  });
  await evictDurableObject(root());
  expect((await root().status()).why).toBe("a checkpoint was published that this log does not extend");
  expect((await get("/root/checkpoint")).status).toBe(503);
  expect(await failure(() => root().open(log))).toContain("does not extend");
  const next = ownLog();
  expect(await failure(() => shard(next).append([refusal()])), "a log that starts now").toContain(
    "the root log cannot be asked",
  );
  expect(positionOf(await shard(log).append([refusal()])).index, "a running log goes on").toBe(3);
  await runInDurableObject(root(), (_, { storage: { sql } }) => {
    sql.exec("INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?)", ...rows.last);
    sql.exec("INSERT INTO signed VALUES (?, ?, ?, ?)", ...rows.signed);
  });
  await evictDurableObject(root());
  await fill(next, 1);
});

inSlowLane(
  "while a witness does not answer, the last fully cosigned checkpoint is shown for five minutes, then a checkpoint without that witness",
  { timeout: 60_000 },
  async ({ expect }) => {
    const log = ownLog();
    await fill(log, 1);
    await handOver(log);
    const before = sizeOf(await root().checkpoint());
    await fill(log, 1);
    await flush(log);
    const key = verifierKey("witness.test/w1", config.checkpointPublicKey, signatureTypes.cosignature);
    // no server listens there
    const witnessed = { ...ledger, WITNESSES: [{ url: "http://127.0.0.1:1", key }] };
    const round = async () => {
      const shown = await runInDurableObject(root(), async (_, state) => {
        const instance = new LedgerRoot(state, witnessed);
        await scheduler.wait(1001); // the start, and the second that the last signature is used for
        await instance.alarm();
        const { cosigned } = await instance.status();
        return [sizeOf(await instance.checkpoint()), cosigned];
      });
      await evictDurableObject(root()); // the next test begins with this test's rows, and without witnesses
      return shown;
    };
    expect(await round()).toEqual([before, true]);
    await runInDurableObject(
      root(),
      (_, { storage: { sql } }) => void sql.exec("UPDATE root_published SET at = at - 300000"),
    );
    expect(await round()).toEqual([String(Number(before) + 1), false]);
  },
);

test("the root log is served like any log; a proof of a leaf is under the published checkpoint", async ({
  expect,
}) => {
  const log = ownLog();
  await fill(log, 1);
  await handOver(log);
  expect(await seen("/root/checkpoint")).toEqual([200, "text/plain; charset=utf-8", "public, max-age=1"]);
  const size = Number(sizeOf(await publicReader(ROOT_LOG).checkpoint()));
  const proof = await (await get(`/root/proof/${size - 1}`)).text();
  const leaf = leafHash(utf8((await root().open(log)) ?? ""));
  expect(openInclusionNote(utf8(proof), leaf, verifierOf(ROOT_LOG))).toMatchObject({
    ok: true,
    value: { index: size - 1, checkpoint: { size } },
  });
  expect((await seen(`/root/proof/${size}`))[0]).toBe(404);
  expect((await seen("/root2/checkpoint"))[0]).toBe(404);
  expect(await failure(() => ledger.LEDGER_ROOT.getByName("another").status())).toContain(
    "not the name of the root log",
  );
});

test("a ledger that began in another jurisdiction does not go on: its bucket says so", async ({ expect }) => {
  const key = `jurisdiction/${config.name}`;
  expect(await (await ledger.LEDGER_BUCKET.get(key))?.text(), "kept when the ledger began").toBe("");
  await ledger.LEDGER_BUCKET.put(key, "eu");
  await evictDurableObject(root());
  const why = "LEDGER_JURISDICTION is not the jurisdiction in which this ledger began";
  expect(await root().status()).toMatchObject({ health: "refusing", why });
  const log = ownLog();
  expect(await failure(() => root().open(log))).toContain(why);
  expect(await failure(() => shard(log).append([refusal()]))).toContain("cannot be asked");
  await ledger.LEDGER_BUCKET.put(key, "");
  await evictDurableObject(root());
  expect(await root().status()).toMatchObject({ why: null });
  expect(await root().open(log)).toBeDefined();
});

test("while its jurisdiction cannot be read or stored the root log waits, and then goes on", async ({
  expect,
}) => {
  const key = `jurisdiction/${config.name}`;
  await ledger.LEDGER_BUCKET.delete(key); // as in a ledger of before
  await evictDurableObject(root());
  bucketIsAway(true);
  try {
    expect((await root().status()).why).toContain("cannot be read");
  } finally {
    bucketIsAway(false);
  }
  expect(await root().status()).toMatchObject({ why: null });
  expect(await (await ledger.LEDGER_BUCKET.get(key))?.text()).toBe("");
});

// The last test: the root log is in a later year afterwards.
test("under load a log hands over during its appends once ten seconds have gone by, and later in a ledger of many shards", async ({
  expect,
}) => {
  // Each ledger has a half-year of its own: a half-year keeps the number of shards with which it began.
  for (const [year, shards, expected] of [
    [2031, "16", ["3", "3", "3", "3", "3", "8", "8"]],
    [2032, "64", Array.from({ length: 7 }, () => "3")], // every 38 s
  ] as const) {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(year, 2, 1) });
    const log = `s14-${year}h1`;
    await withVariables({ LEDGER_SHARDS: shards }, async () => {
      for (const size of expected) {
        await fill(log, 1);
        vi.setSystemTime(Date.now() + 2000);
        await scheduler.wait(20); // an append does not wait for this
        await vi.waitFor(async () => expect(sizeOf(await root().open(log)), shards).toBe(size), 5000);
      }
      await evictDurableObject(shard(log));
    });
    vi.useRealTimers();
  }
});
