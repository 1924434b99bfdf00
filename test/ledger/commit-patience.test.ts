import { test } from "vitest";
import { CommitPatience } from "#ledger/commit-patience";

const after = (commits: readonly number[]) => {
  const patience = new CommitPatience();
  for (const appends of commits) patience.committed(appends);
  return patience;
};
const times = (many: number, appends: number) => Array.from({ length: many }, () => appends);

test("a caller alone never waits", ({ expect }) => {
  expect(new CommitPatience().milliseconds(1)).toBe(0);
  expect(after(times(1_000, 1)).milliseconds(1)).toBe(0);
});

test("company makes a log wait, and the wait ends without it", ({ expect }) => {
  expect(after([2]).milliseconds(1)).toBe(0);
  expect(after([2, 2, 2]).milliseconds(1)).toBe(2);
  expect(after(times(8, 2)).milliseconds(1)).toBe(2);
  expect(after(times(16, 4)).milliseconds(1)).toBe(2);
  expect(after(times(16, 4)).milliseconds(0)).toBe(0);
  expect(after([...times(16, 4), ...times(30, 1)]).milliseconds(1)).toBe(0);
});

test("a log waits for as many appends as came lately, and no longer", ({ expect }) => {
  const four = after(times(16, 4));
  expect(four.milliseconds(3)).toBe(2);
  expect([four.isComplete(3), four.isComplete(4)]).toEqual([false, true]);
  expect(four.milliseconds(4)).toBe(0);
  const fewer = after([...times(16, 4), ...times(400, 2)]); // the most of long ago is forgotten
  expect([fewer.isComplete(1), fewer.isComplete(2)]).toEqual([false, true]);
});

test("a crowd waits two milliseconds, and so does the append after a crowd", ({ expect }) => {
  expect(after(times(16, 4)).milliseconds(3)).toBe(2);
  const crowded = after([8]);
  expect(crowded.milliseconds(1)).toBe(2);
  crowded.rested();
  expect(after([...times(40, 1)]).milliseconds(1)).toBe(0);
});
