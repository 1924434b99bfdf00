import type { CertificateHolders } from "#identity/ports";
import { registryCache } from "./copies/registry-cache.ts";
import { askRegistry, rowsWhere, type ReadTable } from "./read-table.ts";
import type { RegistryReader } from "./copies/registry-reader.ts";

const holders: ReadTable<{ readonly issuer: string }> = {
  name: "certificates join clients on clients.id = certificates.client",
  columns: { issuer: "plain" },
};

/**
 * The issuers of the clients that registered a certificate, read from D1 and cached for seconds. Only reads;
 * throws when D1 cannot be read.
 */
export function certificateHolders(registry: RegistryReader): CertificateHolders {
  const cache = registryCache<readonly string[]>(
    registry,
    () => "unnamed",
    async (db, x5t) => {
      const withIssuer = rowsWhere(holders, "x5t = ? and issuer is not null group by issuer", x5t);
      const [rows] = await askRegistry(db, withIssuer);
      const found = rows.map(({ issuer }) => issuer);
      return found.length === 0 ? undefined : found; // made-up certificates evict no real certificate
    },
  );
  return { issuersOf: async (x5t) => (await cache.get(x5t)) ?? [] };
}
