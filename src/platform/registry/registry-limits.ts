import type { CacheLimits } from "./isolate-cache.ts";

/**
 * P4: a change of the registry takes effect everywhere within ten seconds, or the gateway discloses nothing.
 */
export const registryLimits: CacheLimits = {
  freshMilliseconds: 5_000,
  hardMilliseconds: 10_000,
  absentMilliseconds: 2_000,
  entriesMax: 1_000,
};
