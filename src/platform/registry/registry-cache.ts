import { IsolateCache, type CacheLimits } from "./isolate-cache.ts";
import type { RegistrySql } from "./registry-sql.ts";
import { registryLimits } from "./registry-limits.ts";
import type { RegistryReader, Subject } from "./registry-reader.ts";

/**
 * An isolate's copies of the results of one registry query. `subjectOf`: the record that a key depends on.
 */
export function registryCache<T>(
  registry: RegistryReader,
  subjectOf: (key: string) => Subject,
  query: (db: RegistrySql, key: string) => Promise<T | undefined>,
  limits: CacheLimits = registryLimits,
): IsolateCache<T> {
  return new IsolateCache<T>(limits, registry.clock, {
    load: (key) => registry.read(subjectOf(key), (db) => query(db, key)),
    settled: (key) => registry.settled(subjectOf(key)),
    keepAlive: registry.keepAlive,
    ...(limits.weightMax !== undefined && { weight: (value: T) => JSON.stringify(value).length }),
  });
}
