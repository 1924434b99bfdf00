/** So many requests in each fixed window. */
export interface Quota {
  readonly requests: number;
  readonly windowSeconds: number;
  /** Grows with each change in the registry: the guard follows the newest it has heard of, so a stale isolate cannot widen it. */
  readonly revision: number;
}
