import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { OriginEntry } from "#identity/registry-state";
import type { Clock } from "#kernel/clock";
import { IsolateCache, type Forgetful } from "./isolate-cache.ts";
import { registryLimits } from "./registry-limits.ts";
import { origins } from "./schema.ts";

/** The registry's origins out of D1, remembered for seconds. Only reads; throws when they cannot be read. */
export interface OriginDirectory {
  find(name: string): Promise<OriginEntry | undefined>;
}

export function originDirectory(registry: D1Database, clock: Clock): OriginDirectory & Forgetful {
  const cache = new IsolateCache<OriginEntry>(registryLimits, clock, async (name) => {
    const [row] = await drizzle(registry).select().from(origins).where(eq(origins.name, name));
    return row;
  });
  return { find: (name) => cache.get(name), forget: (name) => cache.forget(name), forgetAll: () => cache.forgetAll() };
}
