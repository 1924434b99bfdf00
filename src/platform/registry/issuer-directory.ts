import type { TrustedIssuer } from "#identity/issuer";
import type { IssuerDirectory } from "#identity/ports";
import type { EvictableCache } from "./copies/isolate-cache.ts";
import { withoutNulls } from "./empty-columns.ts";
import { askRegistry, issuerTable, rowsWhere } from "./read-table.ts";
import { registryCache } from "./copies/registry-cache.ts";
import { wholeLimits } from "./copies/registry-limits.ts";
import type { RegistryReader } from "./copies/registry-reader.ts";
import type { issuers } from "./schema.ts";

/**
 * The registry's external issuers, read from D1 and cached for seconds. Only reads. All issuers are read at
 * once: there are few, and a made-up `iss` must cause no read, since it arrives before any signature is
 * proven.
 */
export function issuerDirectory(registry: RegistryReader): IssuerDirectory & EvictableCache {
  const cache = registryCache(
    registry,
    () => "issuer",
    async (db) => {
      const [rows] = await askRegistry(db, rowsWhere(issuerTable));
      return new Map(rows.map((row) => [row.iss, issuerOf(row)]));
    },
    wholeLimits,
  );
  const forgetAll = (epoch: number) => cache.forgetAll(epoch);
  return {
    find: async (iss) => (await cache.get("all"))?.get(iss),
    forget: (_, epoch) => forgetAll(epoch),
    forgetAll,
  };
}

function issuerOf(row: typeof issuers.$inferSelect): TrustedIssuer {
  const { jwks, algs: algorithms, endpoints: _, ...issuer } = withoutNulls(row);
  return { ...issuer, keys: jwks?.keys ?? [], algorithms };
}
