import type { RevocationUpdate } from "#registry/revocation";
import type { LeaseAnswer } from "#limits/lease-call";

/**
 * A guard's complete reply: the share of the quota, and the revocations that an isolate must know to use it.
 */
export interface GuardReply {
  readonly answer: LeaseAnswer;
  readonly news: RevocationUpdate;
  /** How long ago the guard read them. */
  readonly newsAgeMilliseconds: number;
}
