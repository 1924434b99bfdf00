import { CommitPatience } from "#ledger/commit-patience";
import { randomFrom } from "./random.ts";

/** Appends in a commit; a test compares the number with the ledger's source. */
export const appendsMax = 254;

export interface GroupCommit {
  readonly appendsPerCommit: number;
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
}

/**
 * The queue of a log under random appends (Poisson) and a fixed duration of each commit. One commit runs at a
 * time and takes all waiting appends, after the patience of the ledger's writer. `appendMilliseconds`: CPU of
 * each append; one thread does all appends.
 */
export function simulateCommits(
  perSecond: number,
  commitMilliseconds: number,
  appendMilliseconds: number,
  appends = 20_000,
): GroupCommit {
  const random = randomFrom(perSecond + commitMilliseconds * 1_000);
  const came: number[] = [];
  for (let at = 0; came.length < appends;) came.push((at += (-Math.log(1 - random()) / perSecond) * 1_000));
  const took: number[] = [];
  const patience = new CommitPatience();
  let [now, commits] = [0, 0];
  for (let first = 0; first < came.length;) {
    const waiting = (): number => countUpTo(came, first, now);
    if (waiting() === 0) {
      patience.rested(); // the writer slept
      now = came[first] ?? now;
    }
    now = endOfWait(came, first, now, patience);
    const appended = Math.min(waiting(), appendsMax);
    now += commitMilliseconds + appended * appendMilliseconds;
    patience.committed(appended, now);
    for (let i = first; i < first + appended; i++) took.push(now - (came[i] ?? now));
    first += appended;
    commits += 1;
  }
  const sorted = Float64Array.from(took).sort();
  const quantile = (q: number) => sorted[Math.floor(sorted.length * q)] ?? Number.NaN;
  return {
    appendsPerCommit: came.length / commits,
    p50Milliseconds: quantile(0.5),
    p99Milliseconds: quantile(0.99),
  };
}

/** The time at which the log's patience ends: the appends that it expects may come before. */
function endOfWait(came: readonly number[], first: number, now: number, patience: CommitPatience): number {
  const ends = now + patience.milliseconds(countUpTo(came, first, now));
  let waiting = countUpTo(came, first, now);
  for (let at = came[first + waiting]; at !== undefined && at < ends; at = came[first + waiting]) {
    waiting += 1;
    if (patience.isComplete(waiting)) return at;
  }
  return ends;
}

/** The number of arrivals until then, from the `first` on. */
function countUpTo(came: readonly number[], first: number, now: number): number {
  let after = first;
  while (after < came.length && (came[after] ?? now) <= now) after++;
  return after - first;
}
