import { test } from "vitest";
import { LogRates } from "#console/rates";
import { instant } from "#kernel/clock";
import type { LogHealth } from "#ledger/health";

const log = (
  name: string,
  size: number,
  copied = size,
  rooted = size,
  state: LogHealth["state"] = "good",
) => ({
  log: name,
  state,
  size,
  copied,
  behindSeconds: 0,
  rooted,
  seconds: 0,
  why: null,
});
const report = (root: LogHealth, ...logs: readonly LogHealth[]) => ({ logs, root, witnesses: [] });

test("rates and lags are of each log and of all logs, and the root log is in no sum", ({ expect }) => {
  const rates = new LogRates();
  rates.add(report(log("root", 5), log("a", 10, 8, 4), log("b", 3)), instant(0));
  rates.add(report(log("root", 9, 7), log("a", 20, 20, 10), log("b", 4, 3)), instant(30_000));
  expect(rates.perMinute("a")).toEqual([20]);
  expect(rates.perMinute()).toEqual([22]);
  expect(rates.behind("behindCopy", "a")).toEqual([2, 0]);
  expect(rates.behind("behindRoot", "a")).toEqual([6, 10]);
  expect(rates.behind("behindCopy")).toEqual([2, 1]);
  expect(rates.behind("behindCopy", "root")).toEqual([0, 2]);
  expect(rates.behind("behindRoot")).toEqual([6, 10]);
});

test("a log that is silent, or that is seen for the first time, makes no burst", ({ expect }) => {
  const rates = new LogRates();
  rates.add(report(log("root", 1), log("a", 100)), instant(0));
  rates.add(report(log("root", 1), log("a", 0, 0, 0, "silent"), log("b", 1_000)), instant(60_000));
  rates.add(report(log("root", 1), log("a", 102), log("b", 1_001)), instant(120_000));
  expect(rates.perMinute()).toEqual([0, 3]);
  expect(rates.perMinute("b")).toEqual([0, 1]);
});

test("looks within two seconds are one sample, and old samples go", ({ expect }) => {
  const rates = new LogRates();
  for (let look = 0; look < 400; look++)
    rates.add(report(log("root", 1), log("a", look)), instant(look * 1_000));
  expect(rates.perMinute().length).toBe(179);
  expect(rates.since).toBe(40_000);
});
