import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { addWithin, KnownSeries, trafficMax } from "#audit/traffic/bounds";
import { metricsText } from "#audit/traffic/exposition";
import { instrumentOf, instruments, isInstrument, readSeries } from "#audit/traffic/instruments";
import { waitParts, waits } from "#audit/traffic/isolate-labels";
import { histogramOf, waitQuantile } from "#audit/traffic/times";

const names = Object.keys(instruments).filter(isInstrument);

test("each instrument has a unit, a reason, at most three labels, and says if it is exact", ({ expect }) => {
  for (const name of names) {
    const { labels, unit, why, help, isExact } = instrumentOf(name);
    expect(labels.length, name).toBeLessThanOrEqual(3);
    for (const text of [unit, why, help]) expect(text, name).not.toBe("");
    const how = isExact ? "(exact, from records)." : "(counted in isolates, may lose the last seconds).";
    const head = metricsText(new Map(), "prometheus")
      .split("\n")
      .find((line) => line.startsWith(`# HELP ${name}`));
    expect(head?.endsWith(how), name).toBe(true);
  }
});

test("docs/metrics.md has a row for each instrument, with its labels, its unit and its question", ({
  expect,
}) => {
  const page = readFileSync(join(import.meta.dirname, "../../../docs/metrics.md"), "utf8");
  for (const name of names) {
    const { type, labels, unit, why, isExact } = instrumentOf(name);
    const shown = `${name}${type === "counter" ? "_total" : ""}`;
    const row = [
      `\`${shown}\``,
      labels.map((label) => `\`${label}\``).join(", ") || "none",
      unit,
      why,
      isExact ? "yes" : "no",
    ];
    expect(page).toContain(`| ${row.join(" | ")} |`);
  }
});

test("a series of a closed list has room in a flood, and a minute has 300 series with the rest", ({
  expect,
}) => {
  const known = new KnownSeries([]);
  const minute = new Map<string, number>();
  const add = (series: string) => addWithin(minute, known.place(series) ?? "", 1, trafficMax.minute);
  for (let i = 0; i < 5_000; i++) {
    add(`phylax_client_outcomes c${i} TREAT o${i}`);
    add(`phylax_refusals r${i}`);
    add(`phylax_outcomes i${i} refused`);
    add(`phylax_requests i${i}`);
    add(`phylax_origin_calls o${i} answered`);
  }
  const times = waits.flatMap((wait) => waitParts.map((part) => `phylax_wait_seconds ${wait} ${part}`));
  for (const series of times) add(series);
  expect(minute.size).toBeLessThanOrEqual(300);
  expect(times.every((series) => minute.get(series) === 1)).toBe(true);
  expect([...minute.values()].reduce((sum, n) => sum + n, 0)).toBe(25_000 + times.length);
});

test("a label outside of its closed list makes no series", ({ expect }) => {
  expect(readSeries("phylax_wait_seconds origin 50")).toBeDefined();
  for (const series of [
    "phylax_wait_seconds Okafor 50",
    "phylax_wait_seconds origin 51",
    "phylax_wait_seconds origin",
    "phylax_flood_refusals Okafor",
    'phylax_refusals a"b',
    "phylax_refusals ",
    "phylax_patients x",
  ])
    expect(readSeries(series), series).toBeUndefined();
});

test("buckets add up, and a quantile lies in the bucket of its time", ({ expect }) => {
  const head = "phylax_wait_seconds origin";
  const numbers = new Map([
    [`${head} 10`, 90],
    [`${head} 100`, 9],
    [`${head} above`, 1],
    [`${head} sum`, 1_500],
  ]);
  const { buckets, seconds } = histogramOf(head, numbers);
  expect(buckets.map(({ upTo }) => upTo)).toEqual([0, 0, 90, 90, 90, 99, 99, 99, 99, 99, 99, 99, 100]);
  expect(seconds).toBe(1.5);
  expect(waitQuantile(numbers, "origin", 0.5)).toBeCloseTo(5 + (5 * 50) / 90);
  expect(waitQuantile(numbers, "origin", 0.95)).toBeCloseTo(50 + (50 * 5) / 9);
  expect(waitQuantile(numbers, "origin", 1)).toBe(10_000);
  expect(waitQuantile(numbers, "append", 0.5)).toBeUndefined();
  const lines = metricsText(numbers, "prometheus").split("\n");
  expect(lines).toContain('phylax_wait_seconds_bucket{wait="origin",le="0.1"} 99');
  expect(lines).toContain('phylax_wait_seconds_bucket{wait="origin",le="+Inf"} 100');
  expect(lines).toContain('phylax_wait_seconds_sum{wait="origin"} 1.5');
  expect(lines).toContain('phylax_wait_seconds_count{wait="origin"} 100');
});
