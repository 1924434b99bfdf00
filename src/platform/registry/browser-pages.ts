import { and, eq, ne } from "drizzle-orm";
import { registryCache } from "./registry-cache.ts";
import type { RegistryReader } from "./registry-reader.ts";
import { clients } from "./schema.ts";

/**
 * The web pages of all active clients, read from D1 at once and cached for seconds: a made-up `Origin`
 * causes no read. Only reads; throws when no copy is young enough and D1 cannot be read.
 */
export function browserPages(registry: RegistryReader): { has(page: string): Promise<boolean> } {
  const cache = registryCache<ReadonlySet<string>>(
    registry,
    () => "unnamed",
    async (db) => {
      const rows = await db
        .select({ pages: clients.corsOrigins })
        .from(clients)
        .where(and(eq(clients.status, "active"), ne(clients.corsOrigins, [])));
      return new Set(rows.flatMap(({ pages }) => pages));
    },
  );
  return { has: async (page) => (await cache.get("all"))?.has(page) ?? false };
}
