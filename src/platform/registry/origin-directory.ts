import type { OriginEntry } from "#registry/state";
import type { EvictableCache } from "./copies/isolate-cache.ts";
import { withoutNulls } from "./empty-columns.ts";
import { askRegistry, originTable, rowsWhere } from "./read-table.ts";
import { registryCache } from "./copies/registry-cache.ts";
import type { RegistryReader } from "./copies/registry-reader.ts";
import type { RegistrySql } from "./registry-sql.ts";

/**
 * The registry's origins, read from D1 and cached for seconds. Only reads; throws when they cannot be read.
 */
export interface OriginDirectory {
  /** True if {@link find} needs no reading now. */
  isFresh(name: string): boolean;
  find(name: string): Promise<OriginEntry | undefined>;
}

/** All origins of the registry, read now. */
export async function allOrigins(registry: RegistrySql): Promise<readonly OriginEntry[]> {
  const [rows] = await askRegistry(registry, rowsWhere(originTable));
  return rows.map(withoutNulls);
}

export function originDirectory(registry: RegistryReader): OriginDirectory & EvictableCache {
  const cache = registryCache<OriginEntry>(
    registry,
    (name) => `origin/${name}`,
    async (db, name) => {
      const [[row]] = await askRegistry(db, rowsWhere(originTable, "name = ?", name));
      return row && withoutNulls(row);
    },
  );
  return {
    isFresh: (name) => cache.isFresh(name),
    find: (name) => cache.get(name),
    forget: (name, epoch) => cache.forget(name, epoch),
    forgetAll: (epoch) => cache.forgetAll(epoch),
  };
}
