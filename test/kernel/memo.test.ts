import * as fc from "fast-check";
import { test } from "vitest";
import { memo, Newest, OfObjects } from "#kernel/memo";

test("a memoized answer is computed once, and only the newest answers are kept", ({ expect }) => {
  const made: string[] = [];
  const lengthOf = memo(2, (text) => made.push(text) && text.length);
  expect(["a", "bb", "a", "bb"].map(lengthOf)).toEqual([1, 2, 1, 2]);
  expect(made).toEqual(["a", "bb"]);
  expect(["ccc", "a", "ccc"].map(lengthOf)).toEqual([3, 1, 3]);
  expect(made).toEqual(["a", "bb", "ccc", "a"]);
});

test("an exception is not memoized", ({ expect }) => {
  let times = 0;
  const failing = memo(2, () => {
    times += 1;
    throw new Error("none");
  });
  for (const _ of [1, 2]) expect(() => failing("x")).toThrow("none");
  expect(times).toBe(2);
});

test("a cache holds its newest entries up to their number and their weight, whatever is set, replaced and deleted", ({
  expect,
}) => {
  const [entries, weightMax] = [4, 10];
  const key = fc.constantFrom("a", "b", "c", "d", "e", "f");
  const step = fc.oneof(
    fc.record({ do: fc.constant("set" as const), key, weight: fc.nat(12) }),
    fc.record({ do: fc.constant("delete" as const), key }),
    fc.record({ do: fc.constant("clear" as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const cache = new Newest<number>(entries, weightMax, (weight) => weight);
      let twin: (readonly [key: string, weight: number])[] = [];
      for (const each of steps) {
        if (each.do !== "clear") twin = twin.filter(([known]) => known !== each.key);
        if (each.do === "clear") {
          cache.clear();
          twin = [];
        } else if (each.do === "delete") cache.delete(each.key);
        else {
          cache.set(each.key, each.weight);
          if (each.weight <= weightMax) twin.push([each.key, each.weight]);
          while (twin.length > entries || twin.reduce((sum, [, weight]) => sum + weight, 0) > weightMax)
            twin.shift();
        }
        expect([...cache]).toEqual(twin);
      }
    }),
  );
});

test("values by object and text are found by both", ({ expect }) => {
  const [one, other] = [{}, {}];
  const values = new OfObjects<number>(6);
  values.set(one, "a", 1);
  values.set(one, "b", 2);
  values.set(other, "a", 3);
  expect([values.get(one, "a"), values.get(one, "b"), values.get(other, "a")]).toEqual([1, 2, 3]);
  expect([values.get(other, "b"), values.get({}, "a")]).toEqual([undefined, undefined]);
});

test("however many values one client has made, a value in use stays and the weight of all is bounded", ({
  expect,
}) => {
  const [used, flooded] = [{}, {}];
  const values = new OfObjects<number>(8, (value) => 1 + (value % 3));
  values.set(used, "a", 1);
  for (let text = 0; text < 100; text += 1) {
    values.set(flooded, String(text), text);
    expect(values.get(used, "a")).toBe(1);
  }
  const left = Array.from({ length: 100 }, (_, text) => values.get(flooded, String(text)));
  expect(left.filter((value) => value !== undefined).length).toBeLessThanOrEqual(8);
});
