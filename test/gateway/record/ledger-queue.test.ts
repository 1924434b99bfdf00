import { test } from "vitest";
import type { ProofSink } from "#audit/ports";
import { instant } from "#kernel/clock";
import { LedgerBusy, LedgerQueue } from "#gateway/record/ledger-queue";

let now = instant(1_000_000);
const mebibyte = 1_048_576;
const sender = { kind: "address", address: "192.0.2.1" } as const;
const proof = { jkt: "j", id: "1", made: 0 as never };

/** A ledger that answers when it is told to. */
function slowLedger() {
  const waiting: PromiseWithResolvers<"counted">[] = [];
  const append = () => {
    const one = Promise.withResolvers<"counted">();
    waiting.push(one);
    return one.promise;
  };
  const sink: ProofSink = {
    record: append,
    recordOnce: async () => (await append(), "replayed"),
  };
  return { sink, waiting };
}

test("with 512 appends under way no further request is admitted, until an append is answered or fails", async ({
  expect,
}) => {
  const queue = new LedgerQueue(() => now);
  const { sink, waiting } = slowLedger();
  const ledger = queue.counted(sink);
  const appends = Array.from({ length: 511 }, () => ledger.record([], sender).catch(() => "failed"));
  queue.admit();
  appends.push(ledger.recordOnce([], proof).catch(() => "failed"));
  expect(() => queue.admit()).toThrow(LedgerBusy);
  waiting[0]?.resolve("counted");
  await appends[0];
  queue.admit();

  appends.push(ledger.record([], sender).catch(() => "failed"));
  expect(() => queue.admit()).toThrow(LedgerBusy);
  waiting[1]?.reject(new Error("the ledger failed"));
  expect(await appends[1]).toBe("failed");
  queue.admit();
  expect(waiting).toHaveLength(513); // no append was refused
});

test("answers that wait have 32 MiB together, and an answer of any size waits alone", async ({ expect }) => {
  const queue = new LedgerQueue(() => now);
  const held: PromiseWithResolvers<void>[] = [];
  const hold = (bytes: number, client = `of ${held.length}`) =>
    queue.holding(bytes, client, () => {
      const one = Promise.withResolvers<void>();
      held.push(one);
      return one.promise;
    });
  const first = hold(31 * mebibyte);
  const second = hold(mebibyte);
  expect(() => queue.admit()).toThrow(LedgerBusy);
  await expect(hold(1)).rejects.toThrow(LedgerBusy);
  const done = hold(0); // a write that was sent
  expect(held).toHaveLength(3);
  for (const { resolve } of held) resolve();
  await Promise.all([first, second, done]);
  queue.admit();
  void hold(100 * mebibyte);
  await expect(hold(1)).rejects.toThrow(LedgerBusy);
});

test("requests that were cancelled while they waited for the ledger fill the queue for twenty seconds, not for ever", async ({
  expect,
}) => {
  const queue = new LedgerQueue(() => now);
  const ledger = queue.counted(slowLedger().sink);
  const never = () => new Promise<never>(() => {});
  // the runtime drops the rest of such a request: no line after its wait runs
  for (let request = 0; request < 512; request++) void ledger.record([], sender);
  void queue.holding(32 * mebibyte, "a", never);
  expect(() => queue.admit()).toThrow(LedgerBusy);
  now = instant(now + 19_999);
  expect(() => queue.admit()).toThrow(LedgerBusy);
  await expect(queue.holding(mebibyte, "b", never)).rejects.toThrow(LedgerBusy);
  now = instant(now + 1);
  queue.admit();
  expect(await queue.holding(mebibyte, "b", async () => "recorded")).toBe("recorded");
});

test("one client fills half of the queue, by appends, by answers and by their bytes, and others are served", async ({
  expect,
}) => {
  const byAppends = new LedgerQueue(() => now);
  const ledger = byAppends.counted(slowLedger().sink);
  const appends = (client: string) =>
    void ledger.record([], { kind: "client", client, turn: "0", spread: 1 });
  for (let n = 0; n < 255; n += 1) appends("greedy");
  byAppends.admitClient("greedy");
  appends("greedy");
  expect(() => byAppends.admitClient("greedy")).toThrow(LedgerBusy);
  byAppends.admitClient("other");
  byAppends.admit();

  const byKeys = new LedgerQueue(() => now);
  const ofKeys = byKeys.counted(slowLedger().sink);
  for (let n = 0; n < 128; n += 1) {
    void ofKeys.recordOnce([], { ...proof, client: "greedy" });
    void ofKeys.record([], { kind: "key", jkt: "j", client: "greedy" });
  }
  expect(() => byKeys.admitClient("greedy"), "with a key").toThrow(LedgerBusy);

  const byAnswers = new LedgerQueue(() => now);
  const never = () => new Promise<never>(() => {});
  for (let n = 0; n < 256; n += 1) void byAnswers.holding(0, "greedy", never);
  expect(() => byAnswers.admitClient("greedy")).toThrow(LedgerBusy);
  byAnswers.admitClient("other");
  for (let n = 0; n < 2; n += 1) void byAnswers.holding(8 * mebibyte, "greedy", never);
  await expect(byAnswers.holding(1, "greedy", never)).rejects.toThrow(LedgerBusy);
  expect(await byAnswers.holding(16 * mebibyte, "other", async () => "recorded")).toBe("recorded");
});
