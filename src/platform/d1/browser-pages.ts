import { and, eq, ne } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { Clock } from "#kernel/clock";
import { IsolateCache } from "./isolate-cache.ts";
import { registryLimits } from "./registry-limits.ts";
import { clients } from "./schema.ts";

/**
 * The web pages of all active clients out of D1, read at once and remembered for seconds: an `Origin` that somebody made up costs no read.
 * Only reads; throws when they cannot be read for longer.
 */
export function browserPages(registry: D1Database, clock: Clock): { has(page: string): Promise<boolean> } {
  const cache = new IsolateCache<ReadonlySet<string>>(registryLimits, clock, async () => {
    const rows = await drizzle(registry)
      .select({ pages: clients.corsOrigins })
      .from(clients)
      .where(and(eq(clients.status, "active"), ne(clients.corsOrigins, [])));
    return new Set(rows.flatMap(({ pages }) => pages));
  });
  return { has: async (page) => (await cache.get("all"))?.has(page) ?? false };
}
