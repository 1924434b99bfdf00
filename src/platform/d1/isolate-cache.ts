import { instant, type Clock, type Instant } from "#kernel/clock";

export interface CacheLimits {
  /** Younger answers are given without asking again. */
  readonly freshMilliseconds: number;
  /** Older answers are never given: then a failed read is a fault. */
  readonly hardMilliseconds: number;
  /** How long "there is none" is believed. */
  readonly absentMilliseconds: number;
  readonly entriesMax: number;
}

/** Has copies of the registry's records, and drops one, or all, when told that it has changed. */
export interface Forgetful {
  forget(key: string): void;
  forgetAll(): void;
}

interface Entry<T> {
  readonly value: T;
  readonly read: Instant;
  claimed: Instant;
}

// One refresh a second for an entry past its freshness: the others go on with what is there.
const claimMilliseconds = 1_000;

/**
 * One isolate's memory of what a store said. Holds settled plain data: no request ever waits for another's read (DESIGN §4).
 * An answer's age counts from when its read began.
 */
export class IsolateCache<T> implements Forgetful {
  readonly #limits: CacheLimits;
  readonly #clock: Clock;
  readonly #load: (key: string) => Promise<T | undefined>;
  readonly #present = new Map<string, Entry<T>>(); // oldest first
  readonly #absent = new Map<string, Instant>(); // apart, so that made-up keys push nothing out
  #forgotten = 0; // times that something was forgotten: a read that began before is not kept

  constructor(limits: CacheLimits, clock: Clock, load: (key: string) => Promise<T | undefined>) {
    this.#limits = limits;
    this.#clock = clock;
    this.#load = load;
  }

  /** Throws what `load` throws when nothing young enough is known. */
  async get(key: string): Promise<T | undefined> {
    const at = this.#clock();
    const entry = this.#present.get(key);
    const age = entry === undefined ? Number.POSITIVE_INFINITY : at - entry.read;
    if (
      entry !== undefined &&
      (age < this.#limits.freshMilliseconds || (age < this.#limits.hardMilliseconds && at - entry.claimed < claimMilliseconds))
    ) {
      return entry.value;
    }
    const absent = this.#absent.get(key);
    if (absent !== undefined && at - absent < this.#limits.absentMilliseconds) return undefined;

    if (entry !== undefined) entry.claimed = at;
    const forgotten = this.#forgotten;
    let value: T | undefined;
    try {
      value = await this.#load(key);
      if (this.#clock() - at >= this.#limits.hardMilliseconds) throw new Error("the store's answer came too late to be believed");
    } catch (fault) {
      const known = this.#present.get(key); // what was forgotten meanwhile is no comfort
      if (known !== undefined && this.#clock() - known.read < this.#limits.hardMilliseconds) return known.value;
      throw fault;
    }
    return forgotten === this.#forgotten ? this.#keep(key, value, at) : value;
  }

  /** What the store says of a key has changed. */
  forget(key: string): void {
    this.#forgotten += 1;
    this.#present.delete(key);
    this.#absent.delete(key);
  }

  forgetAll(): void {
    this.#forgotten += 1;
    this.#present.clear();
    this.#absent.clear();
  }

  /** A read that began earlier never takes the place of one that began later. */
  #keep(key: string, value: T | undefined, at: Instant): T | undefined {
    const newer = this.#present.get(key);
    if (newer !== undefined && newer.read > at) return newer.value;
    this.#present.delete(key);
    this.#absent.delete(key);
    if (value === undefined) bounded(this.#absent, this.#limits.entriesMax).set(key, at);
    else bounded(this.#present, this.#limits.entriesMax).set(key, { value, read: at, claimed: instant(0) });
    return value;
  }
}

function bounded<V>(map: Map<string, V>, entriesMax: number): Map<string, V> {
  if (map.size >= entriesMax) map.delete(map.keys().next().value ?? "");
  return map;
}
