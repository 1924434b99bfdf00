import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { test, vi } from "vitest";
import { authorityStepId } from "#identity/authority";
import type { AuditEvent } from "#audit/event";
import { overAt } from "#ledger/log-name";
import { verifyLog } from "#ledger/verify";
import { eventsText } from "#platform/ledger/append-text";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import { flush } from "./bucket.ts";
import { breakNext, losses, reload } from "./broken-writes.ts";
import {
  disclosureOf,
  failure,
  ledger,
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
