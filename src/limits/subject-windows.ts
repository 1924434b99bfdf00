import { instant, type Instant } from "#kernel/clock";
import type { Quota } from "./quota.ts";
import { restored, windowEnd, type StoredWindow, type QuotaWindow, type WindowStore } from "./window.ts";

// About 20 MB of a guard's 128.
const windowsMax = 50_000;
// A clock that steps back less than this opens no window again.
const graceMilliseconds = 60_000;

/**
 * The windows of many subjects, by `<origin>/<purpose> <subject>`. A running window is never dropped for a
 * new subject: when there are too many, a subject without a window gets none. After windows end, only each
 * grant's newest quota stays, so that a stale isolate cannot bring a larger quota back later.
 */
export class SubjectWindows implements WindowStore {
  readonly #windows = new Map<string, QuotaWindow>();
  readonly #quotas = new Map<string, Quota>(); // by the grant
  #nextEnd = instant(Number.POSITIVE_INFINITY);

  /** Rows as `set` and `forgetEnded` had them stored. */
  constructor(stored: readonly StoredWindow[]) {
    for (const row of stored) {
      if (row.key.includes(" ")) this.#keep(row.key, restored(row));
      else this.#quotas.set(row.key, row.quota);
    }
  }

  get(key: string): QuotaWindow | undefined {
    const quota = this.#quotas.get(grantOf(key));
    return this.#windows.get(key) ?? (quota && { quota, start: instant(0), granted: 0, reserved: 0 });
  }

  set(key: string, window: QuotaWindow): void {
    if (!this.#windows.has(key) && this.isFull)
      throw new Error("a client has more subjects at once than a guard can count");
    this.#keep(key, window);
  }

  get isFull(): boolean {
    return this.#windows.size >= windowsMax;
  }

  /** The time when `forgetEnded` has something to do, if any window is there. */
  get nextEnd(): Instant | undefined {
    return this.#windows.size === 0 ? undefined : this.#nextEnd;
  }

  /**
   * Forgets windows that ended a minute ago. Storage deletes the rows in `forgotten`, and the result names
   * the rows to store in their place.
   */
  forgetEnded(at: Instant): {
    readonly forgotten: readonly string[];
    readonly kept: readonly StoredWindow[];
  } {
    if (at < this.#nextEnd) return { forgotten: [], kept: [] };
    const forgotten = [...this.#windows].filter(([, window]) => at >= forgettable(window));
    for (const [key, { quota }] of forgotten) {
      this.#windows.delete(key);
      const known = this.#quotas.get(grantOf(key));
      if (known === undefined || isNewer(quota, known)) this.#quotas.set(grantOf(key), quota);
    }
    this.#nextEnd = instant(Number.POSITIVE_INFINITY);
    for (const window of this.#windows.values())
      this.#nextEnd = instant(Math.min(this.#nextEnd, forgettable(window)));
    return {
      forgotten: forgotten.map(([key]) => key),
      kept: [...this.#quotas].map(([key, quota]) => ({ key, quota, start: instant(0), reserved: 0 })),
    };
  }

  #keep(key: string, window: QuotaWindow): void {
    this.#windows.set(key, window);
    this.#nextEnd = instant(Math.min(this.#nextEnd, forgettable(window)));
  }
}

const grantOf = (key: string): string => key.slice(0, key.indexOf(" "));

const forgettable = (window: QuotaWindow): Instant => instant(windowEnd(window) + graceMilliseconds);

/** If two quotas of the same revision differ, the smaller quota counts. */
const isNewer = (quota: Quota, known: Quota): boolean =>
  quota.revision > known.revision || (quota.revision === known.revision && quota.requests < known.requests);
