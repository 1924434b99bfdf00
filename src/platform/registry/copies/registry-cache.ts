import { IsolateCache } from "./isolate-cache.ts";
import { registryLimits, type CacheLimits } from "./registry-limits.ts";
import type { Subject } from "./change-log.ts";
import type { RegistryReader } from "./registry-reader.ts";
import type { SnapshotSql } from "./snapshot-sql.ts";

/**
 * An isolate's copies of the results of one registry query. `subjectOf`: the record that a key depends on.
 */
export function registryCache<T>(
  registry: RegistryReader,
  subjectOf: (key: string) => Subject,
  query: (db: SnapshotSql, key: string) => Promise<T | undefined>,
  limits: CacheLimits = registryLimits,
): IsolateCache<T> {
  return new IsolateCache<T>(limits, registry.clock, {
    load: (key) => registry.read(subjectOf(key), (db) => query(db, key)),
    learnChanges: (key) => registry.learnChanges(subjectOf(key)),
    isChanged: (key, version) => registry.isChanged(version, subjectOf(key)),
    unchangedSince: (key, copy) => registry.unchangedSince(copy, subjectOf(key)),
    settled: (key) => registry.settled(subjectOf(key)),
    keepAlive: registry.keepAlive,
    weight: (value) => JSON.stringify(value, withItems).length,
  });
}

/** JSON has no items of a map or a set. */
const withItems = (_name: string, value: unknown): unknown =>
  value instanceof Map || value instanceof Set ? [...value] : value;
