import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { test } from "vitest";
import type { AuditEvent } from "#audit/event";
import type { Recorded } from "#audit/ports";
import { instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import { openCheckpoint } from "#ledger/tlog/checkpoint";
import { commit, emptyHead } from "#ledger/commit";
import { RootLeaves, ROOT_LOG } from "#ledger/root-log";
import { verifyLog } from "#ledger/verify";
import { sealBatch } from "#platform/ledger/object/append/batch";
import { eventsText } from "#platform/ledger/append-text";
import { draftAppend } from "#platform/ledger/object/append/draft";
import { Epoch } from "#platform/ledger/object/log/key-epoch";
import { LedgerStore } from "#platform/ledger/object/log/store";
import { breakNext, losses, reload, watchAnswers, writes } from "./broken-writes.ts";
import { bucketReader, flush, originOf } from "./bucket.ts";
import {
  appendNamed,
  config,
  definitionsOf,
  disclosureOf,
  failure,
  ledger,
  openAll,
  positionOf,
  ownLog,
  publicReader,
  refusal,
  shard,
  verifierOf,
} from "./worker.ts";

// The slow lane has every case. The fast lane has each write once, with the losses and the two next batches in turn. A
// case of a tile of level 1 fills a log with 65,280 leaves, twelve seconds each, so the fast lane has none.
const nextBatches = ["the same batch is retried", "another batch follows"] as const;
const cases = writes
  .flatMap((write, w) =>
    losses.flatMap((loss, l) =>
      nextBatches.map((next, n) => ({
        write,
        loss,
        next,
        isInFastLane: l === w % losses.length && n === w % 2,
      })),
    ),
  )
  .filter(({ write, isInFastLane }) => ledger.LANE !== "fast" || (isInFastLane && write !== "tile1 PUT"));
const root = () => ledger.LEDGER_ROOT.getByName(ROOT_LOG);
const sizes = new Map<string, number>(); // of each log, at the end
/** Its disclosure names a list of withheld paths, which the log gets by its digest. */
const batch = (count: number, path = "name"): AuditEvent[] => [
  { ...disclosureOf(2), withheld: { paths: [path] } },
  ...Array.from({ length: count - 1 }, () => refusal()),
];

/**
 * 65,280 leaves: the next 256 fill the first tile of level 1. The ledger's own code seals and commits them,
 * without the calls.
 */
async function fillAlmost(log: string): Promise<void> {
  await shard(log).status(); // it is opened in the root log
  await runInDurableObject(shard(log), async (_, { storage }) => {
    const [store, draft] = [new LedgerStore(storage.sql), draftAppend([refusal()], config.subjectKeys[0])];
    const epoch = await Epoch.begin(config, originOf(log), 1, instant(Date.now()));
    for (let head = emptyHead(originOf(log)); head.size < 65_280;) {
      // after shard-open and key-epoch
      const drafts = Array.from({ length: head.size === 0 ? 254 : 256 }, () => draft);
      const { leaves } = await sealBatch(config, head, Math.min(head.size, 1), epoch, drafts);
      const done = commit(head, leaves, instant(Date.now()));
      storage.transactionSync(() => store.insert(done, new Uint8Array(), undefined));
      store.created();
      head = done.head;
    }
  });
  await reload(log);
}

/**
 * How many of the log's leaves the root log has; and how many verify from the log itself and from its copy
 * in R2.
 */
async function verifiedSizes(log: string, receipts: readonly Recorded[]) {
  const standing = openCheckpoint(utf8((await root().open(log)) ?? ""), verifierOf(log));
  if (!standing.ok) throw new Error(standing.error);
  const claims = { receipts, since: [standing.value] };
  const shown = await publicReader(log).checkpoint();
  const first = shown && openCheckpoint(shown, verifierOf(log));
  // a log signs once a second
  if (first?.ok === true && first.value.size < standing.value.size) await scheduler.wait(1001);
  const [served, copied] = [
    await verifyLog(publicReader(log), verifierOf(log), claims),
    await verifyLog(bucketReader(log), verifierOf(log), claims),
  ];
  const sizeOrError = (result: typeof served) => (result.ok ? result.value.size : result.error);
  return { root: standing.value.size, served: sizeOrError(served), copied: sizeOrError(copied) };
}

/** How often each event is in the log, by an auditor's count. */
async function timesOnRecord(log: string, events: readonly AuditEvent[]): Promise<number[]> {
  const [auditor = {}] = ledger.AUDITOR_PRIVATE_KEYS;
  const records = await openAll(log, auditor);
  return [...new Set(events.map(({ id }) => records.filter((record) => record?.event.id === id).length))];
}

test.for(cases)(
  "$write: $loss; $next: every acknowledged record is there once, with its definition before it, the served log and its copy verify, and the root log has it",
  { timeout: 120_000 },
  async ({ write, loss, next }, { expect }) => {
    const log = ownLog();
    const acknowledged: { readonly events: readonly AuditEvent[]; readonly at: Recorded }[] = [];
    const append = async (events: readonly AuditEvent[]) =>
      acknowledged.push({ events, at: positionOf(await appendNamed(log, events)) });
    if (write === "tile1 PUT") await fillAlmost(log);
    await append(batch(200));
    await append(batch(100));
    const { size: before } = await shard(log).status();
    const [events, isInAppend] = [batch(7, "photo"), write === "frame insert" || write === "disk"];
    if (!isInAppend) await append(events);
    const broken = await breakNext(log, write, loss);
    if (isInAppend)
      expect(await failure(() => appendNamed(log, events)), "no caller gets a position").not.toBe(
        "no failure",
      );
    else for (let i = 0; i < 4 && !broken.hit(); i++) await flush(log); // a flush takes 8 MiB of frames
    expect(broken.hit(), "it went wrong").toBe(true);
    broken.mend();
    await reload(log);
    const { size } = await shard(log).status();
    expect(size - before, "the records of the batch and its definition, or neither").toBe(
      isInAppend && loss === "lost" ? 0 : 8,
    );

    if (next === "another batch follows") await append(batch(5));
    else if (isInAppend) await append(events);
    for (let i = 0; i < 3; i++) await flush(log); // the pending flush, the rest, and writes that failed once
    const { size: after, ...status } = await shard(log).status();
    expect(status).toMatchObject({ copied: after, health: "good", why: null });
    const receipts = acknowledged.map(({ at }) => at);
    expect(await verifiedSizes(log, receipts)).toEqual({ root: after, served: after, copied: after });
    sizes.set(log, after);
    for (const { events: repeated, at } of acknowledged)
      expect(await appendNamed(log, repeated), "a repeated append gets the same answer").toEqual(at);
    expect(await shard(log).status()).toMatchObject({ size: after });
    if (write === "tile1 PUT") return; // opening 65,536 leaves proves no more here than opening 300
    const all = acknowledged.flatMap((one) => one.events);
    expect(await timesOnRecord(log, all)).toEqual([1]);
    expect((await definitionsOf(log)).lists.length).toBeGreaterThanOrEqual(acknowledged.length);
    if (isInAppend && next === "another batch follows")
      expect(await timesOnRecord(log, events)).toEqual([loss === "lost" ? 0 : 1]);
  },
);

test.for(losses)(
  "a commit that was rolled back is a refusal, and the log goes on; a commit that the disk may have is an error: %s",
  async (loss, { expect }) => {
    const log = ownLog();
    await shard(log).append([refusal()]);
    const broken = await breakNext(log, "frame insert", loss);
    const text = eventsText([refusal()]);
    const answer = await shard(log)
      .appendText(text)
      .catch(() => "an error");
    expect([broken.hit(), answer]).toEqual([true, loss === "lost" ? "refused" : "an error"]);
    broken.mend();
    if (loss === "lost") expect(await shard(log).appendText(text), "and once only").toMatch(/^recorded /u);
  },
);

test("an object that ends after its own code answered, and before the disk has the rows, gives no caller a position", async ({
  expect,
}) => {
  const answeredInside: number[] = [];
  for (const microtasks of [0, 1, 2, 4, 8, 20]) {
    const log = ownLog();
    await appendNamed(log, [refusal()]);
    const { size } = await shard(log).status();
    const watch = await watchAnswers(log);
    try {
      const broken = await breakNext(log, "disk", "lost", microtasks);
      const outcome = await failure(() => appendNamed(log, [refusal()]));
      expect(broken.hit(), "it went wrong").toBe(true);
      expect(outcome, `no caller gets a position, ${microtasks} microtasks`).not.toBe("no failure");
      answeredInside.push(watch.positions());
    } finally {
      watch.end();
    }
    await reload(log);
    expect((await shard(log).status()).size, "no row is there").toBe(size);
  }
  expect(answeredInside[0], "the object ends in the turn of the transaction").toBe(0);
  expect(answeredInside.at(-1), "the log's own code has answered").toBe(1);
});

test("after all of that the root log verifies, and the last checkpoint of each log in it is of all its leaves", async ({
  expect,
}) => {
  await scheduler.wait(1001); // it signs once a second
  await runDurableObjectAlarm(root());
  const leaves = new RootLeaves(verifierOf(ROOT_LOG));
  expect(await verifyLog(publicReader(ROOT_LOG), verifierOf(ROOT_LOG), {}, leaves)).toMatchObject({
    ok: true,
  });
  expect(new Map([...sizes.keys()].map((log) => [log, leaves.seen.get(log)?.at(-1)?.size]))).toEqual(sizes);
  expect(sizes.size).toBe(cases.length);
});
