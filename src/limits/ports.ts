import type { Instant } from "#kernel/clock";
import type { Result } from "#kernel/result";
import type { Quota } from "./quota.ts";

/** What is left of a quota, as the headers tell it. */
export interface Budget {
  /** Name of the quota policy: `default`. */
  readonly policy: string;
  readonly limit: number;
  readonly windowSeconds: number;
  readonly remaining: number;
  /** Whole seconds to the end of the window, rounded up. */
  readonly resetSeconds: number;
  /** Until when, by the isolate's clock, this answer of the guard stands. */
  readonly livesUntil: Instant;
}

export interface Exhausted extends Budget {
  readonly reason: "quota_exhausted";
  /** The end of the window, never earlier. */
  readonly retryAfterSeconds: number;
}

/** Which counter of a client is spent from. */
export interface Spend {
  readonly client: string;
  /** `<origin>/<purpose>`: each grant has its own quota. */
  readonly key: string;
  readonly quota: Quota;
}

/** The client's counters. Throws when they cannot be reached: no answer, no admission. */
export interface Limiter {
  /** Spends one request of a quota. */
  spend(of: Spend): Promise<Result<Budget, Exhausted>>;
  /** Asks how things stand without spending: for a request that was admitted and took longer than its lease. */
  renew(of: Spend): Promise<Budget>;
}
