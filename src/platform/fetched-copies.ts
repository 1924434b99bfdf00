import { ageAt, instant, type Clock, type Instant } from "#kernel/clock";

/** A value fetched from an external server, and how long it may be used. */
export interface Fetched<T> {
  readonly value: T;
  /** After this time it is fetched again. */
  readonly freshUntil: Instant;
  /** After this time it must not be used, even if the server does not answer. */
  readonly goodUntil: Instant;
}

/** The parts of the runtime that a fetch needs. */
export interface FetchingPlace {
  readonly clock: Clock;
  /** Resolves after so many milliseconds. */
  readonly wait: (milliseconds: number) => Promise<unknown>;
  /** Lets a fetch run longer than the request that began it. */
  readonly keepAlive: (work: Promise<unknown>) => void;
}

export interface FetchedCopiesOptions extends FetchingPlace {
  /** The least time between two fetches of the same key, whatever the result of the first. */
  readonly intervalMilliseconds: number;
  /**
   * How long a request without a usable copy waits for another request's fetch: the longest time that a
   * fetch may take.
   */
  readonly patienceMilliseconds: number;
}

interface Entry<T> {
  known: (Fetched<T> & { readonly fetched: Instant }) | undefined;
  claimed: Instant;
  /**
   * True when the last claimed fetch has ended. A cancelled request never ends its fetch, hence the
   * patience.
   */
  settled: boolean;
}

const lookMilliseconds = 20;

/**
 * An isolate's copies of values from external servers. They are settled plain data: no request awaits
 * another request's fetch, because the runtime forbids it. The time of a fetch is claimed before it, so that
 * a flood causes one fetch in each interval. A request without a usable copy meanwhile looks again by its
 * own timer. Keys come from the registry alone, which bounds their number.
 */
export class FetchedCopies<T> {
  readonly #options: FetchedCopiesOptions;
  readonly #entries = new Map<string, Entry<T>>();

  constructor(options: FetchedCopiesOptions) {
    this.#options = options;
  }

  /**
   * Throws the error of `load` when no good copy is known, and when a fetch failed just now. `anew`: the
   * known copy is not enough.
   */
  async get(key: string, load: (at: Instant) => Promise<Fetched<T>>, anew = false): Promise<T> {
    const { clock, intervalMilliseconds } = this.#options;
    const entry = this.#entryOf(key);
    const at = clock();
    const before = entry.known;
    if (isGood(before, at) && at < before.freshUntil && !anew) return before.value;
    if (ageAt(entry.claimed, at) >= intervalMilliseconds) await this.#fetch(entry, load, at);
    else if (!entry.settled && (anew || !isGood(before, at))) {
      await this.#lookOut(entry);
      // The claiming request was cut off. A caller that disconnects at once must not leave all other
      // requests without a value for an interval.
      const then = clock();
      const isDead = !entry.settled && ageAt(entry.claimed, then) >= this.#options.patienceMilliseconds;
      if (isDead && !isGood(entry.known, then)) await this.#fetch(entry, load, then);
    }
    if (!isGood(entry.known, clock())) throw new Error("an external server failed to answer just now");
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
        entry.known = { ...(await load(at)), fetched: at };
      } finally {
        if (entry.claimed === at) entry.settled = true;
      }
    })();
    // Otherwise a caller that disconnects at once, again and again, would keep a new key unknown, and a
    // withdrawn key in use.
    this.#options.keepAlive(fetching.catch(() => {}));
    try {
      await fetching;
    } catch (fault) {
      if (!isGood(entry.known, this.#options.clock())) throw fault;
    }
  }

  async #lookOut(entry: Entry<T>): Promise<void> {
    const { clock, wait, patienceMilliseconds } = this.#options;
    const { claimed } = entry;
    while (!entry.settled && ageAt(claimed, clock()) < patienceMilliseconds) await wait(lookMilliseconds);
  }
}

/** A clock that was set back makes no copy good for longer. */
const isGood = <T extends Fetched<unknown> & { readonly fetched: Instant }>(
  known: T | undefined,
  at: Instant,
): known is T => known !== undefined && at < known.goodUntil && ageAt(known.fetched, at) < Infinity;
