import type { Instant } from "#kernel/clock";

/**
 * How many tokens were wanted lately. Each request adds its tokens, and they fade with a time constant of
 * `fadeMilliseconds`. Settled plain data.
 */
export interface Demand {
  readonly count: number;
  readonly at: Instant;
}

// As long as a lease lives, so that the count is the size that a lease should have.
const fadeMilliseconds = 5_000;

/** Adds tokens to the demand. A clock that steps back fades nothing. */
export function counted({ count, at: last }: Demand, many: number, at: Instant): Demand {
  return { count: recent({ count, at: last }, at) + many, at };
}

/** The requests that the life of a lease will bring if they go on coming at the same rate. */
export function recent({ count, at: last }: Demand, at: Instant): number {
  return count * Math.exp(-Math.max(0, at - last) / fadeMilliseconds);
}

/** The requests expected in the given time. */
export function expected(demand: Demand, at: Instant, milliseconds: number): number {
  return (recent(demand, at) * milliseconds) / fadeMilliseconds;
}
