import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { beforeEach, test } from "vitest";
import { configurationEvent, configurationOf } from "#audit/configuration";
import type { AuditEvent } from "#audit/event";
import { instant } from "#kernel/clock";
import { verifyLog } from "#ledger/verify";
import { configurationLogs, ledgerSink } from "#platform/ledger/client/sink";
import {
  config,
  disclosureOf,
  failure,
  ledger,
  newId,
  openAll,
  positionOf,
  publicReader,
  ownLog,
  refusal,
  shard,
  verifierOf,
} from "./worker.ts";

const [hour, minute] = [3_600_000, 60_000];
const now = () => instant(Date.now());
// these logs take all workers' configurations
const [all = "", next = ""] = configurationLogs(config.layout, now());
/** A second isolate's start; each has its own event id. */
const startOf = (url: string, worker = "gateway"): AuditEvent =>
  configurationEvent(configurationOf(worker, [["URL", url]]), newId(), now());
/** The position that a started isolate gets. */
const start = async (log: string, url: string, worker?: string) => {
  const { index, count, frame, leafHash, frameHash } = positionOf(
    await shard(log).append([startOf(url, worker)]),
  );
  return { log, index, count, frame, leafHash, frameHash };
};
/** Makes a log's recorded configurations older. */
const wait = (log: string, milliseconds: number, url?: string): Promise<unknown> =>
  runInDurableObject(shard(log), (_, { storage }) => {
    const digest = url === undefined ? "%" : configurationOf("gateway", [["URL", url]]).digest;
    storage.sql.exec("UPDATE configurations SET at = at - ? WHERE digest LIKE ?", milliseconds, digest);
  });
const recordsIn = async (log: string) => {
  const [auditor = {}] = ledger.AUDITOR_PRIVATE_KEYS;
  return (await openAll(log, auditor)).flatMap((record) => record?.event.configuration ?? []);
};

// the ledger's own configuration is recorded, so positions below are whole
beforeEach(async () => void (await shard(all).append([refusal()])));

test("a configuration is on record once an hour, from however many isolates and through evictions, and again after the hour", async ({
  expect,
}) => {
  const log = ownLog();
  const answers = await Promise.all(Array.from({ length: 50 }, () => start(log, "a")));
  const [first] = answers;
  expect(answers, "the position of one record").toEqual(answers.map(() => first));
  await evictDurableObject(shard(log));
  await wait(log, hour - 10_000);
  expect(await start(log, "a")).toEqual(first);
  expect(await recordsIn(log)).toHaveLength(1);
  const receipts = first === undefined ? [] : [first];
  expect(await verifyLog(publicReader(log), verifierOf(log), { receipts })).toMatchObject({ ok: true });
  await wait(log, 10_000);
  const second = await start(log, "a");
  expect(second).not.toEqual(first);
  expect(await start(log, "a")).toEqual(second);
  expect(await recordsIn(log)).toHaveLength(2);
});

test("a changed configuration, and an equal configuration of a different worker, are recorded at once; a configuration that returns to force, after a minute", async ({
  expect,
}) => {
  const log = ownLog();
  const a = await start(log, "a");
  const b = await start(log, "b");
  await start(log, "a", "ops");
  expect([await start(log, "a"), await start(log, "b")], "while a deployment goes round").toEqual([a, b]);
  await wait(log, minute);
  const again = await start(log, "a");
  expect(await start(log, "a")).toEqual(again);
  await start(log, "b"); // it is the older configuration now, and a minute old
  expect((await recordsIn(log)).map(({ worker, settings }) => `${worker} ${settings[0]?.[1]}`)).toEqual([
    "gateway a",
    "gateway b",
    "ops a",
    "gateway a",
    "gateway b",
  ]);
});

test("a clock that went back makes no configuration known, and only rows of the last hour are stored", async ({
  expect,
}) => {
  const log = ownLog();
  const first = await start(log, "a");
  await wait(log, -5 * hour);
  const second = await start(log, "a");
  expect(second).not.toEqual(first);
  expect(await start(log, "a")).toEqual(second);
  await wait(log, 2 * hour);
  await start(log, "b");
  const { digest } = configurationOf("gateway", [["URL", "b"]]);
  for (const table of ["configurations", "configuration_places"]) {
    const rows = await runInDurableObject(shard(log), (_, { storage }) =>
      storage.sql.exec(`SELECT digest FROM ${table}`).toArray(),
    );
    expect(rows).toEqual([{ digest }]);
  }
});

test("a log that has none yet takes every configuration anew: another half-year's is another log", async ({
  expect,
}) => {
  const [one, other] = [ownLog(), ownLog()];
  const places = [await start(one, "a"), await start(other, "a")];
  expect([await start(one, "a"), await start(other, "a")]).toEqual(places);
});

test("a log that the version before wrote has no positions, and records a configuration once more", async ({
  expect,
}) => {
  const log = ownLog();
  const first = await start(log, "a");
  await runInDurableObject(
    shard(log),
    (_, { storage }) => void storage.sql.exec("DROP TABLE configuration_places"),
  );
  const second = await start(log, "a");
  expect(second.index).toBeGreaterThan(first.index);
  expect(await start(log, "a")).toEqual(second);
});

test("a configuration is known together with its record or not at all: when either write fails there is neither, and all waiting callers get an error", async ({
  expect,
}) => {
  for (const table of ["configurations", "configuration_places", "frames"]) {
    const log = ownLog();
    await start(log, "a");
    const before = (await shard(log).status()).size;
    const sql = (text: string) =>
      runInDurableObject(shard(log), (_, { storage }) => void storage.sql.exec(text));
    await sql(`CREATE TRIGGER broken BEFORE INSERT ON ${table} BEGIN SELECT RAISE(ABORT, 'no'); END`);
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => start(log, "b")));
    expect(
      outcomes.map(({ status }) => status),
      table,
    ).toEqual(Array.from({ length: 5 }, () => "rejected"));
    await sql("DROP TRIGGER broken");
    expect((await shard(log).status()).size, table).toBe(before);
    await start(log, "b");
  }
});

test("a configuration with further events, with a wrong digest, or in an event of a different kind is refused before anything is written", async ({
  expect,
}) => {
  const [log, good] = [ownLog(), startOf("a")];
  const { configuration } = good;
  const bad: readonly (readonly AuditEvent[])[] = [
    [good, refusal()],
    [refusal(), good],
    [{ ...good, configuration: configuration && { ...configuration, digest: "0".repeat(64) } }],
    [{ ...good, kind: "refusal" }],
    [{ ...good, configuration: undefined }],
  ];
  for (const events of bad) expect(await failure(() => shard(log).append(events))).toContain("bad event: ");
  expect((await shard(log).status()).size).toBe(0);
});

test("the ledger's own configuration is in that log before the first record of any log is answered, and the sink brings further workers' configurations there", async ({
  expect,
}) => {
  const mine = config.described();
  await wait(all, 2 * hour); // not recorded lately
  const count = async () => (await recordsIn(all)).filter(({ digest }) => digest === mine.digest).length;
  const before = await count();
  const log = ownLog();
  positionOf(await shard(log).append([disclosureOf(1)]));
  expect(await count()).toBe(before + 1);
  await evictDurableObject(shard(log));
  positionOf(await shard(log).append([disclosureOf(1)]));
  expect(await count(), "an hour has not passed").toBe(before + 1);
  expect(await recordsIn(log), "a single log has them all").toEqual([]);
  const settings = new Map((await recordsIn(all)).find(({ digest }) => digest === mine.digest)?.settings);
  for (const name of [
    "CHECKPOINT_KEY",
    "ACCOUNTING_KEY",
    "SUBJECT_KEY",
    "AUDITOR_KEYS",
    "WITNESSES",
    "LEDGER_NAME",
  ])
    expect(settings.has(name), name).toBe(true);

  const event = startOf("by the sink");
  await ledgerSink(shard, config.layout, now).record([event], { kind: "worker" });
  expect(await recordsIn(all)).toContainEqual(event.configuration);
});

test("while the first log takes no configurations the next shard's log does; while neither does, a starting log answers no record", async ({
  expect,
}) => {
  const mine = config.described();
  const sql = (log: string, text: string) =>
    runInDurableObject(shard(log), (_, { storage }) => void storage.sql.exec(text));
  const breakIn = async (log: string) => {
    await shard(log).append([startOf("so that the table is there")]);
    await wait(log, 2 * hour);
    await sql(
      log,
      "CREATE TRIGGER broken BEFORE INSERT ON configurations BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
  };
  await breakIn(all);
  await breakIn(next);
  const [log, event] = [ownLog(), disclosureOf(1)];
  for (let i = 0; i < 2; i++) expect(await failure(() => shard(log).append([event]))).not.toBe("no failure");
  await sql(next, "DROP TRIGGER broken");
  expect(
    positionOf(await shard(log).append([event])),
    "it had its place: the same event has it again",
  ).toMatchObject({ index: 2 });
  expect((await recordsIn(next)).map(({ digest }) => digest)).toContain(mine.digest);
  await sql(all, "DROP TRIGGER broken");
  const event2 = startOf("by the sink, in the first again");
  await ledgerSink(shard, config.layout, now).record([event2], { kind: "worker" });
  expect(await recordsIn(all)).toContainEqual(event2.configuration);
});
