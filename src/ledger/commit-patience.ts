// From this many waiting appends on, two milliseconds are enough.
const crowd = 8;
const crowdWaitMilliseconds = 2;
// The mean follows about the last eight commits.
const meanWeight = 1 / 8;

/**
 * How long a log waits before a commit. A commit costs nearly the same for one append as for many, and takes
 * all appends that wait. Where the last commits had company, more is expected, and a wait up to ten
 * milliseconds brings it. A caller alone never waits, and waits that bring no further append end by themselves:
 * at 12 appends a second, ten milliseconds bring an eighth of an append.
 */
export class CommitPatience {
  #meanAppends = 1;
  #lastAppends = 0;

  /** @param waiting the number of appends that wait now. */
  milliseconds(waiting: number): number {
    if (waiting >= crowd || this.#lastAppends >= crowd) return crowdWaitMilliseconds;
    return waiting === 0 ? 0 : patienceFor(this.#meanAppends);
  }

  committed(appends: number): void {
    this.#meanAppends += (appends - this.#meanAppends) * meanWeight;
    this.#lastAppends = appends;
  }

  /** No append waits: the next commit begins a new run. */
  rested(): void {
    this.#lastAppends = 0;
  }
}

const patienceFor = (meanAppends: number): number =>
  meanAppends < 1.1 ? 0 : meanAppends < 1.3 ? 2 : meanAppends < 2 ? 5 : 10;
