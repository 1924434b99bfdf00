import { test, vi } from "vitest";
import { traceSender } from "#platform/traces/trace-sender";
import { instant } from "#kernel/clock";

test("a store of secrets that never answers costs a trace, and not the sender", async ({ expect }) => {
  const said = vi.spyOn(console, "error").mockImplementation(() => {});
  const sent: Promise<void>[] = [];
  const url = "https://collector.example.org/v1/traces";
  const secrets = {
    valueOf: () => ({ get: () => new Promise(() => {}) }),
    secretHosts: new Map([["COLLECTOR_KEY", new Set(["collector.example.org"])]]),
  };
  const sender = traceSender(
    { url, share: 1, secret: "COLLECTOR_KEY" },
    { secrets, clock: () => instant(0), chance: () => 0, keepAlive: (work) => void sent.push(work) },
  );
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  sender.send({ id: "a".repeat(32), callerSpan: undefined, spans: [] });
  await vi.advanceTimersByTimeAsync(2_000);
  vi.useRealTimers();
  await Promise.all(sent);
  expect(sent).toHaveLength(1);
  expect(JSON.stringify(said.mock.calls)).toContain("traces_lost");
  said.mockRestore();
});
