import { test } from "vitest";
import { differenceOf, notMeasured, ratioOf, targets, verdictOf, withEveryId } from "../../bench/measures.ts";
import { measureRow } from "../../bench/report.ts";
import { workerdConfig } from "../../bench/workerd/capnp.ts";

test("a value is the median of the rounds' own ratios, so that a slow round weighs no more than the rest", ({
  expect,
}) => {
  const pairs = [
    { a: 40, b: 10 },
    { a: 900, b: 300 },
    { a: 20, b: 10 },
  ];
  const found = ratioOf("cpu-2k-vs-bare", pairs);
  expect(found).toMatchObject({ value: 3, a: 40, b: 10, rounds: 3, values: [4, 3, 2] });
  expect(differenceOf("open-loop-p50-added-ms", [{ a: 5, b: 3 }]).value).toBe(2);
});

test("a verdict says what was met, missed, or not measured at all", ({ expect }) => {
  const verdict = (id: "cpu-2k-vs-floor" | "rps-2k-vs-stock" | "bundle-gz-kb", value: number) =>
    verdictOf(ratioOf(id, [{ a: value, b: 1 }]));
  expect(verdict("cpu-2k-vs-floor", 1.7)).toBe("goal");
  expect(verdict("cpu-2k-vs-floor", 2.6)).toBe("must");
  expect(verdict("cpu-2k-vs-floor", 2.7)).toBe("MISSED");
  expect(verdict("rps-2k-vs-stock", 0.39)).toBe("MISSED");
  expect(verdict("rps-2k-vs-stock", 0.9)).toBe("goal");
  const between = (...values: readonly number[]) =>
    verdictOf(
      ratioOf(
        "cpu-2k-vs-floor",
        values.map((a) => ({ a, b: 1 })),
      ),
    );
  expect(between(2.5, 2.7), "the bound lies in the interval").toBe("near must");
  expect([between(2.7, 2.8), between(1.6, 2.5), between(1.5, 1.6)]).toEqual(["MISSED", "must", "goal"]);
  const absent = notMeasured("verify-vs-sha256", "no log");
  expect(verdictOf(absent)).toBe("not measured");
  expect(measureRow(absent, null)).toContain("not measured");
  expect(() => ratioOf("cpu-2k-vs-bare", [{ a: 1, b: 0 }])).toThrow("no finite value");
  expect(() => ratioOf("cpu-2k-vs-bare", [])).toThrow("no finite value");
});

test("a run has every id of the benchmark once: an id that no group gave is not measured", ({ expect }) => {
  const found = ratioOf("cpu-2k-vs-bare", [{ a: 3, b: 1 }]);
  const all = withEveryId([found]);
  expect(all.map(({ id }) => id).toSorted()).toEqual(Object.keys(targets).toSorted());
  expect(all[0]).toBe(found);
  expect(new Set(all.slice(1).map(verdictOf))).toEqual(new Set(["not measured"]));
  expect(withEveryId(all)).toEqual(all);
});

test("a configuration of workerd keeps quotes and backslashes, and refuses what the language cannot say", ({
  expect,
}) => {
  const text = workerdConfig({
    name: 'a"b\\c',
    json: '{"k":"v"}',
    gone: undefined,
    list: [1, true, { x: "y" }],
  });
  expect(text).toContain('(name = "a\\"b\\\\c", json = "{\\"k\\":\\"v\\"}", list = [1,\ntrue,\n(x = "y")])');
  expect(workerdConfig({ path: String.raw`C:\u0041` })).toContain(String.raw`"C:\\u0041"`);
  expect(() => workerdConfig({ name: "a\u0001b" })).toThrow("control character");
});
