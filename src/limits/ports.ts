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
  /** Whose tokens the client comes with: the denials of these are told with its leases. */
  readonly issuer: string;
}

/** Names of all that is denied, as the guard's last answer has it. */
export type Denied = Pick<ReadonlySet<string>, "has" | "size">;

/**
 * The client's counters, and what is denied to it: both come with a lease, and without one that lives nothing is
 * admitted. `revoked` says whether the request is among the denied. Throws when the counters cannot be reached.
 */
export interface Limiter {
  /** Asks for a share where none is at hand, and spends nothing: for a client that is not proven yet. Never throws. */
  prepare(of: Spend): Promise<void>;
  /** Spends one request of a quota, out of what the isolate holds where it can. A revoked one spends nothing. */
  spend<R>(of: Spend, revoked: (denied: Denied) => R | undefined): Promise<Result<Budget, Exhausted | R>>;
  /** How things stand, without spending: for a request that was admitted some time ago. Of the refusals only "revoked". */
  renew<R>(of: Spend, revoked: (denied: Denied) => R | undefined): Promise<Result<Budget, R>>;
}
