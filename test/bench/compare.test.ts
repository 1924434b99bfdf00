import { test } from "vitest";
import { compare, judge, limitOf, type Turn } from "../../bench/against/compare.ts";
import { estimate, median } from "../../bench/median.ts";

/** Numbers of a normal distribution, the same in every run. */
function normal(seed: number): () => number {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 1) / 4_294_967_297;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Turns of a machine whose speed drifts, with a noise of each slice, in which the new version costs `cost`. */
function turnsOf({ cost, noise, seed = 1 }: { cost: number; noise: number; seed?: number }): readonly Turn[] {
  const draw = normal(seed);
  return Array.from({ length: 40 }, (_, turn) => {
    const drift = 800 * (1 + 0.3 * Math.sin(turn / 5));
    const slice = () => drift * Math.exp(noise * draw());
    return { old: slice(), again: slice(), new: cost * slice() };
  });
}
const seeds = Array.from({ length: 25 }, (_, n) => n + 1);

test("a cost of 5 % is found above a spread of about 1 %, however the machine's speed drifts", ({
  expect,
}) => {
  for (const seed of seeds) {
    const found = compare("cpu 2k", "µs", turnsOf({ cost: 1.05, noise: 0.015, seed }));
    expect(found.spread).toBeLessThan(0.02);
    expect(limitOf(found)).toBe(1.03);
    expect(judge(found), `seed ${seed}: ${found.ratio}`).toBe("COSTS MORE");
  }
});

test("a cost of 5 % is not called above a spread of 6 %, and no cost is not called above any", ({
  expect,
}) => {
  const wide = compare("cpu 2k", "µs", turnsOf({ cost: 1.05, noise: 0.12 }));
  expect(wide.spread).toBeGreaterThan(0.05);
  expect(judge({ ratio: 1.05, spread: 0.06 })).toBe("same");
  expect(limitOf({ spread: 0.06 })).toBe(1.06);
  for (const noise of [0.01, 0.03, 0.1])
    expect(judge(compare("cpu 2k", "µs", turnsOf({ cost: 1, noise }))), `noise ${noise}`).toBe("same");
});

test("a saving above the limit is one, and 3 % either way is none", ({ expect }) => {
  expect(judge({ ratio: 0.9, spread: 0.01 })).toBe("saves");
  expect(judge({ ratio: 0.98, spread: 0.01 })).toBe("same");
  expect(judge({ ratio: 1.03, spread: 0 })).toBe("same");
  expect(judge({ ratio: 1.031, spread: 0 })).toBe("COSTS MORE");
});

test("the same process twice with a constant difference has that difference as its spread", ({ expect }) => {
  const turns = Array.from({ length: 10 }, () => ({ old: 100, again: 104, new: 103 }));
  expect(compare("append-1", "µs", turns).spread).toBeCloseTo(0.04);
  expect(judge(compare("append-1", "µs", turns))).toBe("same");
});

test("a comparison without a cost is an error, never a pass", ({ expect }) => {
  expect(() => compare("cpu 2k", "µs", [])).toThrow("no cost");
  expect(() => compare("cpu 2k", "µs", [{ old: 1, again: 1, new: 0 }])).toThrow("no cost");
  expect(() => compare("cpu 2k", "µs", [{ old: 1, again: Number.NaN, new: 1 }])).toThrow("no cost");
});

test("the estimate forgets a few wild slices, follows the rest, and has an interval that narrows", ({
  expect,
}) => {
  const draw = normal(7);
  const values = Array.from({ length: 20 }, () => 3 + 0.1 * draw());
  const { value, from, to } = estimate(values);
  expect(Math.abs(value - 3)).toBeLessThan(0.1);
  expect(from).toBeLessThan(value);
  expect(to).toBeGreaterThan(value);
  expect(to - from).toBeLessThan(0.15);
  const disturbed = estimate(values.map((each, n) => (n % 5 === 0 ? 10 * each : each)));
  expect(Math.abs(disturbed.value - 3)).toBeLessThan(0.2);
  // half of the slices have a collection in them: a median is one of the two, the estimate is between
  const halves = [...Array.from({ length: 11 }, () => 3), ...Array.from({ length: 9 }, () => 4)];
  expect(median(halves)).toBe(3);
  expect(estimate(halves).value).toBe(3.5);
});

test("of few values the interval is all of them", ({ expect }) => {
  expect(estimate([4, 3, 2])).toEqual({ value: 3, from: 2, to: 4 });
  expect(estimate([7])).toEqual({ value: 7, from: 7, to: 7 });
});
