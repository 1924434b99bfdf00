import { and, eq, isNotNull } from "drizzle-orm";
import type { CertificateHolders } from "#identity/ports";
import { registryCache } from "./registry-cache.ts";
import type { RegistryReader } from "./registry-reader.ts";
import { certificates, clients } from "./schema.ts";

/**
 * The issuers of the clients that registered a certificate, read from D1 and cached for seconds. Only reads;
 * throws when D1 cannot be read.
 */
export function certificateHolders(registry: RegistryReader): CertificateHolders {
  const cache = registryCache<readonly string[]>(
    registry,
    () => "unnamed",
    async (db, x5t) => {
      const rows = await db
        .selectDistinct({ issuer: clients.issuer })
        .from(certificates)
        .innerJoin(clients, eq(clients.id, certificates.client))
        .where(and(eq(certificates.x5t, x5t), isNotNull(clients.issuer)));
      const found = rows.flatMap(({ issuer }) => issuer ?? []);
      return found.length === 0 ? undefined : found; // made-up certificates evict no real certificate
    },
  );
  return { issuersOf: async (x5t) => (await cache.get(x5t)) ?? [] };
}
