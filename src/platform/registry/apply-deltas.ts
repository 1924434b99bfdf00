import type { AppliedUpdate, RecordName } from "#registry/revocation";
import type { EvictableCache } from "./isolate-cache.ts";
import type { RegistryReader } from "./registry-reader.ts";

type Kind = RecordName extends `${infer K}/${string}` ? K : never;

/** Has the registry read from where all that was heard is known, and drops the copies of records that have changed. */
export function applyRevocationDeltas(
  registry: RegistryReader,
  copies: Readonly<Record<Kind, EvictableCache>>,
): (applied: AppliedUpdate) => void {
  return (applied) => {
    registry.apply(applied); // first: whoever misses a copy must not read anew from before it
    const { stale, standing } = applied;
    if (stale === "all") for (const copy of Object.values(copies)) copy.forgetAll(standing.epoch);
    else {
      for (const record of stale) {
        const slash = record.indexOf("/");
        copies[record.slice(0, slash) as Kind].forget(record.slice(slash + 1), standing.epoch); // by RecordName's own grammar
      }
    }
  };
}
