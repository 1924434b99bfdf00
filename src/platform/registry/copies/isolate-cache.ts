import { ageAt, instant, type Clock, type Instant } from "#kernel/clock";
import { Newest } from "#kernel/memo";
import { aheadMilliseconds, wholeMilliseconds, type CacheLimits } from "./registry-limits.ts";
import type { DatedValue, RegistrySnapshot } from "./registry-reader.ts";
import { isSameRecord } from "./same-record.ts";

/**
 * Holds copies of the registry's records. Drops the copies of one record, or of all, that are older than an
 * epoch.
 */
export interface EvictableCache {
  forget(key: string, epoch: number): void;
  forgetAll(epoch: number): void;
}

/** The store that is cached. */
interface Store<T> {
  load(key: string): Promise<DatedValue<T | undefined>>;
  /** Learns what changed in the store, for all keys. False: another request is asking now. Absent: nothing reports changes. */
  readonly learnChanges?: (key: string) => Promise<boolean>;
  /** True if it is known that the record of a key changed after a version. */
  readonly isChanged?: (key: string, version: string | undefined) => boolean;
  /** A state of the store that is newer than a copy of a key, if the record did not change until then. */
  readonly unchangedSince?: (
    key: string,
    copy: Pick<RegistrySnapshot, "version" | "begun">,
  ) => RegistrySnapshot | undefined;
  /** False while the record of a key may change at any moment: then no copy is given and none is stored. */
  settled(key: string): boolean;
  /** About its size in memory, in characters of JSON. */
  weight?(value: T): number;
  /**
   * Lets a read run longer than the request that began it. Without it no copy is refreshed before its freshness
   * ends.
   */
  readonly keepAlive?: ((work: Promise<unknown>) => void) | undefined;
}

interface Entry<T> extends RegistrySnapshot {
  readonly value: T;
  readonly weight: number;
  /** When the record was read as a whole. Later readings may only have found that it did not change. */
  readonly loaded: Instant;
  asOf: Instant;
  begun: Instant;
  version: string | undefined;
  claimed: Instant;
}

// An entry past its freshness is refreshed once a second. Meanwhile other requests use the copy.
const claimMilliseconds = 1_000;

/**
 * An isolate's copies of a store's records. They are settled plain data: no request ever waits for another
 * request's read, because the runtime forbids it. Each copy is stored with the epoch that it is known to
 * include.
 */
export class IsolateCache<T> implements EvictableCache {
  readonly #limits: CacheLimits;
  readonly #clock: Clock;
  readonly #store: Store<T>;
  readonly #present: Newest<Entry<T>>;
  readonly #absent: Newest<Instant>; // separate, so that made-up keys evict no present record
  #forgotten = 0; // the newest epoch of an eviction: a read that may lack that change is not stored

  constructor(limits: CacheLimits, clock: Clock, store: Store<T>) {
    this.#limits = limits;
    this.#clock = clock;
    this.#store = store;
    const { entriesMax, weightMax } = limits;
    this.#present = new Newest(entriesMax, weightMax, ({ weight }) => weight);
    this.#absent = new Newest(entriesMax, weightMax, (_, key) => key.length);
  }

  /** True if {@link get} answers with a copy now. */
  isFresh(key: string): boolean {
    return this.#store.settled(key) && this.#usable(key, this.#clock()) !== undefined;
  }

  #usable(key: string, at: Instant): Entry<T> | undefined {
    const entry = this.#present.get(key);
    if (entry === undefined) return undefined;
    this.#renew(key, entry, at);
    if (!this.#isServable(key, entry, at)) return undefined;
    return this.#isYoung(key, entry, at) || ageAt(entry.claimed, at) < claimMilliseconds ? entry : undefined;
  }

  #isYoung(key: string, { begun, version }: Entry<T>, at: Instant): boolean {
    return (
      ageAt(begun, at) < this.#limits.freshMilliseconds && this.#store.isChanged?.(key, version) !== true
    );
  }

  /** An unchanged record is as young as the newest state of the store, for whichever key that state was read. */
  #renew(key: string, entry: Entry<T>, at: Instant): void {
    if (ageAt(entry.loaded, at) >= wholeMilliseconds) return;
    const state = this.#store.unchangedSince?.(key, entry);
    if (state === undefined) return;
    entry.begun = state.begun;
    entry.version = state.version;
    entry.asOf = instant(Math.max(entry.asOf, state.asOf));
    this.#present.set(key, entry); // the oldest are the first to leave, and this one is in use
  }

  /** Throws the error of `load` when no copy is young enough. */
  async get(key: string): Promise<T | undefined> {
    if (!this.#store.settled(key)) {
      this.#present.delete(key);
      return (await this.#read(key)).value;
    }
    const at = this.#clock();
    const usable = this.#usable(key, at);
    if (usable !== undefined) {
      const isLate = ageAt(usable.begun, at) >= this.#limits.freshMilliseconds - aheadMilliseconds;
      // After a failure a request after the freshness reads again, and gets the fault.
      if (isLate && ageAt(usable.claimed, at) >= claimMilliseconds)
        this.#store.keepAlive?.(this.#refresh(key, at).catch(() => undefined));
      return usable.value;
    }
    const absent = this.#absent.get(key);
    if (absent !== undefined && ageAt(absent, at) < this.#limits.absentMilliseconds) return undefined;

    try {
      return await this.#refresh(key, at);
    } catch (fault) {
      const known = this.#present.get(key); // a copy that was dropped meanwhile must not be used
      if (known !== undefined && this.#store.settled(key) && this.#isServable(key, known, this.#clock()))
        return known.value;
      throw fault;
    }
  }

  async #refresh(key: string, at: Instant): Promise<T | undefined> {
    const entry = this.#present.get(key);
    if (entry !== undefined) {
      entry.claimed = at;
      if (await this.#isUnchanged(key, entry, at)) return entry.value;
    }
    return this.#keep(key, await this.#read(key));
  }

  /** True if a copy can be used after its store reported what changed; false if its record must be read. */
  async #isUnchanged(key: string, entry: Entry<T>, at: Instant): Promise<boolean> {
    const { learnChanges, isChanged } = this.#store;
    if (learnChanges === undefined || isChanged === undefined || entry.version === undefined) return false;
    if (ageAt(entry.loaded, at) >= wholeMilliseconds) return false;
    const isAnswered = await learnChanges(key);
    if (this.#present.get(key) !== entry || !this.#store.settled(key)) return false;
    const now = this.#clock();
    if (isAnswered) return this.#usable(key, now) === entry && this.#isYoung(key, entry, now);
    // The one request that asks now asks for all; a copy that no delta named serves meanwhile.
    return this.#isServable(key, entry, now);
  }

  /** A copy that is known to have changed is not used, and a copy of old knowledge neither. */
  #isServable(key: string, { asOf, version }: Entry<T>, at: Instant): boolean {
    return ageAt(asOf, at) < this.#limits.hardMilliseconds && this.#store.isChanged?.(key, version) !== true;
  }

  /** Drops the copy of a key whose record has changed, up to an epoch. */
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
    if (ageAt(reading.asOf, this.#clock()) >= this.#limits.hardMilliseconds)
      throw new Error("the store's answer came too late");
    return reading;
  }

  /**
   * The value, which is also stored unless it may lack a change. A read that began earlier never replaces a
   * read that began later.
   */
  #keep(
    key: string,
    { value: fresh, version, epoch, asOf, begun }: DatedValue<T | undefined>,
  ): T | undefined {
    if (epoch < this.#forgotten || !this.#store.settled(key)) return fresh;
    const known = this.#present.get(key);
    // A copy of a time that has not come is not the later read: the clock was set back.
    const now = this.#clock();
    if (known !== undefined && known.begun > begun && known.begun <= now && this.#isServable(key, known, now))
      return known.value;
    this.#present.delete(key);
    this.#absent.delete(key);
    if (fresh === undefined) {
      this.#absent.set(key, begun);
      return undefined;
    }
    // An unchanged record stays the same object: what was derived from it stays valid (ADR 28).
    const value = known !== undefined && isSameRecord(known.value, fresh) ? known.value : fresh;
    const weight = this.#store.weight?.(value) ?? 0;
    this.#present.set(key, {
      value,
      weight,
      version,
      epoch,
      asOf,
      begun,
      loaded: begun,
      claimed: instant(0),
    });
    return value;
  }
}
