import type { TrustedIssuer } from "#identity/issuer";
import type { IssuerDirectory } from "#identity/ports";
import type { EvictableCache } from "./isolate-cache.ts";
import { registryCache } from "./registry-cache.ts";
import type { RegistryReader } from "./registry-reader.ts";
import { issuers } from "./schema.ts";

/**
 * The registry's external issuers out of D1, remembered for seconds. Only reads. All are read at once: there are few, and an `iss` that
 * somebody made up must cost no read, since it comes before any signature is proven.
 */
export function issuerDirectory(registry: RegistryReader): IssuerDirectory & EvictableCache {
  const cache = registryCache(
    registry,
    () => "issuer",
    async (db) => {
      const rows = await db.select().from(issuers);
      return new Map(rows.map((row) => [row.iss, issuerOf(row)]));
    },
  );
  const forgetAll = (epoch: number) => cache.forgetAll(epoch);
  return {
    find: async (iss) => (await cache.get("all"))?.get(iss),
    forget: (_, epoch) => forgetAll(epoch),
    forgetAll,
  };
}

function issuerOf({
  iss,
  jwks,
  jwksUri,
  algs,
  introspection,
  audience,
  purpose,
  claims,
}: typeof issuers.$inferSelect): TrustedIssuer {
  return {
    iss,
    keys: jwks?.keys ?? [],
    jwksUri: jwksUri ?? undefined,
    algorithms: algs,
    introspection: introspection ?? undefined,
    audience,
    purpose,
    claims,
  };
}
