import type { Instant } from "#kernel/clock";

/** How much was wanted lately: each request counts as many as it wants and fades with a time constant of `fadeMilliseconds`. Plain settled data. */
export interface Demand {
  readonly count: number;
  readonly at: Instant;
}

// As long as a lease lives, so that the count is what one lease should hold.
const fadeMilliseconds = 5_000;

/** The demand with so many more. A clock that steps back fades nothing. */
export function counted({ count, at: last }: Demand, many: number, at: Instant): Demand {
  return { count: recent({ count, at: last }, at) + many, at };
}

/** Requests that one lease's life brings, if they go on coming as they did. */
export function recent({ count, at: last }: Demand, at: Instant): number {
  return count * Math.exp(-Math.max(0, at - last) / fadeMilliseconds);
}

/** How many come in so many milliseconds. */
export function expected(demand: Demand, at: Instant, milliseconds: number): number {
  return (recent(demand, at) * milliseconds) / fadeMilliseconds;
}
