import type { Instant } from "#kernel/clock";
import type { AuditEvent } from "./event.ts";

// A record of a refusal takes about 372 bytes of a log. At one each two seconds a flood that never ends makes
// 2.9 GB in a half-year, kept for six years; a thousand at once are what an honest afternoon of wrong tokens
// needs at most.
const burst = 1_000;
const refillPerSecond = 0.5;

/**
 * How many refusals of nobody in particular still get a record of their own in a log; the others are counted
 * (DESIGN §4.8).
 */
export class AnonymousCap {
  #left = burst;
  #at: Instant | undefined;

  /** Takes one record's worth if there is one. */
  admits(at: Instant): boolean {
    const seconds = Math.max(0, (at - (this.#at ?? at)) / 1000);
    this.#left = Math.min(burst, this.#left + seconds * refillPerSecond);
    this.#at = at;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

/** A refusal that no client or operator stands behind: anyone can cause as many as they like. */
export const isAnonymousRefusal = ({ kind, who }: AuditEvent): boolean =>
  kind === "refusal" && who?.client === undefined && who?.operator === undefined;
