import type { CacheLimits } from "./isolate-cache.ts";

/** P4: what the registry says is felt everywhere within ten seconds, or nothing is said at all. */
export const registryLimits: CacheLimits = {
  freshMilliseconds: 5_000,
  hardMilliseconds: 10_000,
  absentMilliseconds: 2_000,
  entriesMax: 1_000,
};
