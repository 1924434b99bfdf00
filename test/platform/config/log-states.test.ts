import { expect, test, vi } from "vitest";
import { instant } from "#kernel/clock";
import { readLayout } from "#ledger/layout";
import { keptForASecond, logStates } from "#platform/config/log-states";
import { type StatusOf, takesRecords } from "#platform/config/readiness";

const at = instant(Date.UTC(2026, 10, 27));
const layoutOf = (shards: number) => {
  const layout = readLayout("", shards);
  if (!layout.ok) throw new Error(layout.error);
  return layout.value;
};
type Status = Awaited<ReturnType<ReturnType<StatusOf>["status"]>>;
const status = (log: string, change: Partial<Status>): Status => ({
  log,
  open: true,
  sealed: false,
  size: 1,
  frames: 1,
  seconds: 1,
  copied: 1,
  behindSeconds: 0,
  health: "good",
  why: null,
  isLost: false,
  isRebuilt: false,
  standIn: null,
  ...change,
});

test("the log that stands in for a log has its state too, and decides if records are taken", async () => {
  const statusOf = ((log: string) => ({
    status: async () =>
      log.startsWith("s0-")
        ? status(log, { isRebuilt: true, standIn: "s10000-2026h2" })
        : status(log, { health: "refusing" }),
  })) as StatusOf; // a stub of one method
  vi.stubGlobal("scheduler", { wait: () => new Promise(() => {}) });
  try {
    expect(await logStates(statusOf, layoutOf(1), at)).toEqual({
      "s0-2026h2": "good",
      "s10000-2026h2": "refusing",
    });
  } finally {
    vi.unstubAllGlobals();
  }
  await expect(takesRecords(statusOf, "s0-2026h2")).rejects.toThrow("takes no records");
});

test("each log has its state, and a log that fails or does not answer in time is unreachable", async () => {
  vi.stubGlobal("scheduler", { wait: async () => undefined });
  const answers: Readonly<Record<string, () => Promise<Status>>> = {
    "s0-2026h2": async () => status("s0-2026h2", { health: "degraded" }),
    "s1-2026h2": async () => status("s1-2026h2", { sealed: true }),
    "s2-2026h2": async () => status("s2-2026h2", { sealed: true, health: "refusing" }),
    "s3-2026h2": () => Promise.reject(new Error("down")),
    "s4-2026h2": () => new Promise(() => {}),
  };
  const asked: string[] = [];
  const statusOf = ((log: string) => ({
    status: () => (asked.push(log), answers[log]?.() ?? Promise.resolve(status(log, {}))),
  })) as StatusOf; // a stub of one method
  try {
    expect(await logStates(statusOf, layoutOf(6), at)).toEqual({
      "s0-2026h2": "degraded",
      "s1-2026h2": "sealed",
      "s2-2026h2": "refusing",
      "s3-2026h2": "unreachable",
      "s4-2026h2": "unreachable",
      "s5-2026h2": "good",
    });
    asked.length = 0;
    const first = await logStates(statusOf, layoutOf(100), at);
    const second = await logStates(statusOf, layoutOf(100), instant(at + 1_000));
    expect([Object.keys(first).length, Object.keys(second).length, asked.length]).toEqual([64, 64, 128]);
    expect(new Set(asked).size).toBe(100);
  } finally {
    vi.unstubAllGlobals();
  }
});

test("an answer is kept for a second, and a failed question is asked again", async () => {
  let [now, count] = [0, 0];
  const ask = keptForASecond(
    async () => {
      count += 1;
      if (count === 3) throw new Error("down");
      return count;
    },
    () => instant(now),
  );
  expect([await ask(), await ask()]).toEqual([1, 1]);
  now = 999;
  expect(await ask()).toBe(1);
  now = 1_000;
  expect(await ask()).toBe(2);
  now = 2_000;
  await expect(ask()).rejects.toThrow("down");
  expect(await ask()).toBe(4);
  now = 500; // a clock that goes back asks again
  expect(await ask()).toBe(5);
});
