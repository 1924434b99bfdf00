import { test } from "vitest";
import { CommitPatience } from "#ledger/commit-patience";

/** A log after commits of so many appends, each a number of milliseconds after the one before. */
function after(commits: readonly number[], milliseconds = 2) {
  const patience = new CommitPatience();
  for (const [i, appends] of commits.entries()) patience.committed(appends, i * milliseconds);
  return { patience, ended: (commits.length - 1) * milliseconds };
}
const times = (many: number, appends: number) => Array.from({ length: many }, () => appends);

test("a log that begins does not wait, and neither does a log without appends", ({ expect }) => {
  expect(new CommitPatience().milliseconds(1)).toBe(0);
  expect(after(times(64, 8)).patience.milliseconds(0)).toBe(0);
});

test("a caller alone never waits, however fast its appends come", ({ expect }) => {
  expect(after(times(1_000, 1), 0).patience.milliseconds(1)).toBe(0);
  expect(after(times(1_000, 1), 1).patience.milliseconds(1)).toBe(0);
});

test("a log waits for company when appends come at half an append for each millisecond", ({ expect }) => {
  const someMeet = times(64, 1).map((one, i) => one + (i % 10 === 0 ? 1 : 0));
  expect(after(someMeet, 1).patience.milliseconds(1)).toBe(2);
  expect(after(times(64, 4), 4).patience.milliseconds(1)).toBe(2);
  expect(after(someMeet, 3).patience.milliseconds(1)).toBe(0);
  expect(after(times(64, 4), 10).patience.milliseconds(1)).toBe(0);
});

test("pages of 400 a second do not wait for each other, even if some meet", ({ expect }) => {
  const pages = times(100, 1).map((one, i) => one + (i % 10 === 0 ? 1 : 0));
  expect(after(pages, 2.75).patience.milliseconds(1)).toBe(0);
});

test("after a crowd a caller alone stops waiting within some requests", ({ expect }) => {
  const { patience, ended } = after(times(64, 16), 5);
  patience.rested();
  expect(patience.milliseconds(1)).toBeGreaterThan(0);
  const waited = times(50, 1).filter((one, i) => {
    const waits = patience.milliseconds(1) > 0;
    patience.committed(one, ended + (i + 1) * 20); // fifty a second
    return waits;
  });
  expect(waited.length).toBeLessThan(16);
  expect(patience.milliseconds(1)).toBe(0);
});

test("after a day without appends a busy second is noticed within some commits", ({ expect }) => {
  const { patience, ended } = after(times(16, 1));
  for (let i = 0; i < 40; i++) patience.committed(4, ended + 86_400_000 + i * 4);
  expect(patience.milliseconds(1)).toBe(2);
});

test("a clock that is set back makes no log wait for longer", ({ expect }) => {
  const { patience } = after(times(64, 1), 20);
  patience.committed(1, -86_400_000);
  expect(patience.milliseconds(1)).toBe(0);
});

test("the wait of a few callers ends when as many appends wait as came lately", ({ expect }) => {
  const { patience: four, ended } = after(times(64, 4), 3);
  expect([1, 2, 3].map((waiting) => four.isComplete(waiting))).toEqual([false, false, false]);
  expect(four.isComplete(4)).toBe(true);
  expect([1, 4, 5].map((waiting) => four.milliseconds(waiting))).toEqual([2, 0, 0]);
  // two of the four callers left: after some commits their appends are expected no longer
  for (let i = 0; i < 16; i++) four.committed(2, ended + i * 3);
  expect(four.isComplete(2)).toBe(true);
  expect(new CommitPatience().isComplete(1)).toBe(false);
});

test("one commit in 128 waits for the whole time, so that two pairs of callers find each other", ({
  expect,
}) => {
  const { patience, ended } = after(times(64, 2));
  const waits = times(512, 2).map((pair, i) => {
    const milliseconds = patience.milliseconds(pair);
    expect(patience.isComplete(pair)).toBe(milliseconds === 0);
    patience.committed(pair, ended + (i + 1) * 2);
    return milliseconds;
  });
  expect(waits.filter((milliseconds) => milliseconds > 0)).toEqual([2, 2, 2, 2]);
  // a commit that found all four callers is expected from then on
  patience.committed(4, ended + 2_000);
  expect(patience.isComplete(2)).toBe(false);
  expect(patience.isComplete(4)).toBe(true);
});

test("a crowd is never complete: its log waits two milliseconds", ({ expect }) => {
  const { patience: crowded } = after(times(64, 12), 5);
  for (let waiting = 1; waiting < 64; waiting++) {
    expect(crowded.isComplete(waiting)).toBe(false);
    expect(crowded.milliseconds(waiting)).toBe(2);
  }
  expect(after(times(64, 7)).patience.isComplete(8)).toBe(false);
  expect(after(times(64, 4), 3).patience.milliseconds(8)).toBe(2);
});
