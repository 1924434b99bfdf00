import type { Instant } from "#kernel/clock";
import type { Result } from "#kernel/result";
import type { Quota } from "./quota.ts";

/** What is left of a quota, as the headers tell it. */
export interface Budget {
  /** Name of the quota policy: `default`. */
  readonly policy: string;
  readonly limit: number;
  readonly windowSeconds: number;
  /** As far as this isolate knows: others may have spent some of it since. */
  readonly remaining: number;
  /** Whole seconds to the end of the window, rounded up. */
  readonly resetSeconds: number;
  /** Until when, by the isolate's clock, the guard's last answer stands. */
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
  /** Asks for a share where none is at hand, and spends nothing: for a client that is not proven yet. Never throws. */
  prepare(of: Spend): Promise<void>;
  /** Spends one request of a quota, out of what the isolate holds where it can. */
  spend(of: Spend): Promise<Result<Budget, Exhausted>>;
  /** How things stand, without spending: for a request that was admitted and took longer than its lease. */
  renew(of: Spend): Promise<Budget>;
}
