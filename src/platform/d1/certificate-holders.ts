import { and, eq, isNotNull } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { CertificateHolders } from "#identity/ports";
import type { Clock } from "#kernel/clock";
import { IsolateCache } from "./isolate-cache.ts";
import { registryLimits } from "./registry-limits.ts";
import { certificates, clients } from "./schema.ts";

/** Whose clients hold a certificate, out of D1, remembered for seconds. Only reads; throws when it cannot be read. */
export function certificateHolders(registry: D1Database, clock: Clock): CertificateHolders {
  const cache = new IsolateCache<readonly string[]>(registryLimits, clock, async (x5t) => {
    const rows = await drizzle(registry)
      .selectDistinct({ issuer: clients.issuer })
      .from(certificates)
      .innerJoin(clients, eq(clients.id, certificates.client))
      .where(and(eq(certificates.x5t, x5t), isNotNull(clients.issuer)));
    const found = rows.flatMap(({ issuer }) => issuer ?? []);
    return found.length === 0 ? undefined : found; // made-up certificates push no real one out
  });
  return { issuersOf: async (x5t) => (await cache.get(x5t)) ?? [] };
}
