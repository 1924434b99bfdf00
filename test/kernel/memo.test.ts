import { test } from "vitest";
import { memo } from "#kernel/memo";

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
