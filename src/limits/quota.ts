/** So much in each fixed window: requests of a client, requests of one of its subjects, or records released. */
export interface Quota {
  readonly requests: number;
  readonly windowSeconds: number;
  /** Grows with each change in the registry: the guard follows the newest it has heard of, so a stale isolate cannot widen it. */
  readonly revision: number;
}
