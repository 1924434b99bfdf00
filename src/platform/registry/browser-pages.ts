import { askRegistry, clientTable, rowsWhere } from "./read-table.ts";
import { registryCache } from "./copies/registry-cache.ts";
import type { RegistryReader } from "./copies/registry-reader.ts";

/**
 * The web pages of all active clients, read from D1 at once and cached for seconds: a made-up `Origin`
 * causes no read. Only reads; throws when no copy is young enough and D1 cannot be read.
 */
export function browserPages(registry: RegistryReader): { has(page: string): Promise<boolean> } {
  const cache = registryCache<ReadonlySet<string>>(
    registry,
    () => "unnamed",
    async (db) => {
      const withPages = rowsWhere(clientTable, "status = 'active' and cors_origins <> '[]'");
      const [rows] = await askRegistry(db, withPages);
      return new Set(rows.flatMap(({ corsOrigins }) => corsOrigins));
    },
  );
  return { has: async (page) => (await cache.get("all"))?.has(page) ?? false };
}
