export interface CacheLimits {
  /** For this long after its read, an answer is given without reading again. */
  readonly freshMilliseconds: number;
  /** From this age on no answer is given, and a failed read is a fault. */
  readonly hardMilliseconds: number;
  /** How long an absent record is remembered as absent. */
  readonly absentMilliseconds: number;
  readonly entriesMax: number;
  /** The greatest sum of the weights of present records, and of the characters of absent keys. */
  readonly weightMax: number;
}

/**
 * P4: a change of the registry takes effect everywhere within ten seconds, or the gateway discloses nothing.
 */
export const registryLimits: CacheLimits = {
  freshMilliseconds: 5_000,
  hardMilliseconds: 10_000,
  absentMilliseconds: 2_000,
  entriesMax: 1_000,
  weightMax: 4_194_304,
};

/**
 * For a single copy of all records of a kind, which is retained whatever its weight: each request, also one without any
 * credential, would read all of them again. Each applied file is bounded.
 */
export const wholeLimits: CacheLimits = { ...registryLimits, weightMax: Infinity };

/**
 * A copy that is found unchanged again and again is found so for the last time at this age, and used for ten seconds
 * more at most: a change that no trigger of the registry lists takes effect within a minute.
 */
export const wholeMilliseconds = 50_000;

/**
 * In the last second of its freshness a copy is read again beside the request that gets it: no request of a busy
 * client waits for the store.
 */
export const aheadMilliseconds = 1_000;

/**
 * As many clients as an isolate has leases (guard/isolate). A record with two grants has 1.2 KB as JSON and
 * 4 KB in memory, so that all together take at most about 30 MB.
 */
export const clientLimits: CacheLimits = { ...registryLimits, entriesMax: 10_000, weightMax: 8_388_608 };
