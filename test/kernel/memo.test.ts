import { test } from "vitest";
import { memo } from "#kernel/memo";

test("what is memo is made once, and only the newest of it is kept", ({ expect }) => {
  const made: string[] = [];
  const lengthOf = memo(2, (text) => made.push(text) && text.length);
  expect(["a", "bb", "a", "bb"].map(lengthOf)).toEqual([1, 2, 1, 2]);
  expect(made).toEqual(["a", "bb"]);
  expect(["ccc", "a", "ccc"].map(lengthOf)).toEqual([3, 1, 3]);
  expect(made).toEqual(["a", "bb", "ccc", "a"]);
});

test("an answer that was thrown is no answer", ({ expect }) => {
  let times = 0;
  const failing = memo(2, () => {
    times += 1;
    throw new Error("none");
  });
  for (const _ of [1, 2]) expect(() => failing("x")).toThrow("none");
  expect(times).toBe(2);
});
