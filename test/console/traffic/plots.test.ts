import * as fc from "fast-check";
import { test } from "vitest";
import type { TrafficSpan } from "#audit/traffic/span";
import { htmlText } from "#console/answers";
import { Plots, RangePicker } from "#console/pages/plots";
import { drawingOf, type Plot, plotsFor, plotsOfClient } from "#console/traffic/plots";
import { lookAtClient } from "#console/traffic/report";
import { plotRange, rangeNames, spanUntil, timelineOf } from "#console/traffic/timeline";
import type { ConsolePorts } from "#console/ports";
import { instant } from "#kernel/clock";

const at = instant(Date.parse("2026-12-03T06:41:20Z"));
const unit = { minute: 60_000, hour: 3_600_000 };

test("each range ends with the bin of this moment, and its labels stand at round times", ({ expect }) => {
  const shape = (range: (typeof rangeNames)[number]) => {
    const { by, from, to } = spanUntil(at, range);
    const { bins } = timelineOf([], at, range);
    const ticks = bins.filter(({ isTick }) => isTick).map(({ from: tick }) => new Date(tick).toISOString());
    const text = (units: number) => new Date(units * unit[by]).toISOString().slice(0, 16);
    return [text(from), text(to + 1), bins.length, ticks.length, ticks[0]?.slice(0, 16)];
  };
  expect(rangeNames.map(shape)).toEqual([
    ["2026-12-03T05:42", "2026-12-03T06:42", 60, 6, "2026-12-03T05:50"],
    ["2026-12-02T06:45", "2026-12-03T06:45", 96, 6, "2026-12-02T08:00"],
    ["2026-11-26T08:00", "2026-12-03T08:00", 84, 7, "2026-11-27T00:00"],
    ["2026-11-03T12:00", "2026-12-03T12:00", 120, 6, "2026-11-08T00:00"],
  ]);
  expect([null, "", "year", "__proto__", "day"].map(plotRange)).toEqual([
    "hour",
    "hour",
    "hour",
    "hour",
    "day",
  ]);
});

const { from } = spanUntil(at, "hour");
const hourOf = (...minutes: readonly (readonly (readonly [string, number])[])[]) =>
  timelineOf(
    minutes.map((counts, i) => ({ at: from + i, counts: new Map(counts) })),
    at,
    "hour",
  );

const refusals: Plot = { draws: "stack", instrument: "phylax_refusals", labels: [0] };
const reasons = fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "other");
const minute = fc.uniqueArray(fc.tuple(reasons, fc.integer({ min: 1, max: 1e9 })), {
  selector: ([name]) => name,
});

test("no refusal is lost on the way to a plot, however many reasons there are", ({ expect }) => {
  fc.assert(
    fc.property(fc.array(minute, { maxLength: 60 }), (minutes) => {
      const sums = minutes.map((counts) => counts.reduce((sum, [, n]) => sum + n, 0));
      const timeline = hourOf(
        ...minutes.map((counts) => [
          ...counts.map(([name, n]) => [`phylax_refusals ${name}`, n] as const),
          ["phylax_requests read", 7] as const,
        ]),
      );
      const { lines, whole } = drawingOf(refusals, timeline, undefined);
      expect(whole).toBe(sums.reduce((sum, n) => sum + n, 0));
      expect(lines.reduce((sum, line) => sum + line.whole, 0)).toBe(whole);
      expect(lines.length).toBeLessThanOrEqual(6);
      for (const [i, sum] of sums.entries())
        expect(lines.reduce((total, { values }) => total + (values[i] ?? 0), 0)).toBe(sum);
      for (const line of lines)
        expect(line.values.reduce<number>((sum, n) => sum + (n ?? 0), 0)).toBe(line.whole);
    }),
  );
});

test("failed calls of origins are by origin and result, and an answer is no failure", ({ expect }) => {
  const calls: Plot = {
    draws: "stack",
    instrument: "phylax_origin_calls",
    labels: [0, 1],
    without: ["answered"],
  };
  const timeline = hourOf([
    ["phylax_origin_calls main answered", 9],
    ["phylax_origin_calls main timed_out", 2],
    ["phylax_origin_calls lab circuit_open", 3],
  ]);
  const { lines, whole } = drawingOf(calls, timeline, undefined);
  expect([whole, ...lines.map(({ name }) => name)]).toEqual([5, "lab circuit_open", "main timed_out"]);
});

test("a percentile is the limit of its bucket, a bin without a wait has none, and the sum is no bucket", ({
  expect,
}) => {
  const waits: Plot = { draws: "waits", instrument: "phylax_wait_seconds", wait: "origin" };
  const series = (part: string, n: number) => [`phylax_wait_seconds origin ${part}`, n] as const;
  const timeline = hourOf(
    [series("5", 94), series("200", 6), series("sum", 9_999), ["phylax_wait_seconds lease 5000", 900]],
    [],
    [series("above", 1)],
  );
  const { lines, whole } = drawingOf(waits, timeline, undefined);
  expect(lines.map(({ name, values, whole: all }) => [name, values.slice(0, 4), all])).toEqual([
    ["p50", [5, undefined, Infinity, undefined], 5],
    ["p95", [200, undefined, Infinity, undefined], 200],
  ]);
  expect(whole).toBe(101);
});

test("quota use adds up the bins of a long window, and a window shorter than a bin counts by its mean", ({
  expect,
}) => {
  const use: Plot = { draws: "quotas", instrument: "phylax_client_outcomes" };
  const of = (client: string, n: number) => [`phylax_client_outcomes ${client} TREAT disclosed`, n] as const;
  const quota = (client: string, requests: number, windowSeconds: number) => ({
    client,
    purpose: "TREAT",
    requests,
    windowSeconds,
  });
  const timeline = hourOf([of("a", 30), of("b", 30)], [of("a", 60)], [], [of("unknown", 5)]);
  const { lines } = drawingOf(use, timeline, [quota("a", 100, 120), quota("b", 10, 10), quota("idle", 1, 1)]);
  expect(lines.map(({ name, values, whole }) => [name, values.slice(0, 4), whole])).toEqual([
    ["a TREAT", [30, 90, 60, 0], 90],
    ["b TREAT", [50, 0, 0, 0], 50],
  ]);
});

const timeline = hourOf([
  ["phylax_requests search-type", 4],
  ["phylax_refusals quota_exhausted", 3],
  ["phylax_client_outcomes clinic TREAT disclosed", 4],
  ["phylax_of_another_version Okafor", 9],
]);
const ages = hourOf([["phylax_ledger_behind_seconds s0-2026h2", 1_234]]);
const shown = (maySeeClients: boolean, changes: object = {}) =>
  htmlText(Plots({ report: { at, timeline, ages, quotas: [], ...changes }, plots: plotsFor(maySeeClients) }));

test("each number stands beside its plot, and a table has each value for screen readers and the keyboard", ({
  expect,
}) => {
  const page = shown(true);
  expect(page).toMatch(/<h3>Requests<\/h3><p><strong>4<\/strong>/u);
  expect(page).toMatch(/<h3>Refusals<\/h3><p><strong>3<\/strong>/u);
  expect(page).toContain("<summary>Numbers: Refusals</summary>");
  const address = "/console/why#20261203T0542Z-20261203T0543Z";
  expect(page.split(`<a href="${address}"`).length - 1, "the bar and the row of its table").toBe(2);
  expect(page, "the keyboard goes to the table alone").toContain(`<a href="${address}" tabindex="-1">`);
  expect(page).not.toContain("style=");
  expect(page).not.toContain("Okafor");
});

test("clients show to readers of the registry alone", ({ expect }) => {
  expect(shown(true)).toContain("clinic");
  expect(shown(false)).not.toContain("clinic");
  const known = plotsFor(true).map(([name]) => name);
  expect(known).toEqual(expect.arrayContaining(["requests", "refusals", "clients", "quotas"]));
  expect(shown(true, { quotas: undefined })).toContain("None in this range.");
});

test("a book that does not answer is named while the ages show, and so the other way round", ({ expect }) => {
  const withoutBook = shown(true, { timeline: undefined });
  expect(withoutBook).toContain("Traffic: does not answer");
  expect(withoutBook).toContain("<strong>1\u202F234\u00A0s</strong>");
  expect(withoutBook).not.toContain("<h3>Requests</h3>");
  const withoutWatch = shown(true, { ages: undefined });
  expect(withoutWatch).toContain("Ages: does not answer");
  expect(withoutWatch).not.toContain("<h3>Age of");
  expect(withoutWatch).toContain("<h3>Requests</h3>");
});

test("the six worst ages are lines, the worst first, and a time without a look breaks a line", ({
  expect,
}) => {
  const plot: Plot = { draws: "ages", gauge: "phylax_ledger_behind_seconds" };
  const of = (log: number, seconds: number) => [`phylax_ledger_behind_seconds s${log}`, seconds] as const;
  const logs = Array.from({ length: 9 }, (_, i) => of(i, i));
  const found = hourOf([...logs, ["phylax_part_age_seconds revocations", 900]], [], [of(8, 0), of(0, 70)]);
  const { lines, whole } = drawingOf(plot, found, undefined);
  expect(lines.map(({ name }) => name)).toEqual(["s0", "s8", "s7", "s6", "s5", "s4"]);
  expect(lines[1]?.values.slice(0, 4)).toEqual([8, undefined, 0, undefined]);
  expect(whole).toBe(70);
});

test("the picker says which range is chosen", ({ expect }) => {
  const picker = htmlText(RangePicker({ page: "/console", range: "week" }));
  expect(picker.match(/href="\/console\?range=\w+"/gu)).toHaveLength(4);
  expect(picker).toContain('<a href="/console?range=week" aria-current="true">');
});

test("a client's page counts its own series, and its last use is the minute of its last end", async ({
  expect,
}) => {
  const asked: TrafficSpan[] = [];
  const of = (client: string, n: number) => [`phylax_client_outcomes ${client} TREAT refused`, n] as const;
  const ports = (month: number) => ({
    admin: { clock: () => at } as ConsolePorts["admin"],
    traffic: async (span: TrafficSpan) => {
      asked.push(span);
      if (span.by === "hour") return [{ at: month, counts: new Map([of("a", 3)]) }];
      return [
        { at: span.from, counts: new Map([of("a", 1), of("a.b", 9), of("b", 5)]) },
        { at: span.from + 7, counts: new Map([of("a", 2)]) },
        { at: span.from + 8, counts: new Map([of("b", 2)]) },
      ];
    },
  });
  const month = spanUntil(at, "month").from + 6;
  const { timeline: own, lastUse } = await lookAtClient(ports(month), "a", "hour");
  const plot = plotsOfClient[0]?.[1];
  if (plot === undefined || own === undefined) throw new Error("no plot");
  expect(drawingOf(plot, own, []).lines.map(({ name, whole }) => [name, whole])).toEqual([["refused", 3]]);
  expect(lastUse).toBe((month * 60 + 7) * 60_000);
  expect(asked.at(-1)).toEqual({ by: "minute", step: 1, from: month * 60, to: month * 60 + 359 });
  expect((await lookAtClient(ports(month), "c", "hour")).lastUse, "no use").toBe(null);
  const down = { ...ports(month), traffic: () => Promise.reject(new Error("down")) };
  expect(await lookAtClient(down, "a", "hour")).toEqual({
    range: "hour",
    timeline: undefined,
    lastUse: undefined,
  });
});
