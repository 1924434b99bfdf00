import { test } from "vitest";
import { countedOf, stepAlert, type AlertTotals, type AlertStanding, valueOf } from "#audit/alerts/judge";
import { alertRules } from "#audit/alerts/rules";
import { seriesOf } from "#audit/traffic/instruments";
import { instant } from "#kernel/clock";

const minute = 60_000;
const counted = (minutes: number, all: number, gateway: number): AlertTotals => ({
  at: instant(minutes * minute),
  all,
  failed: { gateway, origin: 0, late: 0 },
});
const burnOf = (...history: readonly AlertTotals[]) =>
  valueOf(alertRules.gateway_failing, { counted: history, readings: [] });

test("failures burn the objective only while both windows have them, and a few failures do not count", ({
  expect,
}) => {
  expect(burnOf(counted(0, 0, 0), counted(55, 900, 90), counted(60, 1_000, 100))).toBeCloseTo(100);
  expect(burnOf(counted(0, 0, 0), counted(55, 900, 100), counted(60, 1_000, 100))).toBe(0);
  expect(burnOf(counted(0, 0, 0), counted(55, 3, 0), counted(60, 7, 4))).toBe(0);
  expect(burnOf()).toBeUndefined();
});

test("the sums take refusals by their reason and faults without a record, and leave the operators' calls out", ({
  expect,
}) => {
  const totals = new Map([
    [seriesOf("phylax_outcomes", ["read", "disclosed"]), 90],
    [seriesOf("phylax_outcomes", ["read", "refused"]), 10],
    [seriesOf("phylax_outcomes", ["administration", "answered"]), 1_000],
    [seriesOf("phylax_refusals", ["fault"]), 3],
    [seriesOf("phylax_refusals", ["origin_timed_out"]), 2],
    [seriesOf("phylax_refusals", ["token_expired"]), 5],
    [seriesOf("phylax_faults", []), 4],
    [seriesOf("phylax_wait_seconds", ["added", "500"]), 60],
    [seriesOf("phylax_wait_seconds", ["added", "1000"]), 5],
    [seriesOf("phylax_wait_seconds", ["added", "above"]), 1],
    [seriesOf("phylax_wait_seconds", ["added", "sum"]), 9_000],
    [seriesOf("phylax_wait_seconds", ["request", "above"]), 70],
  ]);
  expect(countedOf(totals, instant(0))).toEqual({
    at: 0,
    all: 104,
    failed: { gateway: 7, origin: 2, late: 2 },
    slow: { all: 66, failed: 6 },
  });
});

test("the gateway is slow when it adds over half a second to more than one of twenty requests in both windows", ({
  expect,
}) => {
  const at = (minutes: number, all: number, failed: number): AlertTotals => ({
    ...counted(minutes, 0, 0),
    slow: { all, failed },
  });
  const slowOf = (...history: readonly AlertTotals[]) =>
    valueOf(alertRules.gateway_slow, { counted: history, readings: [] }) ?? 0;
  const { threshold } = alertRules.gateway_slow;
  expect(slowOf(at(0, 0, 0), at(55, 900, 60), at(60, 1_000, 70))).toBeGreaterThan(threshold);
  expect(slowOf(at(0, 0, 0), at(55, 900, 60), at(60, 1_000, 65))).toBeLessThanOrEqual(threshold);
  expect(slowOf(at(0, 0, 0), at(55, 900, 10), at(60, 1_000, 50))).toBeLessThanOrEqual(threshold);
  expect(slowOf(at(0, 0, 0), at(55, 50, 0), at(60, 60, 10))).toBe(0); // a few slow requests do not count
  // totals of a version before the rule say nothing of waits: the window begins with the first that does
  expect(slowOf(counted(0, 0, 0), at(55, 90_000, 0), at(60, 90_100, 30))).toBeCloseTo(6);
  expect(valueOf(alertRules.gateway_slow, { counted: [counted(0, 9, 0)], readings: [] })).toBeUndefined();
});

test("an alert fires when its value has stayed over the threshold, and ends with the first value that is not", ({
  expect,
}) => {
  const rule = { threshold: 1, minutes: 2 };
  const values = [2, 2, 0, 2, 2, 2, undefined, 2, 1];
  const states: string[] = [];
  let standing: AlertStanding = { state: "quiet" };
  for (const [i, value] of values.entries()) {
    standing = stepAlert(rule, standing, value, instant(i * minute));
    states.push(standing.state);
  }
  expect(states).toEqual([
    "waiting",
    "waiting",
    "quiet",
    "waiting",
    "waiting",
    "firing",
    "firing", // a missing fact ends no alert
    "firing",
    "quiet",
  ]);
});

test("an alert about a state of logs ends when no log is in the state, and waits for a report", ({
  expect,
}) => {
  const report = (...states: readonly string[]) => ({
    counted: [],
    readings: states.map((state) => ({ gauge: "phylax_ledger_logs" as const, labels: [state], value: 2 })),
  });
  const looks = [report("silent", "good"), report(), report("refusing"), report("good"), report("silent")];
  expect(looks.map((facts) => valueOf(alertRules.ledger_stopped, facts))).toEqual([2, undefined, 2, 0, 2]);
});
