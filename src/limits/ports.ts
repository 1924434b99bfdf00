import type { Instant } from "#kernel/clock";
import type { Result } from "#kernel/result";
import type { Quota } from "./quota.ts";

/** What a grant's quotas count: the client's requests, those of one subject of its tokens, the resources released to it. */
export type QuotaName = "default" | "subject" | "records";

/** What is left of a quota, as the headers tell it. */
export interface Budget {
  readonly policy: QuotaName;
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
  readonly reason: "quota_exhausted" | "subject_quota_exhausted" | "record_quota_exhausted";
  /** The end of the window, never earlier. */
  readonly retryAfterSeconds: number;
}

/** Which counter of a client is spent from, and how much: all of it or nothing. */
export type Spend = SpendOfGrant & ({ readonly policy: "default" | "records" } | SpendOfSubject);

interface SpendOfSubject {
  readonly policy: "subject";
  /** Whose count it is, as the token's issuer and its `sub` name it. */
  readonly subject: string;
}

interface SpendOfGrant {
  readonly client: string;
  /** `<origin>/<purpose>`: each grant has its own quotas. */
  readonly key: string;
  readonly quota: Quota;
  readonly many: number;
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
  /** Asks for a share where none is at hand, and spends nothing: for a client that is not proven yet. Not of a subject. Never throws. */
  prepare(of: Spend): Promise<void>;
  /**
   * Spends of each quota or of none, out of what the isolate holds where it can. A revoked request spends nothing. At least one
   * of them is not a subject's: what is denied comes with the client's own leases only.
   */
  spend<R>(
    of: readonly Spend[],
    revoked: (denied: Denied) => R | undefined,
  ): Promise<Result<readonly Budget[], Exhausted | R>>;
  /** How things stand, without spending: for a request that was admitted some time ago. Of the refusals only "revoked". */
  renew<R>(of: Spend, revoked: (denied: Denied) => R | undefined): Promise<Result<Budget, R>>;
}
