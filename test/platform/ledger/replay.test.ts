import { type LedgerLayout, readLayout } from "#ledger/layout";
import { createHash } from "node:crypto";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { test, vi } from "vitest";
import { instant } from "#kernel/clock";
import { predecessor } from "#ledger/predecessor";
import { verifyLog } from "#ledger/verify";
import { OwnCalls } from "#platform/ledger/object/append/own-calls";
import type { UsedProof } from "#platform/ledger/object/append/used-proofs";
import { ledgerSink } from "#platform/ledger/client/sink";
import { logStubs } from "#platform/ledger/client/stubs";
import {
  config,
  disclosureOf,
  failure,
  ledger,
  newId,
  positionOf,
  ownLog,
  publicReader,
  shard,
  verifierOf,
  withVariables,
} from "./worker.ts";

const proofHash = (name: string) => createHash("sha256").update(name).digest("base64url");
const ownCalls = new OwnCalls(config.accountingKeys);
/** A claim by the log of the following half-year. */
const claim = (log: string, proof: UsedProof) =>
  shard(log).ownCall(ownCalls.seal(log, { kind: "claim_proof", proof }));
const rowsOf = (log: string) =>
  runInDurableObject(shard(log), (_, state) =>
    state.storage.sql
      .exec<{ seconds: number; used: ArrayBuffer }>("SELECT seconds, used FROM proofs")
      .toArray(),
  );

test("T32: among 1,000 simultaneous requests with one proof, one is recorded", async ({ expect }) => {
  const log = ownLog();
  const proof = proofHash("one");
  const stubs = Array.from({ length: 10 }, () => shard(log)); // like ten places at once
  const appends = stubs.flatMap((stub) =>
    Array.from({ length: 100 }, async () => stub.append([disclosureOf(1)], proof)),
  );
  const answers = await Promise.all(appends);
  expect(answers.filter((answer) => answer === "replayed")).toHaveLength(999);
  expect(await shard(log).status()).toMatchObject({ size: 3, frames: 1 }); // shard-open, key-epoch, a record
  expect(await verifyLog(publicReader(log), verifierOf(log))).toMatchObject({ ok: true });
});

test("T32: the same event again is a lost answer, not a replay: it gets its first position, also from a later incarnation", async ({
  expect,
}) => {
  const log = ownLog();
  const [proof, event] = [proofHash("mine"), disclosureOf(1)];
  const first = positionOf(await shard(log).append([event], proof));
  expect(await shard(log).append([event], proof)).toEqual(first);
  expect(await shard(log).append([disclosureOf(1)], proof)).toBe("replayed");
  await evictDurableObject(shard(log));
  expect(await shard(log).append([event], proof)).toEqual(first);
  expect(await shard(log).append([disclosureOf(1)], proof)).toBe("replayed");
  expect(await shard(log).append([disclosureOf(1)], proofHash("another"))).toMatchObject({
    index: first.index + 1 + 1,
  }); // after a new key-epoch
});

test("a proof is stored with the records that used it, or not at all: a commit that fails leaves it unused", async ({
  expect,
}) => {
  const log = ownLog();
  await shard(log).append([disclosureOf(1)], proofHash("before"));
  await runInDurableObject(shard(log), (_, { storage }) => {
    storage.sql.exec("CREATE TRIGGER broken BEFORE INSERT ON frames BEGIN SELECT RAISE(ABORT, 'no'); END");
  });
  expect(await failure(() => shard(log).append([disclosureOf(1)], proofHash("unlucky")))).toMatch(/./u);
  await runInDurableObject(shard(log), (_, { storage }) => void storage.sql.exec("DROP TRIGGER broken"));
  expect(await shard(log).append([disclosureOf(1)], proofHash("unlucky"))).toMatchObject({ log });
  expect(await shard(log).append([disclosureOf(1)], proofHash("before"))).toBe("replayed");
});

test("rows are packed, hold no text of a client, and go once no proof in them is good any more", async ({
  expect,
}) => {
  const log = ownLog();
  await Promise.all(
    Array.from({ length: 20 }, (_, i) => shard(log).append([disclosureOf(1)], proofHash(`many-${i}`))),
  );
  const rows = await rowsOf(log);
  expect(rows.reduce((sum, { used }) => sum + used.byteLength, 0)).toBe(20 * 48);
  expect(rows.length).toBeLessThan(10);
  await runInDurableObject(
    shard(log),
    (_, { storage }) => void storage.sql.exec("UPDATE proofs SET seconds = seconds - 132"),
  );
  await evictDurableObject(shard(log)); // otherwise it would search for old rows half a minute later
  await shard(log).append([disclosureOf(1)], proofHash("later"));
  expect(await rowsOf(log)).toHaveLength(1);
  await evictDurableObject(shard(log));
  // Longer than any proof is valid: identity/proof refuses it by its age.
  expect(await shard(log).append([disclosureOf(1)], proofHash("many-0"))).toMatchObject({ log });
});

test("records without a proof make no row for a proof", async ({ expect }) => {
  const log = ownLog();
  await shard(log).append([disclosureOf(1)]);
  const tables = await runInDurableObject(shard(log), (_, state) =>
    state.storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'proofs'").toArray(),
  );
  expect(tables).toEqual([]);
});

test("around a switch of half-years the earlier log decides once, durably, which event owns a proof", async ({
  expect,
}) => {
  const before = ownLog();
  const [proof, event] = [proofHash("at the switch"), newId()];
  expect(await claim(before, { hash: proof, event })).toBe(true);
  expect(await claim(before, { hash: proof, event })).toBe(true);
  expect(await claim(before, { hash: proof, event: newId() })).toBe(false);
  await evictDurableObject(shard(before));
  expect(await claim(before, { hash: proof, event: newId() })).toBe(false);
  expect(await failure(() => claim(before, { hash: "short", event }))).toContain("not a proof");
  const ended = predecessor(before, instant(0)) ?? ""; // long before now
  expect(await failure(() => claim(ended, { hash: proof, event }))).toContain("not open");
});

const regions = (text: string, shards: number) => {
  const list = readLayout(text, shards);
  if (!list.ok) throw new Error(list.error);
  return { layout: list.value, variables: { LEDGER_SHARDS: String(shards), LEDGER_REGIONS: text } };
};
/** A gateway with this list. */
const gatewayWith = (layout: LedgerLayout, now?: number) =>
  ledgerSink(shard, layout, () => instant(now ?? Date.now()));

test("where a key's shard changed with the half-year, the log that took its records before decides", async ({
  expect,
}) => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const { layout, variables } = regions("weur:20 enam:20; 2031h1 enam:20 weur:20", 40);
  await withVariables(variables, async () => {
    const sinkAt = (now: number) => gatewayWith(layout, now);
    const [before, after] = [Date.UTC(2030, 11, 31, 23, 59, 30), Date.UTC(2031, 0, 1, 0, 0, 10)];
    const home = { region: "weur", since: undefined } as const;
    const proof = { jkt: proofHash("a key that moves"), id: "jti-1", made: instant(before), home };
    vi.setSystemTime(after);
    // This gateway's clock is behind: it uses the log of the half-year before, on a shard of its region then.
    const first = positionOf(await sinkAt(before).recordOnce([disclosureOf(1)], proof));
    expect(first.log).toMatch(/^s1?\d-2030h2$/u);
    expect(await sinkAt(after).recordOnce([disclosureOf(1)], proof)).toBe("replayed");
    const fresh = { ...proof, id: "jti-2" };
    const second = positionOf(await sinkAt(after).recordOnce([disclosureOf(1)], fresh));
    expect(second.log).toMatch(/^s[23]\d-2031h1$/u);
    expect(await sinkAt(before).recordOnce([disclosureOf(1)], fresh)).toBe("replayed");
    const wrong = () => shard(second.log).append([disclosureOf(1)], proofHash("x"), undefined, "s1-2029h2");
    expect(await failure(wrong)).toContain("half-year before");
    // This gateway's list lacks the period that has just ended, so it asks a different log of before.
    const shortened = gatewayWith(regions("2031h1 enam:20 weur:20", 40).layout, after);
    const third = { ...proof, id: "jti-3" };
    expect(await failure(() => shortened.recordOnce([disclosureOf(1)], third))).toContain("has just ended");
  }).finally(() => vi.useRealTimers());
});

test("while a client's home changes, no proof is taken by both regions", async ({ expect }) => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2032, 2, 1) });
  const { layout, variables } = regions("weur:1 enam:1", 2);
  await withVariables(variables, async () => {
    const since = instant(Date.now());
    // with hints, as the gateway calls the logs
    const logOf = logStubs(ledger.LEDGER_SHARD, { layout, jurisdiction: undefined });
    const sink = ledgerSink(logOf, layout, () => instant(Date.now()));
    const to = (region: "weur" | "enam", changed: boolean, madeAfter: number) =>
      sink.recordOnce([disclosureOf(1)], {
        jkt: proofHash("moved"),
        id: `jti-${madeAfter}`,
        made: instant(since + madeAfter),
        home: { region, since: changed ? since : undefined },
      });
    expect(await to("enam", true, -5_000)).toBe("replayed");
    expect(await to("enam", true, 30_000)).toBe("replayed");
    expect(positionOf(await to("enam", true, 30_001)).log).toMatch(/^s1-/u);
    // A gateway that does not know of the change takes the proofs of the time before it alone.
    expect(positionOf(await to("weur", false, -5_000)).log).toMatch(/^s0-/u);
  }).finally(() => vi.useRealTimers());
});

test("the sink sends a key's records to one log, and reports a proof that was used before", async ({
  expect,
}) => {
  const sink = ledgerSink(shard, config.layout, () => instant(Date.now()));
  const proof = { jkt: proofHash("a key"), id: "jti-1", made: instant(Date.now()) };
  const first = await sink.recordOnce([disclosureOf(1)], proof);
  const again = { ...proof, id: "jti-0" };
  expect(await sink.recordOnce([disclosureOf(1)], again)).toMatchObject({ log: positionOf(first).log });
  expect(await sink.recordOnce([disclosureOf(1)], proof)).toBe("replayed");
  expect(await sink.recordOnce([disclosureOf(1)], { ...proof, id: "jti-2" })).toMatchObject({ count: 1 });
  expect(await sink.recordOnce([disclosureOf(1)], { ...proof, jkt: proofHash("another key") })).toMatchObject(
    { count: 1 },
  );
});

test("T32: an attacker who keeps a request open until its proof is forgotten finds that the proof is too old", async ({
  expect,
}) => {
  vi.useFakeTimers({ toFake: ["Date"] });
  try {
    const sink = ledgerSink(shard, config.layout, () => instant(Date.now()));
    const made = instant(Date.now() + 10_000); // by a clock that is ahead as far as allowed
    const proof = { jkt: proofHash("a patient thief's"), id: "jti-1", made };
    expect(await sink.recordOnce([disclosureOf(1)], proof)).toMatchObject({ count: 1 });
    for (const seconds of [60, 49, 2, 20, 600]) {
      vi.setSystemTime(Date.now() + seconds * 1_000);
      expect(await sink.recordOnce([disclosureOf(1)], proof)).toBe("replayed");
    }
    expect(
      await sink.recordOnce([disclosureOf(1)], { ...proof, made: instant(Date.now() - 100_000) }),
      "of an age to be told",
    ).toMatchObject({
      count: 1,
    });
  } finally {
    vi.useRealTimers();
  }
});

test("T32: a proof that the ending half-year's log took is refused by the following log, and vice versa", async ({
  expect,
}) => {
  const [before, after] = ["s63-2026h2", "s63-2027h1"];
  vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2027, 0, 1, 0, 1) }); // both take records for 130 s
  try {
    const [early, late] = [proofHash("taken early"), proofHash("taken late")];
    expect(await shard(before).append([disclosureOf(1)], early)).toMatchObject({ log: before });
    expect(await shard(after).append([disclosureOf(1)], early)).toBe("replayed");
    expect(await shard(after).append([disclosureOf(1)], late)).toMatchObject({ log: after });
    expect(await shard(before).append([disclosureOf(1)], late)).toBe("replayed");
    // A lost answer: the same event again is still not a replay.
    const [event, proof] = [disclosureOf(1), proofHash("twice")];
    const first = await shard(after).append([event], proof);
    expect(await shard(after).append([event], proof)).toEqual(first);
  } finally {
    vi.useRealTimers();
  }
});
