import type { Instant } from "#kernel/clock";

/** Work that waits for a person: how much, and since when its first has waited. Undefined: nothing waits. */
export interface Waiting {
  readonly count: number;
  readonly since: Instant;
}

/** The numbers name no client, no patient and no person. */
export interface WaitingWork {
  /** Uses of break-glass without a finding. */
  readonly reviews: Waiting | undefined;
  /** Open proposals, which a second person approves or rejects. */
  readonly proposals: Waiting | undefined;
}
