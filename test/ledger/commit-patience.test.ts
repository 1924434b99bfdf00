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
  expect(after(times(8, 2)).milliseconds(1)).toBe(2);
  expect(after(times(16, 4)).milliseconds(1)).toBe(2);
  expect(after(times(16, 4)).milliseconds(0)).toBe(0);
  expect(after([...times(16, 4), ...times(30, 1)]).milliseconds(1)).toBe(0);
});

test("appends that meet by chance make no log wait", ({ expect }) => {
  expect(after([2]).milliseconds(1)).toBe(0);
  expect(after(times(20, 1).flatMap(() => times(6, 1).concat(2))).milliseconds(1)).toBe(0);
});

test("the wait of a few callers ends when as many appends wait as came lately", ({ expect }) => {
  const four = after(times(16, 4));
  expect([1, 2, 3].map((waiting) => four.isComplete(waiting))).toEqual([false, false, false]);
  expect(four.isComplete(4)).toBe(true);
  expect([1, 4, 5].map((waiting) => four.milliseconds(waiting))).toEqual([2, 0, 0]);
  // two of the four callers left: after some commits their appends are expected no longer
  for (let i = 0; i < 200; i++) four.committed(2);
  expect(four.isComplete(2)).toBe(true);
  expect(new CommitPatience().isComplete(1)).toBe(false);
});

test("a crowd is never complete: its log waits for the whole time", ({ expect }) => {
  const crowded = after(times(64, 12));
  for (let waiting = 1; waiting < 64; waiting++) {
    expect(crowded.isComplete(waiting)).toBe(false);
    expect(crowded.milliseconds(waiting)).toBe(2);
  }
  expect(after(times(64, 7)).isComplete(8)).toBe(false);
});

test("a crowd waits two milliseconds, and so does the append after a crowd", ({ expect }) => {
  expect(after(times(16, 4)).milliseconds(8)).toBe(2);
  const crowded = after([8]);
  expect(crowded.milliseconds(1)).toBe(2);
  crowded.rested();
  expect(after([...times(40, 1)]).milliseconds(1)).toBe(0);
});
