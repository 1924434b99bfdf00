import { evictDurableObject } from "cloudflare:test";
import { afterEach, test, vi } from "vitest";
import { define, definitionBytesMax } from "#audit/definition";
import type { AuditEvent } from "#audit/event";
import { instant } from "#kernel/clock";
import { toCbor } from "#ledger/bytes/cbor";
import { endOf } from "#ledger/log-name";
import { withNames } from "#platform/ledger/client/definitions";
import { configurationLogs, ledgerSink } from "#platform/ledger/client/sink";
import { chooseLog } from "#ledger/shard-choice";
import { flush } from "./bucket.ts";
import {
  appendNamed,
  config,
  definitionsOf,
  disclosureOf,
  failure,
  ledger,
  newId,
  openAll,
  ownLog,
  positionOf,
  refusal,
  shard,
} from "./worker.ts";

afterEach(() => vi.useRealTimers());

const withheld = (paths: readonly string[], more: Partial<AuditEvent> = {}): AuditEvent => ({
  ...disclosureOf(1),
  withheld: { paths, resources: 1 },
  ...more,
});
const names = ["name", "photo", "telecom"];
const contentOf = (value: readonly string[]) => define({ type: "withheld-paths", value }).content;
/** An append as it arrives from a gateway that sends these contents. */
const append = (log: string, events: readonly AuditEvent[], contents?: readonly Uint8Array[]) =>
  shard(log).append(withNames(events).events, undefined, contents);
const sizeOf = async (log: string) => (await shard(log).status()).size;

test("a definition is written once in a key epoch, right before the first record that names it; positions and counts are the record's", async ({
  expect,
}) => {
  const log = ownLog();
  positionOf(await shard(log).append([refusal()])); // shard-open, key-epoch, refusal
  const first = positionOf(await appendNamed(log, [withheld(names)]));
  const second = positionOf(await appendNamed(log, [withheld(names), withheld(names, { step: 1 })]));
  expect([first, second].map(({ index, count }) => [index, count])).toEqual([
    [4, 1],
    [5, 2],
  ]);
  const [auditor = {}] = ledger.AUDITOR_PRIVATE_KEYS;
  expect((await openAll(log, auditor)).map((record) => record?.event.kind)).toEqual([
    "refusal",
    "definition",
    "disclosure",
    "disclosure",
    "disclosure",
  ]);
  expect(await definitionsOf(log)).toEqual({ lists: [names, names, names], written: [1] });
});

test("a log that lacks a definition says so and records nothing; with the content it records both", async ({
  expect,
}) => {
  const [log, event] = [ownLog(), withheld(names)];
  await shard(log).append([refusal()]);
  expect(await append(log, [event])).toBe("definition missing");
  expect(await append(log, [event], [])).toBe("definition missing");
  expect(await append(log, [event], [contentOf(["photo"])]), "a different list").toBe("definition missing");
  expect(await sizeOf(log)).toBe(3);
  positionOf(await append(log, [event], [contentOf(names)]));
  expect(await sizeOf(log)).toBe(5);
});

test("simultaneous appends, a split event, a bundle of several views and windows of an answer share their definitions", async ({
  expect,
}) => {
  const log = ownLog();
  await shard(log).append([refusal()]);
  const many = Array.from({ length: 40 }, () => appendNamed(log, [withheld(names)]));
  const split = appendNamed(log, [{ ...disclosureOf(1_200), withheld: { paths: ["photo"] } }]);
  const id = newId();
  const bundle = appendNamed(
    log,
    [names, ["photo"], ["text"], names].map((paths, step) => withheld(paths, { id, step })),
  );
  const answers = (await Promise.all([...many, split, bundle])).map(positionOf);
  expect(answers.slice(-2).map(({ count }) => count)).toEqual([3, 4]);
  for (const number of [1, 2, 3])
    await appendNamed(log, [
      withheld(["text"], { step: number, window: { number, complete: number === 3 } }),
    ]);
  const { lists, written } = await definitionsOf(log);
  expect(written).toEqual([3]);
  expect(lists).toHaveLength(40 + 1 + 4 + 3);
});

test("an append that is repeated gets its first position, with or without the content, also after a restart; no second definition is written", async ({
  expect,
}) => {
  const [log, event] = [ownLog(), withheld(names)];
  const first = positionOf(await append(log, [event], [contentOf(names)]));
  const size = await sizeOf(log);
  expect(await append(log, [event])).toEqual(first);
  await evictDurableObject(shard(log));
  expect(await append(log, [event])).toEqual(first);
  expect(await append(log, [event], [contentOf(names)])).toEqual(first);
  expect(await sizeOf(log)).toBe(size);
});

test("a new key epoch has the definition anew: after an hour without asking for it, after a restart with its content", async ({
  expect,
}) => {
  const log = ownLog();
  positionOf(await append(log, [withheld(names)], [contentOf(names)]));
  for (const copied of [log, ...configurationLogs(config.layout, instant(Date.now()))]) await flush(copied);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_601_000 });
  positionOf(await append(log, [withheld(names)]));
  positionOf(await append(log, [withheld(names)]));
  await evictDurableObject(shard(log));
  expect(await append(log, [withheld(names)])).toBe("definition missing");
  positionOf(await append(log, [withheld(names)], [contentOf(names)]));
  expect(await definitionsOf(log)).toEqual({ lists: [names, names, names, names], written: [1, 1, 1] });
});

test("the sink sends content at first and after ten seconds, and an append still needs one call; a log that restarted in between gets the content in a second call", async ({
  expect,
}) => {
  const calls: number[] = [];
  const counted = (log: string) => ({
    appendText: (...args: Parameters<ReturnType<typeof shard>["appendText"]>) => {
      calls.push(args[2]?.length ?? 0);
      return shard(log).appendText(...args);
    },
  });
  let now = Date.now();
  const clock = () => instant(now);
  const sink = ledgerSink(counted, config.layout, clock);
  const sender = { kind: "key", jkt: "of the sink" } as const;
  const log = chooseLog(sender, config.layout, clock());
  const record = async () => {
    calls.length = 0;
    const answer = await sink.record([withheld(names)], sender);
    return [typeof answer === "object" && answer.log === log, ...calls];
  };
  expect(await record()).toEqual([true, 1]);
  expect(await record()).toEqual([true, 0]);
  now += 9_999;
  expect(await record(), "each answer confirms it again").toEqual([true, 0]);
  await evictDurableObject(shard(log));
  expect(await record()).toEqual([true, 0, 1]);
  now += 10_001;
  expect(await record()).toEqual([true, 1]);
  expect((await definitionsOf(log)).lists).toHaveLength(5);
});

test("content that is not a definition, too much of it, a definition as an event, and paths beside their digest are refused before anything is written", async ({
  expect,
}) => {
  const log = ownLog();
  await shard(log).append([refusal()]);
  const event = withheld(names);
  const unknown = "of another type" as unknown as readonly Uint8Array[]; // RPC callers may send any type
  const odd = ["text"] as unknown as readonly Uint8Array[];
  const big = (n: number) => contentOf(Array.from({ length: 1_000 }, () => String(n).padEnd(300, "x")));
  for (const contents of [
    unknown,
    odd,
    [new Uint8Array()],
    [toCbor(["policy-of-later", names])],
    [contentOf(names).subarray(1)],
    [contentOf(names), new Uint8Array(definitionBytesMax + 1)],
    [contentOf(names), big(1), big(2)],
    Array.from({ length: 65 }, () => contentOf(names)),
  ])
    expect(await failure(() => append(log, [event], contents))).toContain("ledger: bad definition");
  const { pathsDigest = "" } = withNames([event]).events[0]?.withheld ?? {};
  for (const bad of [
    { ...refusal(), kind: "definition", definition: { contentDigest: pathsDigest, chunk: contentOf(names) } },
    { ...refusal(), kind: "definition" },
    { ...event, withheld: { paths: names, pathsDigest } },
    { ...event, withheld: { pathsDigest: "x" } },
  ])
    expect(await failure(() => shard(log).append([bad]))).toContain("ledger: bad event");
  expect(await sizeOf(log)).toBe(3);
});

test("an append that fits no frame together with its definitions is refused, whatever the log knows", async ({
  expect,
}) => {
  const log = ownLog();
  const id = newId();
  const views = Array.from({ length: 16 }, (_, n) =>
    Array.from({ length: 1_000 }, () => `${n}`.padEnd(300, "x")),
  );
  for (const view of views) positionOf(await append(log, [withheld(view)], [contentOf(view)]));
  const size = await sizeOf(log);
  const all = views.map((view, step) => withheld(view, { id, step }));
  // Four are still in memory and would fit; the log forgot the first views.
  expect(await append(log, all)).toBe("definition missing");
  expect(await failure(() => append(log, all.slice(-5)))).toContain("fit no frame");
  expect(await sizeOf(log)).toBe(size);
});

test("the log of the next half-year takes definitions anew, so that each log is read by itself", async ({
  expect,
}) => {
  const clock = () => instant(Date.now());
  const sink = ledgerSink(shard, config.layout, clock);
  const sender = { kind: "key", jkt: "around the switch" } as const;
  vi.useFakeTimers({ toFake: ["Date"], now: (endOf(ownLog()) ?? 0) - 1_000 });
  const before = positionOf(await sink.record([withheld(names)], sender));
  vi.setSystemTime(Date.now() + 2_000); // the list was confirmed three seconds ago, by the other log
  const after = positionOf(await sink.record([withheld(names)], sender));
  expect(before.log).not.toBe(after.log);
  for (const { log } of [before, after])
    expect(await definitionsOf(log)).toEqual({ lists: [names], written: [1] });
});
