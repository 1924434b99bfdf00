import { test } from "vitest";
import { configurationOf } from "#audit/configuration";
import type { AuditEvent } from "#audit/event";
import type { AuditSink, Counted } from "#audit/ports";
import { instant } from "#kernel/clock";
import { configurationRecord } from "#platform/ledger/client/configuration-record";

/** An isolate whose ledger answers when the test says so. */
function isolate() {
  const waiting: PromiseWithResolvers<Counted>[] = [];
  const events: AuditEvent[] = [];
  const record: AuditSink["record"] = (recorded, { kind }) => {
    const one = Promise.withResolvers<Counted>();
    if (kind === "worker") events.push(...recorded);
    waiting.push(one);
    return one.promise;
  };
  let ids = 0;
  const newId = () => (ids += 1).toString(16).padStart(32, "0");
  const describe = () => configurationOf("gateway", [["URL", "a"]]);
  return {
    events,
    waiting,
    configured: configurationRecord(describe, { record }, { clock: () => instant(7), newId }),
  };
}

test("each request that starts before the configuration is recorded records it itself, as the same event; later requests make no call", async ({
  expect,
}) => {
  const { events, waiting, configured } = isolate();
  const [first, second] = [configured(), configured()];
  expect(waiting).toHaveLength(2);
  waiting[1]?.resolve("counted"); // the second call's; the first is still pending
  await second;
  await configured();
  expect(events).toEqual([events[0], events[0]]);
  expect(events[0]).toMatchObject({ kind: "configuration", at: 7, configuration: { worker: "gateway" } });
  waiting[0]?.reject(new Error("too late"));
  await expect(first, "its own call failed").rejects.toThrow("too late");
  await configured();
});

test("a failure is the request's own and is not remembered", async ({ expect }) => {
  const { waiting, configured } = isolate();
  const first = configured();
  waiting[0]?.reject(new Error("no ledger"));
  await expect(first).rejects.toThrow("no ledger");
  const second = configured();
  waiting[1]?.resolve("counted");
  await second;
});

test("a configuration that cannot be described is a rejection, not an exception", async ({ expect }) => {
  const broken = () => {
    throw new Error("no such key");
  };
  const configured = configurationRecord(
    broken,
    { record: () => Promise.resolve("counted" as const) },
    { clock: () => instant(7), newId: () => "" },
  );
  await expect(configured()).rejects.toThrow("no such key");
});
