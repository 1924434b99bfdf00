import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { test, vi } from "vitest";
import { authorityStepId } from "#identity/authority/authority";
import type { AuditEvent } from "#audit/event";
import { overAt } from "#ledger/log-name";
import { verifyLog } from "#ledger/verify";
import { eventsText } from "#platform/ledger/append-text";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import { instant } from "#kernel/clock";
import { logAppender, type AppendTo } from "#platform/ledger/client/sink";
import { stepSink, type BegunStep, type StepStore } from "#platform/ledger/client/step-sink";
import { RecoveryDesk } from "#platform/ledger/isolate/recovery-desk";
import { flush } from "./bucket.ts";
import { breakNext, losses, reload } from "./broken-writes.ts";
import {
  config,
  disclosureOf,
  failure,
  ledger,
  lose,
  openAll,
  ownLog,
  positionOf,
  publicReader,
  shard,
  verifierOf,
} from "./worker.ts";

const authority = "c".repeat(32);
const day = 86_400_000;
const stepOf = (step: string, patients = 2): AuditEvent => ({
  ...disclosureOf(patients),
  id: authorityStepId(authority, step),
  authority,
});
const append = async (log: string, event: AuditEvent) => positionOf(await shard(log).append([event]));
const recordsOf = async (log: string) => {
  const [auditor = {}] = ledger.AUDITOR_PRIVATE_KEYS;
  const events = (await openAll(log, auditor)).flatMap((record) => record?.event ?? []);
  return events.filter((event) => event.authority === authority).map(({ id }) => id);
};

/** Runs work on this log's object, which starts anew, at a different time. */
async function at<T>(log: string, time: number, act: (log: LedgerShard) => Promise<T>): Promise<T> {
  await evictDurableObject(shard(log)).catch(() => undefined); // if it runs
  vi.useFakeTimers({ toFake: ["Date"], now: time });
  try {
    return await runInDurableObject(shard(log), act);
  } finally {
    vi.useRealTimers();
    await evictDurableObject(shard(log)).catch(() => undefined); // if it runs
  }
}

test("a step that a job repeats is recorded once: at once, after a restart, and weeks later", async ({
  expect,
}) => {
  const [log, event] = [ownLog(), stepOf("file/1")];
  const first = await append(log, event);
  expect(await append(log, event)).toEqual(first);
  await evictDurableObject(shard(log));
  expect(await append(log, event)).toEqual(first);
  const weeks = Math.min(Date.now() + 20 * day, (overAt(log) ?? 0) - 1000);
  await flush(log);
  expect(positionOf(await at(log, weeks, (itself) => itself.append([event])))).toEqual(first);
  const second = await append(log, stepOf("file/2"));
  expect(second.index).toBeGreaterThan(first.index);
  expect(await recordsOf(log)).toEqual([event.id, authorityStepId(authority, "file/2")]);
  expect(await verifyLog(publicReader(log), verifierOf(log))).toMatchObject({ ok: true });
});

test("a request's repeat is recorded again once its 130 s are over: the rows are of authorities alone", async ({
  expect,
}) => {
  const [log, event] = [ownLog(), disclosureOf(1)];
  const first = await append(log, event);
  const later = Math.min(Date.now() + day, (overAt(log) ?? 0) - 1000);
  await flush(log);
  const again = positionOf(await at(log, later, (itself) => itself.append([event])));
  expect(again.index).not.toBe(first.index);
});

test("another event of a recorded step is refused, also after a restart", async ({ expect }) => {
  const log = ownLog();
  await append(log, stepOf("file/1"));
  await evictDurableObject(shard(log));
  expect(await failure(async () => await shard(log).append([stepOf("file/1", 3)]))).toContain(
    "another event has this id and step",
  );
  expect(await recordsOf(log)).toHaveLength(1);
});

test("a log that has closed still answers for its steps, and records no further one", async ({ expect }) => {
  const [log, event] = [ownLog(), stepOf("file/1")];
  const first = await append(log, event);
  const after = (overAt(log) ?? 0) + 1000;
  await at(log, after, (itself) => itself.alarm());
  expect((await shard(log).status()).sealed).toBe(true);
  expect(positionOf(await at(log, after, (itself) => itself.append([event])))).toEqual(first);
  const answer = await at(log, after, (itself) => itself.appendText(eventsText([stepOf("file/2")])));
  expect(answer, "so that the job asks the log of today").toBe("refused");
});

test("a log that cannot look for a step refuses it by a fault: it may be on record there", async ({
  expect,
}) => {
  const [log, event] = [ownLog(), stepOf("file/1")];
  await append(log, event);
  const later = Math.min(Date.now() + day, (overAt(log) ?? 0) - 1000); // R2 has no copy since
  const sent = (one: AuditEvent) => at(log, later, (itself) => itself.appendText(eventsText([one])));
  expect(await failure(() => sent(event))).toContain("behind its copy");
  expect(await sent(disclosureOf(1))).toBe("refused");
});

test.for(
  losses.flatMap((loss) => (["frame insert", "disk"] as const).map((write) => [write, loss] as const)),
)("a step whose %s is %s is recorded once when the job repeats it", async ([write, loss], { expect }) => {
  const [log, event] = [ownLog(), stepOf("file/1")];
  await append(log, stepOf("file/0"));
  const broken = await breakNext(log, write, loss);
  await shard(log)
    .append([event])
    .catch(() => undefined);
  expect(broken.hit()).toBe(true);
  broken.mend();
  await reload(log);
  const first = await append(log, event);
  await reload(log);
  expect(await append(log, event)).toEqual(first);
  expect((await recordsOf(log)).filter((id) => id === event.id)).toHaveLength(1);
});

/** A job's storage, which outlives its crashes. */
function stepStore(begun = new Map<string, BegunStep>()): StepStore & { readonly begun: typeof begun } {
  return {
    begun,
    beginStep: async (name, step) => begun.get(name) ?? (begun.set(name, step), step),
    moveStep: async (name, log) => void begun.set(name, { text: begun.get(name)?.text ?? "", log }),
  };
}
const sender = { kind: "authority", authority } as const;
const overdue = day * 200;
const appendTo = (later = 0) => logAppender(shard, config.layout, () => instant(Date.now() + later));

test("a job's repeat is recorded once, though time, trace, half-year and home of the repeat are others", async ({
  expect,
}) => {
  const steps = stepStore();
  const event = stepOf("sink/1");
  let recorded: unknown;
  const lost: AppendTo = async (...append) => {
    recorded = await appendTo()(...append);
    throw new Error("the answer was lost");
  };
  const sink = (to: AppendTo, later = 0) =>
    stepSink(to, config.layout, () => instant(Date.now() + later), steps);
  expect(await failure(async () => await sink(lost).record([event], sender))).toContain("lost");
  const repeat = { ...event, at: instant(Date.now() + 99_000), traceId: "b".repeat(32) };
  const home = { ...sender, home: "apac" } as const;
  expect(await sink(appendTo(overdue), overdue).record([repeat], home)).toEqual(recorded);
  const log = steps.begun.values().next().value?.log ?? "";
  expect((await recordsOf(log)).filter((id) => id === event.id)).toHaveLength(1);
});

test("a step goes to the log of today if its log has closed without it, and to no other log else", async ({
  expect,
}) => {
  const closed = "s9-2020h1"; // it was never opened
  const event = stepOf("sink/2");
  const steps = stepStore(new Map([[`${event.id}.0`, { text: eventsText([event]), log: closed }]]));
  const sink = stepSink(appendTo(), config.layout, () => instant(Date.now()), steps);
  const recorded = await sink.record([{ ...event, at: instant(1) }], sender);
  expect(recorded).toMatchObject({ count: 1 });
  expect(steps.begun.get(`${event.id}.0`)?.log, "a crash from here on repeats it there").not.toBe(closed);
  const refusing = stepStore();
  const asked: string[] = [];
  const refuse: AppendTo = async (log) => (asked.push(log), "refused");
  const alone = stepSink(refuse, config.layout, () => instant(Date.now()), refusing);
  expect(await failure(async () => await alone.record([stepOf("sink/3")], sender))).toContain("refused");
  expect(asked).toHaveLength(1);
});

test("no event but a step of the authority goes through a job's ledger", async ({ expect }) => {
  const sink = stepSink(appendTo(), config.layout, () => instant(Date.now()), stepStore());
  const { authority: _, ...without } = stepOf("sink/4");
  for (const event of [without, { ...without, authority: "d".repeat(32) }])
    expect(await failure(async () => await sink.record([event], sender))).toContain("not a step");
});

test("a stand-in that has closed refuses a step, so that the job asks the log of today", async ({
  expect,
}) => {
  const log = ownLog();
  await append(log, stepOf("stand-in/0"));
  await flush(log);
  await scheduler.wait(1001);
  await lose(log);
  const desk = new RecoveryDesk(ledger);
  let standIn = "";
  for (let tries = 0; tries < 10 && standIn === ""; tries += 1) {
    const restored = await desk.restore(log);
    const [value] = restored.ok ? restored.value : [];
    if (value?.isDone === true) standIn = value.standIn ?? "";
  }
  const [event, other] = [stepOf("stand-in/1"), stepOf("stand-in/2")];
  const first = await append(log, event);
  expect(first.log).toBe(standIn);
  const after = (overAt(log) ?? 0) + 1000;
  await at(standIn, after, (itself) => itself.alarm());
  const sent = (step: AuditEvent) => at(log, after, (itself) => itself.appendText(eventsText([step])));
  expect(await sent(other)).toBe("refused");
  expect(await sent(event)).toContain(`recorded ${standIn} ${first.index}`);
}, 60_000);
