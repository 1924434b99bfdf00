import { instant, type Clock, type Instant } from "#kernel/clock";
import type { DatedValue } from "./registry-reader.ts";

export interface CacheLimits {
  /** So long after it was read an answer is given without asking again. */
  readonly freshMilliseconds: number;
  /** So long after it was true, or longer, no answer is given: then a failed read is a fault. */
  readonly hardMilliseconds: number;
  /** How long "there is none" is believed. */
  readonly absentMilliseconds: number;
  readonly entriesMax: number;
}

/** Has copies of the registry's records, and drops those of one, or all, that do not have what is told as changed up to an epoch. */
export interface EvictableCache {
  forget(key: string, epoch: number): void;
  forgetAll(epoch: number): void;
}

/** Where the answers come from. */
interface Store<T> {
  load(key: string): Promise<DatedValue<T | undefined>>;
  /** False while what it says of a key may be over at once: then no copy is given and none is kept. */
  settled(key: string): boolean;
}

interface Entry<T> extends DatedValue<T> {
  readonly read: Instant;
  claimed: Instant;
}

// One refresh a second for an entry past its freshness: the others go on with what is there.
const claimMilliseconds = 1_000;

/**
 * One isolate's memory of what a store said. Holds settled plain data: no request ever waits for another's read (DESIGN §4).
 * Each answer is kept with the epoch that it is known to include.
 */
export class IsolateCache<T> implements EvictableCache {
  readonly #limits: CacheLimits;
  readonly #clock: Clock;
  readonly #store: Store<T>;
  readonly #present = new Map<string, Entry<T>>(); // oldest first
  readonly #absent = new Map<string, Instant>(); // apart, so that made-up keys push nothing out
  #forgotten = 0; // the newest epoch that something was forgotten for: a read that may be without it is not kept

  constructor(limits: CacheLimits, clock: Clock, store: Store<T>) {
    this.#limits = limits;
    this.#clock = clock;
    this.#store = store;
  }

  /** Throws what `load` throws when nothing young enough is known. */
  async get(key: string): Promise<T | undefined> {
    if (!this.#store.settled(key)) {
      this.#present.delete(key);
      return (await this.#read(key)).value;
    }
    const at = this.#clock();
    const entry = this.#present.get(key);
    if (entry !== undefined && at - entry.asOf < this.#limits.hardMilliseconds) {
      if (at - entry.read < this.#limits.freshMilliseconds || at - entry.claimed < claimMilliseconds)
        return entry.value;
    }
    const absent = this.#absent.get(key);
    if (absent !== undefined && at - absent < this.#limits.absentMilliseconds) return undefined;

    if (entry !== undefined) entry.claimed = at;
    try {
      return this.#keep(key, await this.#read(key), at);
    } catch (fault) {
      const known = this.#present.get(key); // what was forgotten meanwhile is no comfort
      if (
        known !== undefined &&
        this.#store.settled(key) &&
        this.#clock() - known.asOf < this.#limits.hardMilliseconds
      )
        return known.value;
      throw fault;
    }
  }

  /** What the store says of a key has changed, up to an epoch. */
  forget(key: string, epoch: number): void {
    this.#forgotten = Math.max(this.#forgotten, epoch);
    if ((this.#present.get(key)?.epoch ?? 0) < epoch) this.#present.delete(key);
    this.#absent.delete(key);
  }

  forgetAll(epoch: number): void {
    this.#forgotten = Math.max(this.#forgotten, epoch);
    for (const [key, entry] of this.#present) if (entry.epoch < epoch) this.#present.delete(key);
    this.#absent.clear();
  }

  async #read(key: string): Promise<DatedValue<T | undefined>> {
    const reading = await this.#store.load(key);
    if (this.#clock() - reading.asOf >= this.#limits.hardMilliseconds)
      throw new Error("the store's answer came too late to be believed");
    return reading;
  }

  /** What is given, which is kept too unless it may miss a change. A read that began earlier never takes the place of one that began later. */
  #keep(key: string, { value, epoch, asOf }: DatedValue<T | undefined>, at: Instant): T | undefined {
    if (epoch < this.#forgotten || !this.#store.settled(key)) return value;
    const newer = this.#present.get(key);
    if (newer !== undefined && newer.read > at) return newer.value;
    this.#present.delete(key);
    this.#absent.delete(key);
    if (value === undefined) bounded(this.#absent, this.#limits.entriesMax).set(key, at);
    else
      bounded(this.#present, this.#limits.entriesMax).set(key, {
        value,
        epoch,
        asOf,
        read: at,
        claimed: instant(0),
      });
    return value;
  }
}

function bounded<V>(map: Map<string, V>, entriesMax: number): Map<string, V> {
  if (map.size >= entriesMax) map.delete(map.keys().next().value ?? "");
  return map;
}
