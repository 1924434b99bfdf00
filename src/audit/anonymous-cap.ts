import type { Instant } from "#kernel/clock";
import type { AuditEvent } from "./event.ts";

// The record of a refusal takes about 372 bytes of a log. At one record every two seconds an endless flood
// makes 2.9 GB in a half-year, stored for six years; a burst of a thousand covers an honest afternoon of
// wrong tokens.
const burst = 1_000;
const refillPerSecond = 0.5;

/** Limits the anonymous refusals that get a separate record in a log; the remaining refusals are counted. */
export class AnonymousCap {
  #left = burst;
  #at: Instant | undefined;

  /** Takes a record's worth if there is one. */
  admits(at: Instant): boolean {
    const seconds = Math.max(0, (at - (this.#at ?? at)) / 1000);
    this.#left = Math.min(burst, this.#left + seconds * refillPerSecond);
    this.#at = at;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

/** A refusal without a known client or operator: any caller can cause any number of them. */
export const isAnonymousRefusal = ({ kind, who }: AuditEvent): boolean =>
  kind === "refusal" && who?.client === undefined && who?.operator === undefined;
