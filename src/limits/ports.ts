import type { Instant } from "#kernel/clock";
import type { Region } from "#kernel/region";
import type { Result } from "#kernel/result";
import type { Quota } from "./quota.ts";

/**
 * The quotas of a grant count the client's requests, the requests of one subject of its tokens, and the
 * resources released to it.
 */
export type QuotaName = "default" | "subject" | "records";

/** The state of a quota, as the response headers report it. */
export interface Budget {
  readonly policy: QuotaName;
  readonly limit: number;
  readonly windowSeconds: number;
  /** As far as this isolate knows: other isolates may have spent some of it since. */
  readonly remaining: number;
  /** Whole seconds to the end of the window, rounded up. */
  readonly resetSeconds: number;
  /** The guard's last answer is valid until then, by the isolate's clock. */
  readonly livesUntil: Instant;
}

export interface Exhausted extends Budget {
  readonly reason: "quota_exhausted" | "subject_quota_exhausted" | "record_quota_exhausted";
  /** The end of the window, never earlier. */
  readonly retryAfterSeconds: number;
}

/** The counter of a client to spend from, and the amount: all of it or nothing. */
export type Spend = SpendOfGrant & ({ readonly policy: "default" | "records" } | SpendOfSubject);

interface SpendOfSubject {
  readonly policy: "subject";
  /** The counted subject, named by the token's issuer and its `sub`. */
  readonly subject: string;
}

interface SpendOfGrant {
  readonly client: string;
  /** `<origin>/<purpose>`: each grant has its own quotas. */
  readonly key: string;
  readonly quota: Quota;
  readonly many: number;
  /** The issuer of the client's tokens: denials for this issuer come with the client's leases. */
  readonly issuer: string;
  /** The client's home region: its guard is there. */
  readonly home?: Region | undefined;
}

/** Names of all denials, as in the guard's last answer. */
export type Denied = Pick<ReadonlySet<string>, "has" | "size">;

/**
 * The client's counters and its denials. Both come with a lease, and no request is admitted without a
 * living lease. `revoked` checks the request against the denials. Throws when the guard cannot be reached.
 */
export interface Limiter {
  /**
   * Spends from every given quota or from none, out of the isolate's leases if they suffice. A revoked
   * request spends nothing. At least one quota is not a subject's, because denials come with the client's
   * own leases only.
   */
  spend<R>(
    spends: readonly Spend[],
    revoked: (denied: Denied) => R | undefined,
  ): Promise<Result<readonly Budget[], Exhausted | R>>;
  /**
   * The budget without spending, for a request that was admitted some time ago. It can be refused as
   * revoked, and for no further reason.
   */
  renew<R>(spend: Spend, revoked: (denied: Denied) => R | undefined): Promise<Result<Budget, R>>;
}
