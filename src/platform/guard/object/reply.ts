import type { RevocationUpdate } from "#registry/revocation";
import type { LeaseAnswer } from "#limits/lease-call";

/** A guard's whole answer: the share, and what its holder must know to use it. */
export interface GuardReply {
  readonly answer: LeaseAnswer;
  readonly news: RevocationUpdate;
  /** How long ago the guard asked for it. */
  readonly newsAgeMilliseconds: number;
}
