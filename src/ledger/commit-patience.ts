import { largest } from "#kernel/largest";

// From this rate on a log waits before a commit. A commit costs about 0.3 ms of CPU, however many appends it takes:
// with fewer appends a commit for each takes less than a sixth of the thread, and a wait only takes time. At 0.4 the
// pages of an open loop of 400 a second wait.
const appendsPerMillisecondMin = 0.5;
// A log waits from this many waiting appends on for the whole time: a crowd never comes whole.
const crowd = 8;
const waitMilliseconds = 2;
// Four callers can fall into two pairs that commit in turn: each pair is complete, and no commit has all four. So one
// commit in this many waits for the whole time, to find out if further appends come.
const probeCommits = 128;
// The rate and the most are those of about the last sixteen commits.
const lately = 16;
// A longer rest counts as this much, so that the rate of a busy second after it is seen within some commits.
const restMillisecondsMax = 20;

/**
 * How long a log waits before a commit. A commit costs nearly the same for one append as for many, and takes
 * all appends that wait. So company saves CPU, where appends come at a high rate: a fifth of the CPU of a read. A
 * few callers come together: the wait ends when as many appends wait as came lately, if these are fewer than a
 * crowd and the commit is no probe. At a lower rate no append waits, and the appends of a caller alone never do.
 * Ten milliseconds saved a further fifteenth, and added 18 ms to the median of 400 pages a second.
 */
export class CommitPatience {
  #meanAppends = 0;
  #meanMilliseconds = restMillisecondsMax; // from commit to commit
  #committedAt = -Infinity;
  readonly #last: number[] = []; // appends of the last commits
  #mostAppends = 1;
  #isCrowded = false;
  #commits = 0;

  /** @param waiting the number of appends that wait now. */
  milliseconds(waiting: number): number {
    const isBusy = this.#meanAppends >= appendsPerMillisecondMin * this.#meanMilliseconds;
    if (waiting === 0 || this.#mostAppends === 1 || !isBusy) return 0;
    return !this.#isCrowded && this.isComplete(waiting) ? 0 : waitMilliseconds;
  }

  /** True when as many appends wait as came lately, they are no crowd, and the commit is no probe. */
  isComplete(waiting: number): boolean {
    const isProbe = this.#commits % probeCommits === probeCommits - 1;
    return waiting > 1 && waiting < crowd && waiting >= this.#mostAppends && !isProbe;
  }

  /** @param at the time of the commit, in milliseconds. */
  committed(appends: number, at: number): void {
    this.#commits += 1;
    const milliseconds = Math.max(0, Math.min(at - this.#committedAt, restMillisecondsMax)); // clocks may be set back
    this.#committedAt = at;
    this.#meanAppends += (appends - this.#meanAppends) / lately;
    this.#meanMilliseconds += (milliseconds - this.#meanMilliseconds) / lately;
    this.#last.push(appends);
    if (this.#last.length > lately) this.#last.shift();
    this.#mostAppends = largest(this.#last);
    this.#isCrowded = appends >= crowd;
  }

  /** No append waits: the next commit begins a new run. */
  rested(): void {
    this.#isCrowded = false;
  }
}
