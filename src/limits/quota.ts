/**
 * The amount in each fixed window: requests of a client, requests of a subject of the client, or released
 * records.
 */
export interface Quota {
  readonly requests: number;
  readonly windowSeconds: number;
  /**
   * Grows with each change in the registry. The guard follows the newest revision that it has seen, so a
   * stale isolate cannot widen the quota.
   */
  readonly revision: number;
}
