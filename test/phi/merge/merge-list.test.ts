import * as fc from "fast-check";
import { test } from "vitest";
import { matchItems, weave, type Likeness, type Placed } from "#phi/merge/merge-list";

/**
 * The plain definition: each kept item follows the nearest stored item before it that is still present. It
 * examines every index on the way.
 */
function twin<T>(placed: readonly Placed<T>[], kept: ReadonlyMap<number, T>): readonly T[] {
  const behind = (at: number | undefined) =>
    [...kept]
      .filter(([index]) => {
        let before = index - 1;
        while (before >= 0 && !placed.some((one) => one.index === before)) before -= 1;
        return before === at;
      })
      .toSorted(([a], [b]) => a - b)
      .map(([, item]) => item);
  return [
    ...behind(-1),
    ...placed.flatMap(({ value, index }) => [value, ...(index === undefined ? [] : behind(index))]),
  ];
}

test("the retained items of a list stay in the places of the plain definition", ({ expect }) => {
  const indices = fc.uniqueArray(fc.nat({ max: 30 }), { maxLength: 20 });
  fc.assert(
    fc.property(
      indices,
      fc.nat({ max: 20 }),
      fc.array(fc.nat({ max: 20 }), { maxLength: 5 }),
      (all, cut, created) => {
        const [standing, left] = [all.slice(0, cut), all.slice(cut)];
        const placed: Placed<string>[] = standing.map((index) => ({ value: `said ${index}`, index }));
        for (const at of created) placed.splice(at, 0, { value: "new", index: undefined });
        const kept = new Map(left.map((index) => [index, `kept ${index}`]));
        expect(weave(placed, kept)).toEqual(twin(placed, kept));
      },
    ),
    { numRuns: 3_000 },
  );
});

/** A map that counts the reads of its keys: it shows how often a list is walked. */
class Counted<V> extends Map<number, V> {
  reads = 0;
  override get(key: number): V | undefined {
    this.reads += 1;
    return super.get(key);
  }
  override has(key: number): boolean {
    this.reads += 1;
    return super.has(key);
  }
}

test("a hundred thousand retained items in a row are each placed once", ({ expect }) => {
  const kept = new Counted(Array.from({ length: 100_000 }, (_, index) => [index + 1, index + 1] as const));
  let reads = 0;
  const placed: Placed<number>[] = [
    {
      value: 0,
      get index() {
        reads += 1;
        return 0;
      },
    },
  ];
  const woven = weave(placed, kept);
  expect([woven.length, woven[0], woven[100_000]]).toEqual([100_001, 0, 100_000]);
  expect(reads).toBeLessThanOrEqual(3);
  expect(kept.reads).toBe(0);
});

test("items that are all alike are matched in their order, each looked at once", ({ expect }) => {
  const alike = Array.from({ length: 50_000 }, (_, index) => index);
  let looks = 0;
  const likeness: Likeness<number> = {
    ofSubmitted: () => {
      looks += 1;
      return "alike";
    },
    ofStored: () => {
      looks += 1;
      return "alike";
    },
  };
  const placed = matchItems(alike, alike, [likeness]);
  expect(placed.every(({ value, index }) => value === index)).toBe(true);
  expect(looks).toBe(100_000);
});
