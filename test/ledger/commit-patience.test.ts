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
  expect(after([2]).milliseconds(1)).toBe(2);
  expect(after(times(8, 2)).milliseconds(1)).toBe(2);
  expect(after(times(16, 4)).milliseconds(1)).toBe(2);
  expect(after(times(16, 4)).milliseconds(0)).toBe(0);
  expect(after([...times(16, 4), ...times(30, 1)]).milliseconds(1)).toBe(0);
});

test("a crowd waits two milliseconds, and so does the append after a crowd", ({ expect }) => {
  expect(after(times(16, 4)).milliseconds(8)).toBe(2);
  const crowded = after([8]);
  expect(crowded.milliseconds(1)).toBe(2);
  crowded.rested();
  expect(after([...times(40, 1)]).milliseconds(1)).toBe(0);
});
