import { instant, type Clock, type Instant } from "#kernel/clock";

/** What somebody else's server said, and how long that is believed. */
export interface Fetched<T> {
  readonly value: T;
  /** From then on it is asked for again. */
  readonly freshUntil: Instant;
  /** From then on it is worth nothing, whether or not that server answers. */
  readonly goodUntil: Instant;
}

/** What a place gives to those who fetch in it. */
export interface FetchingPlace {
  readonly clock: Clock;
  /** Resolves after so many milliseconds. */
  readonly wait: (milliseconds: number) => Promise<unknown>;
  /** Lets a fetch outlive the request that began it. */
  readonly keepAlive: (work: Promise<unknown>) => void;
}

export interface FetchedCopiesOptions extends FetchingPlace {
  /** Between two times that one thing is asked for, whatever became of the first. */
  readonly intervalMilliseconds: number;
  /** How long a request that has nothing to go on looks out for what another one is fetching: as long as that may take. */
  readonly patienceMilliseconds: number;
}

interface Entry<T> {
  known: Fetched<T> | undefined;
  claimed: Instant;
  /** Whether what was claimed last has come to an end. A cancelled request ends nothing: hence the patience. */
  settled: boolean;
}

const lookMilliseconds = 20;

/**
 * One isolate's copies of what other servers said. Settled plain data: no request awaits another's fetch (DESIGN §4). The time of a fetch
 * is claimed before it, so that a flood costs one per interval; who has nothing to go on meanwhile looks again by a timer of its own.
 * Keys come from the registry alone, which bounds them.
 */
export class FetchedCopies<T> {
  readonly #options: FetchedCopiesOptions;
  readonly #entries = new Map<string, Entry<T>>();

  constructor(options: FetchedCopiesOptions) {
    this.#options = options;
  }

  /** Throws what `load` throws when nothing good is known, and when it was asked for in vain just now. `anew`: what is known is not enough. */
  async get(key: string, load: (at: Instant) => Promise<Fetched<T>>, anew = false): Promise<T> {
    const { clock, intervalMilliseconds } = this.#options;
    const entry = this.#entryOf(key);
    const at = clock();
    const before = entry.known;
    if (before !== undefined && at < before.freshUntil && !anew) return before.value;
    if (at - entry.claimed >= intervalMilliseconds) await this.#fetch(entry, load, at);
    else if (!entry.settled && (anew || !isGood(before, at))) {
      await this.#lookOut(entry);
      // Whoever claimed it was cut off: a caller that hangs up at once must not leave all others with nothing for an interval.
      const then = clock();
      const isDead = !entry.settled && then - entry.claimed >= this.#options.patienceMilliseconds;
      if (isDead && !isGood(entry.known, then)) await this.#fetch(entry, load, then);
    }
    if (!isGood(entry.known, clock())) throw new Error("another server was asked in vain just now");
    return entry.known.value;
  }

  #entryOf(key: string): Entry<T> {
    const entry = this.#entries.get(key) ?? {
      known: undefined,
      claimed: instant(Number.NEGATIVE_INFINITY),
      settled: true,
    };
    this.#entries.set(key, entry);
    return entry;
  }

  async #fetch(entry: Entry<T>, load: (at: Instant) => Promise<Fetched<T>>, at: Instant): Promise<void> {
    entry.claimed = at;
    entry.settled = false;
    const fetching = (async () => {
      try {
        entry.known = await load(at);
      } finally {
        if (entry.claimed === at) entry.settled = true;
      }
    })();
    // Whoever hangs up at once, again and again, would otherwise keep a new key unknown, and one that was taken back good.
    this.#options.keepAlive(fetching.catch(() => {}));
    try {
      await fetching;
    } catch (fault) {
      if (!isGood(entry.known, this.#options.clock())) throw fault;
    }
  }

  async #lookOut(entry: Entry<T>): Promise<void> {
    const { clock, wait, patienceMilliseconds } = this.#options;
    const until = entry.claimed + patienceMilliseconds;
    while (!entry.settled && clock() < until) await wait(lookMilliseconds);
  }
}

const isGood = <T>(known: Fetched<T> | undefined, at: Instant): known is Fetched<T> =>
  known !== undefined && at < known.goodUntil;
