import { layoutWithoutRegions } from "#ledger/layout";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { exportJWK, generateKeyPair } from "jose";
import { test, vi } from "vitest";
import { accountingLines, subjectKey } from "#audit/accounting/line";
import type { AuditEvent } from "#audit/event";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { fromCbor } from "#ledger/bytes/cbor";
import { openInclusionNote } from "#ledger/tlog/inclusion-note";
import { leafKinds } from "#ledger/leaf/leaf";
import { linesRoot } from "#ledger/leaf/lines";
import { verifyLog } from "#ledger/verify";
import { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import { shelfNameOf } from "#platform/ledger/object/accounting/accounting-shelf";
import { OwnCalls, type SealedCall } from "#platform/ledger/object/append/own-calls";
import { ledgerSink } from "#platform/ledger/client/sink";
import {
  config,
  disclosureOf,
  failure,
  get,
  leavesOf,
  ledger,
  newId,
  openAll,
  positionOf,
  ownLog,
  publicReader,
  refusal,
  seen,
  shard,
  verifierOf,
} from "./worker.ts";

test("the shard's calls are exactly append, status, readers of public data, the labels of the newest ends, and a call that only the ledger can make", ({
  expect,
}) => {
  expect(Object.getOwnPropertyNames(LedgerShard.prototype).sort()).toEqual([
    "alarm",
    "append",
    "appendText",
    "checkpoint",
    "constructor",
    "endsSince",
    "entries",
    "frame",
    "frameCopies",
    "leaves",
    "ownCall",
    "proof",
    "proofs",
    "status",
    "tile",
  ]);
});

test("a worker that binds the shard without the ledger's key can claim no proof, shelve no line and run no alarm", async ({
  expect,
}) => {
  const log = ownLog();
  await shard(log).append([disclosureOf(2)]);
  const proof = { hash: "p".repeat(43), event: newId() };
  const strangers = new OwnCalls([new Secret(crypto.getRandomValues(new Uint8Array(32)))]);
  const own = new OwnCalls(config.accountingKeys);
  const subject = subjectKey(config.subjectKeys[0], "main/Patient/x");
  for (const call of [
    { kind: "claim_proof", proof },
    { kind: "shelve", shelves: [shelfNameOf(subject)] },
  ] as const) {
    const sealed = own.seal(log, call);
    for (const stranger of [
      undefined,
      null,
      call,
      { text: JSON.stringify(call) },
      { text: sealed.text, mac: new Uint8Array(32) },
      { text: sealed.text, mac: new Uint8Array() },
      { text: sealed.text, mac: Array.from(sealed.mac) },
      { text: `${sealed.text} `, mac: sealed.mac },
      own.seal("s0-2020h1", call),
      strangers.seal(log, call),
    ])
      expect(await failure(() => shard(log).ownCall(stranger as SealedCall))).toContain(
        "only the ledger may call this",
      );
  }
  // the runtime calls it; its type is not an RPC method either
  const alarm = shard(log) as unknown as { alarm(): Promise<void> };
  expect(await failure(async () => alarm.alarm())).toContain("alarm");
  const rows = await runInDurableObject(shard(log), (_, { storage: { sql } }) => [
    sql.exec("SELECT name FROM sqlite_master WHERE name = 'proofs'").toArray(),
    sql.exec<{ n: number }>("SELECT count(*) AS n FROM lines").one().n,
  ]);
  expect(rows, "nothing was done").toEqual([[], 1]);
  expect(await shard(log).append([{ ...disclosureOf(1), id: proof.event }], proof.hash)).toMatchObject({
    log,
  });
});

test("an append of 3,000 patients is one frame, verifies without a key, and each auditor reads every patient in it", async ({
  expect,
}) => {
  const log = ownLog();
  const event = disclosureOf(3000);
  const recorded = positionOf(await shard(log).append([event]));
  expect(recorded).toMatchObject({ log, index: 2, frame: 0 }); // after shard-open and key-epoch
  expect(recorded.count).toBeGreaterThanOrEqual(6);
  const verified = await verifyLog(publicReader(log), verifierOf(log));
  expect(verified).toMatchObject({ ok: true, value: { size: 2 + recorded.count, frames: 1 } });
  for (const auditor of ledger.AUDITOR_PRIVATE_KEYS) {
    const records = await openAll(log, auditor);
    expect(records.flatMap((record) => record?.event.patients ?? [])).toEqual(event.patients);
    expect(records.map((record) => [record?.part, record?.parts])).toEqual(
      records.map((_, i) => [i + 1, recorded.count]),
    );
    expect(records.every((record) => (record?.event.patients.length ?? 0) <= 500)).toBe(true);
  }
});

test("the lines that a leaf commits to are the lines of the patients sealed in it", async ({ expect }) => {
  const log = ownLog();
  const event = disclosureOf(3);
  await shard(log).append([event]);
  const [auditor = {}] = ledger.AUDITOR_PRIVATE_KEYS;
  const [record] = await openAll(log, auditor);
  const leaf = (await leavesOf(log)).at(-1);
  const lines = accountingLines(event, config.subjectKeys[0]);
  expect(lines).toHaveLength(3);
  expect(linesRoot(record?.seed ?? new Uint8Array(), lines)).toEqual(leaf?.linesRoot);
  const key = subjectKey(config.subjectKeys[0], event.patients[0]?.patient ?? "");
  expect(fromCbor(lines[0] ?? new Uint8Array())).toEqual([
    1,
    key,
    event.at,
    "telehealth",
    ["TREAT"],
    "baa-1",
    new Map([
      ["Observation", 1],
      ["Patient", 1],
    ]),
  ]);
});

test("a commit with disclosures has one sealed row of lines, a commit without has none", async ({
  expect,
}) => {
  const log = ownLog();
  await shard(log).append([refusal()]);
  await shard(log).append([disclosureOf(2)]);
  const rows = await runInDurableObject(shard(log), (_, state) =>
    state.storage.sql.exec("SELECT frame, box FROM lines").toArray(),
  );
  expect(rows.map(({ frame }) => frame)).toEqual([1]);
  // the column is a BLOB
  expect(new TextDecoder().decode(rows[0]?.["box"] as ArrayBuffer)).not.toContain("telehealth");
});

test("200 appends at once share few frames, each at a position of its own that is in the tree", async ({
  expect,
}) => {
  const log = ownLog();
  const stub = shard(log);
  const answers = await runInDurableObject(stub, (object) =>
    Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        object.append([i % 2 === 0 ? disclosureOf(1) : refusal()]).then(positionOf),
      ),
    ),
  );
  const { frames, size } = await stub.status();
  expect(size).toBe(202);
  expect(frames).toBeLessThan(5);
  expect(new Set(answers.map(({ index }) => index)).size).toBe(200);
  const receipts = answers.map(({ index, leafHash, frameHash }) => ({ log, index, leafHash, frameHash }));
  expect(await verifyLog(publicReader(log), verifierOf(log), { receipts })).toMatchObject({ ok: true });
});

test("a log of more than two full tiles verifies, and its tiles are served full and partial", async ({
  expect,
}) => {
  const log = ownLog();
  const stub = shard(log);
  for (let i = 0; i < 3; i++) await stub.append(Array.from({ length: 200 }, () => refusal()));
  expect(await verifyLog(publicReader(log), verifierOf(log))).toMatchObject({
    ok: true,
    value: { size: 602, frames: 3 },
  });
  const [full, part] = [await stub.tile(0, 1, 256), await stub.tile(0, 1, 17)];
  expect(full?.subarray(0, 17 * 32)).toEqual(part);
  expect((await stub.tile(1, 0, 2))?.length).toBe(64);
  expect(await stub.tile(1, 0, 3)).toBeUndefined();
  await evictDurableObject(stub);
  await shard(log).append([refusal()]);
  await scheduler.wait(1001); // the checkpoint that was just read stays for a second
  expect(await verifyLog(publicReader(log), verifierOf(log))).toMatchObject({
    ok: true,
    value: { size: 604, frames: 4 },
  });
});

test("after an eviction the chain goes on with a new key, and a repeated append still answers its first position", async ({
  expect,
}) => {
  const log = ownLog();
  const event = disclosureOf(2);
  const before = await shard(log).append([event]);
  await evictDurableObject(shard(log));
  expect(await shard(log).append([event])).toEqual(before);
  const after = await shard(log).append([disclosureOf(1)]);
  expect(after).toMatchObject({ frame: 1, index: 4 });
  const epochs = (await leavesOf(log))
    .filter(({ kind }) => kind === leafKinds.keyEpoch)
    .map(({ keyEpoch }) => keyEpoch);
  expect(epochs).toEqual([1, 2]);
  expect(await verifyLog(publicReader(log), verifierOf(log))).toMatchObject({ ok: true });
  const [auditor = {}] = ledger.AUDITOR_PRIVATE_KEYS;
  expect((await openAll(log, auditor)).map((record) => record?.event.patients.length)).toEqual([2, 1]);
});

test("after an hour of one key the next record has a new key, wrapped to each auditor before it; within the hour it has not", async ({
  expect,
}) => {
  const log = ownLog();
  await runInDurableObject(shard(log), async (shardItself) => {
    const start = Date.now();
    vi.useFakeTimers({ toFake: ["Date"] });
    try {
      for (const minutes of [0, 59, 60, 61, 121]) {
        vi.setSystemTime(start + minutes * 60_000);
        await shardItself.alarm(); // its copy is not late
        positionOf(await shardItself.append([refusal()]));
      }
    } finally {
      vi.useRealTimers();
    }
  });
  const leaves = await leavesOf(log);
  const { sealed, keyEpoch } = leafKinds;
  expect(leaves.slice(1).map(({ kind }) => kind)).toEqual([
    keyEpoch,
    sealed,
    sealed,
    keyEpoch,
    sealed,
    sealed,
    keyEpoch,
    sealed,
  ]);
  expect(leaves.slice(1).map((leaf) => leaf.keyEpoch)).toEqual([1, 1, 1, 2, 2, 2, 3, 3]);
  for (const auditor of ledger.AUDITOR_PRIVATE_KEYS) {
    const records = await openAll(log, auditor);
    expect(records.map((record) => record?.event.kind)).toEqual(Array.from({ length: 5 }, () => "refusal"));
  }
});

test("a simultaneous repeated append is recorded once; different events under its id are refused", async ({
  expect,
}) => {
  const log = ownLog();
  const event = disclosureOf(1);
  const [one, two] = await Promise.all([shard(log).append([event]), shard(log).append([event])]);
  expect(one).toEqual(two);
  expect((await shard(log).status()).size).toBe(3);
  expect(await failure(() => shard(log).append([{ ...event, kind: "refusal" }]))).toContain(
    "another event has this id and step",
  );
  expect(await shard(log).append([{ ...event, step: 1 }])).toMatchObject({ index: 3 });
});

test("when a commit breaks, every waiting append fails, nothing of it is in the log, and the log goes on", async ({
  expect,
}) => {
  const log = ownLog();
  const first = positionOf(await shard(log).append([disclosureOf(1)]));
  await runInDurableObject(shard(log), (_, state) => {
    state.storage.sql.exec(
      "CREATE TRIGGER broken BEFORE INSERT ON tiles BEGIN SELECT RAISE(ABORT, 'broken disk'); END",
    );
  });
  // Fills the first tile, so that the commit breaks after its frame row was written.
  const outcomes = await Promise.allSettled(
    Array.from({ length: 260 }, () => shard(log).append([disclosureOf(1)])),
  );
  const recordedCount = outcomes.filter(({ status }) => status === "fulfilled").length;
  expect(recordedCount).toBeLessThan(254);
  const { size } = await shard(log).status();
  expect(size).toBeLessThan(256);
  await runInDurableObject(shard(log), (_, state) => {
    state.storage.sql.exec("DROP TRIGGER broken");
  });
  await shard(log).append([disclosureOf(1)]);
  const receipts = [
    first,
    ...outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [positionOf(outcome.value)] : [])),
  ];
  expect(await verifyLog(publicReader(log), verifierOf(log), { receipts })).toMatchObject({ ok: true });
});

test("when the very first commit breaks, nothing is acknowledged and the log is still empty", async ({
  expect,
}) => {
  const log = ownLog();
  await runInDurableObject(shard(log), (_, state) => {
    state.storage.sql.exec("CREATE TABLE lines (wrong TEXT)");
  });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, () => shard(log).append([disclosureOf(1)])),
  );
  expect(outcomes.every(({ status }) => status === "rejected")).toBe(true);
  expect(await shard(log).status()).toMatchObject({ size: 0, frames: 0 });
  expect(
    await runInDurableObject(shard(log), (_, state) =>
      state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'frames'").toArray(),
    ),
  ).toEqual([]);
});

test("a key that is no auditor's opens nothing", async ({ expect }) => {
  const log = ownLog();
  await shard(log).append([disclosureOf(2)]);
  const { privateKey } = await generateKeyPair("ECDH-ES+A256KW", { extractable: true });
  expect(await openAll(log, { ...(await exportJWK(privateKey)), kid: "auditor-1" })).toEqual([undefined]);
});

test("an invalid event, an event that fits no frame, and a log that is not open are refused before anything is written", async ({
  expect,
}) => {
  const log = ownLog();
  const good = disclosureOf(1);
  for (const [bad, field] of [
    [{ ...good, id: "short" }, "id"],
    [{ ...good, kind: "gossip" }, "unknown kind"],
    [{ ...good, why: {} }, "without recipient or purpose"],
    [{ ...good, extra: 1 }, "unknown field"],
    [{ ...good, patients: [{ patient: "Patient/x", counts: {} }] }, "patients"],
    [{ ...good, patients: [...good.patients, ...good.patients] }, "named twice"],
  ] as const) {
    expect(await failure(() => shard(log).append([bad as AuditEvent]))).toContain(field);
  }
  expect(await failure(() => shard(log).append([disclosureOf(20_000)]))).toContain(
    "an append of 20000 patients fits no frame",
  );
  expect(await failure(() => shard(log).append([]))).toContain("1 to 254 events");
  expect(await shard(log).status()).toMatchObject({ size: 0 });
  for (const closed of ["s0-2020h1", `s64-${log.slice(log.indexOf("-") + 1)}`]) {
    expect(await failure(() => shard(closed).append([good]))).toContain("not open");
  }
  expect(await failure(() => shard("anything").append([good]))).toContain("not the name of a log");
});

test("checkpoints extend each other, are signed at most once a second, and never cover uncommitted records", async ({
  expect,
}) => {
  const log = ownLog();
  await shard(log).append([refusal()]);
  const first = await shard(log).checkpoint();
  await shard(log).append([refusal()]);
  expect(await shard(log).checkpoint()).toEqual(first);
  await evictDurableObject(shard(log));
  expect(await shard(log).checkpoint()).toEqual(first);
  await scheduler.wait(1001);
  const second = new TextDecoder().decode(await shard(log).checkpoint());
  expect(second.split("\n")[1]).toBe("4");
});

test("a shard that lost signed records does not start", async ({ expect }) => {
  const log = ownLog();
  await shard(log).append([refusal()]);
  await shard(log).append([refusal()]);
  await shard(log).checkpoint();
  await runInDurableObject(shard(log), (_, state) => {
    state.storage.sql.exec("DELETE FROM frames WHERE number = 1");
  });
  await evictDurableObject(shard(log));
  expect(await failure(() => shard(log).append([refusal()]))).toContain(
    "a checkpoint was signed that this log does not extend",
  );
});

test("a shard whose last frame was changed does not start", async ({ expect }) => {
  const log = ownLog();
  await shard(log).append([refusal()]);
  await runInDurableObject(shard(log), (_, state) => {
    const [row] = state.storage.sql.exec<{ body: ArrayBuffer }>("SELECT body FROM frames").toArray();
    const body = new Uint8Array(row?.body ?? new ArrayBuffer());
    body[body.length - 1] = (body.at(-1) ?? 0) ^ 1;
    state.storage.sql.exec("UPDATE frames SET body = ?", body);
  });
  await evictDurableObject(shard(log));
  expect(await failure(() => shard(log).status())).toContain("the last frame is not what was stored");
  expect(await seen(`/${log}/checkpoint`)).toEqual([503, "application/problem+json", "no-store"]);
});

test("the gateway's way in picks the log, and tries again when the object was reset under it", async ({
  expect,
}) => {
  let calls = 0;
  const flaky = (name: string) => ({
    appendText: (events: string) =>
      ++calls === 1
        ? Promise.reject(Object.assign(new Error("reset"), { durableObjectReset: true }))
        : shard(name).appendText(events),
  });
  const sink = ledgerSink(flaky, layoutWithoutRegions(1), () => instant(Date.now()));
  const event = disclosureOf(1);
  const recorded = positionOf(
    await sink.record([event], { kind: "client", client: "telehealth", turn: event.id, spread: 1 }),
  );
  expect(calls).toBe(2);
  expect(await shard(recorded.log).append([event])).toEqual(recorded);
});

test("a refusal and a disclosure look the same from outside but for their size class", async ({ expect }) => {
  const log = ownLog();
  await shard(log).append([refusal()]);
  await shard(log).append([disclosureOf(1)]);
  const [, , one, two] = await leavesOf(log);
  expect(one?.kind).toBe(two?.kind);
  expect([one?.counter, two?.counter]).toEqual([1, 2]);
  expect(one?.linesRoot.some((byte) => byte !== 0)).toBe(true);
});

test("the public addresses serve exactly the objects of tlog-tiles, to anyone", async ({ expect }) => {
  const log = ownLog();
  await shard(log).append(Array.from({ length: 254 }, () => refusal()));
  const [text, bytes] = ["text/plain; charset=utf-8", "application/octet-stream"];
  const [brief, long, forever] = [
    "public, max-age=1",
    "public, max-age=3600",
    "public, max-age=31536000, immutable",
  ];
  expect(await seen(`/${log}/checkpoint`)).toEqual([200, text, brief]);
  expect(await seen(`/${log}/checkpoint`, { method: "HEAD" })).toEqual([200, text, brief]);
  expect(await seen(`/${log}/proof/255`)).toEqual([200, text, brief]);
  expect(await seen(`/${log}/tile/0/000`)).toEqual([200, bytes, forever]);
  expect(await seen(`/${log}/tile/1/000.p/1`)).toEqual([200, bytes, long]);
  expect(await seen(`/${log}/tile/entries/000`)).toEqual([200, bytes, forever]);
  expect(await seen(`/${log}/frame/0`)).toEqual([200, bytes, forever]);
  expect((await (await get(`/${log}/tile/0/000`)).bytes()).length).toBe(8192);
  expect((await (await get(`/${log}/tile/0/000`, { method: "HEAD" })).bytes()).length).toBe(0);
  expect((await get(`/${log}/checkpoint`)).headers.get("access-control-allow-origin")).toBe("*");
  for (const [path, status] of [
    [`/${log}/tile/0/001`, 404],
    [`/${log}/tile/0/000.p/256`, 400],
    [`/${log}/tile/0/0`, 400],
    [`/${log}/tile/64/000`, 400],
    [`/${log}/frame/1`, 404],
    [`/${log}/frame/01`, 400],
    [`/${log}/proof/256`, 404],
    [`/${log}/proof/-1`, 400],
    [`/${log}/append`, 404],
    ["/s0-2020h1/checkpoint", 404],
    [`/s99-${log.slice(log.indexOf("-") + 1)}/checkpoint`, 404],
    ["/", 404],
  ] as const) {
    expect(await seen(path), path).toEqual([status, "application/problem+json", "no-store"]);
  }
  expect((await get(`/${log}/checkpoint`, { method: "POST" })).status).toBe(405);
});

test("a proof of a record verifies offline, only with its leaf hash and the log's public key", async ({
  expect,
}) => {
  const log = ownLog();
  const answers = await Promise.all(
    Array.from({ length: 9 }, () => shard(log).append([refusal()]).then(positionOf)),
  );
  for (const { index, leafHash } of answers) {
    const proof = (await shard(log).proof(index)) ?? new Uint8Array();
    expect(openInclusionNote(proof, leafHash, verifierOf(log))).toMatchObject({ ok: true, value: { index } });
    expect(openInclusionNote(proof, new Uint8Array(32), verifierOf(log))).toEqual({
      ok: false,
      error: "proof_wrong",
    });
  }
});

test("a log that took no record yet shows an empty, signed checkpoint and leaves no rows", async ({
  expect,
}) => {
  const log = ownLog();
  expect(await verifyLog(publicReader(log), verifierOf(log))).toMatchObject({
    ok: true,
    value: { size: 0, frames: 0 },
  });
  const tables = await runInDurableObject(shard(log), (_, state) =>
    state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'frames'").toArray(),
  );
  expect(tables).toEqual([]);
});

test("nothing of an event is in the clear in a frame", async ({ expect }) => {
  const log = ownLog();
  const event = disclosureOf(1, newId());
  await shard(log).append([event]);
  const frame = Buffer.from((await shard(log).frame(0)) ?? []);
  for (const text of ["telehealth", "TREAT", "made-up", "disclosure"])
    expect(frame.includes(text), text).toBe(false);
  expect(frame.includes(Buffer.from(event.id, "hex"))).toBe(false);
});

test("beyond the cap, anonymous refusals are counted exactly, across an eviction, and the counts go on record", async ({
  expect,
}) => {
  const log = ownLog();
  const anonymous = (reason: string) => ({ ...refusal(), who: undefined, outcome: { status: 401, reason } });
  const answers = await Promise.all(
    Array.from({ length: 1_300 }, (_, i) =>
      shard(log).append([anonymous(i % 2 === 0 ? "token_missing" : "token_expired")]),
    ),
  );
  const counted = answers.filter((answer) => answer === "counted").length;
  expect(counted).toBeGreaterThan(250);
  const ofClient = { ...refusal(), who: { client: "telehealth" } };
  expect(await shard(log).append([ofClient]), "a client's own refusal is never merely counted").not.toBe(
    "counted",
  );

  await evictDurableObject(shard(log));
  await shard(log).append([refusal()]);
  const [auditor = {}] = ledger.AUDITOR_PRIVATE_KEYS;
  const records = await openAll(log, auditor);
  const tallies = records.flatMap((record) =>
    record?.event.kind === "refusals" ? [record.event.tally ?? {}] : [],
  );
  const total = tallies.flatMap((tally) => Object.values(tally)).reduce((sum, n) => sum + n, 0);
  expect(total).toBe(counted);
  expect(await verifyLog(publicReader(log), verifierOf(log))).toMatchObject({ ok: true });
});
