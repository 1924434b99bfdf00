import { test } from "vitest";
import { afterConfiguration } from "#audit/after-configuration";
import type { ProofSink, Recorded } from "#audit/ports";
import { instant } from "#kernel/clock";

const recorded: Recorded = {
  log: "s0-2026h2",
  index: 0,
  count: 1,
  frame: 0,
  leafHash: new Uint8Array(),
  frameHash: new Uint8Array(),
};
const ledger: ProofSink = {
  record: () => Promise.resolve(recorded),
  recordOnce: () => Promise.resolve("replayed"),
};
const sender = { kind: "address", address: "" } as const;
const proof = { jkt: "key", id: "proof", made: instant(1) };
const soon = async (work: Promise<unknown>) => {
  let isDone = false;
  void work.then(
    () => (isDone = true),
    () => {},
  );
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  return isDone;
};

test("no record counts before the configuration is on record, with a proof or without; both go to the ledger at once", async ({
  expect,
}) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let asked = 0;
  const record = () => Promise.resolve(recorded).finally(() => (asked += 1));
  const own = afterConfiguration({ ...ledger, record }, promise);
  const work = [own.record([], sender), own.recordOnce([], proof)];
  expect(await Promise.all(work.map(soon))).toEqual([false, false]);
  expect(asked).toBe(1);
  resolve();
  expect(await Promise.all(work)).toEqual([recorded, "replayed"]);
});

test("when the configuration cannot be recorded every record throws, and a request that makes none leaves no rejection behind", async ({
  expect,
}) => {
  const own = afterConfiguration(ledger, Promise.reject(new Error("no ledger")));
  await new Promise((turn) => setTimeout(turn)); // an unhandled rejection would fail this file
  await expect(own.record([], sender)).rejects.toThrow("no ledger");
  await expect(own.recordOnce([], proof)).rejects.toThrow("no ledger");
});
