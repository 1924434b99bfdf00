import type { AppliedUpdate, RecordName } from "#registry/revocation";
import type { EvictableCache } from "./isolate-cache.ts";
import type { RegistryReader } from "./registry-reader.ts";

type Kind = Exclude<RecordName extends `${infer K}/${string}` ? K : never, "consent">;

/**
 * Applies revocation deltas: the registry reader learns the newest bookmark, and copies of changed records
 * are dropped.
 */
export function applyRevocationDeltas(
  registry: RegistryReader,
  copies: Readonly<Record<Kind, EvictableCache>>,
): (applied: AppliedUpdate) => void {
  return (applied) => {
    // first: a request that finds no copy must not read the state from before the change
    registry.apply(applied);
    const { stale, standing } = applied;
    if (stale === "all") for (const copy of Object.values(copies)) copy.forgetAll(standing.epoch);
    else {
      for (const record of stale) {
        const slash = record.indexOf("/");
        if (record.startsWith("consent/")) continue; // the consents' own copies apply it
        // by RecordName's own grammar
        copies[record.slice(0, slash) as Kind].forget(record.slice(slash + 1), standing.epoch);
      }
    }
  };
}
