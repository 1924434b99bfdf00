import { drizzle } from "drizzle-orm/d1";
import type { TrustedIssuer } from "#identity/issuer";
import type { IssuerDirectory } from "#identity/ports";
import type { Clock } from "#kernel/clock";
import { IsolateCache, type Forgetful } from "./isolate-cache.ts";
import { registryLimits } from "./registry-limits.ts";
import { issuers } from "./schema.ts";

/**
 * The registry's external issuers out of D1, remembered for seconds. Only reads. All are read at once: there are few, and an `iss` that
 * somebody made up must cost no read, since it comes before any signature is proven.
 */
export function issuerDirectory(registry: D1Database, clock: Clock): IssuerDirectory & Forgetful {
  const cache = new IsolateCache(registryLimits, clock, async () => {
    const rows = await drizzle(registry).select().from(issuers);
    return new Map(rows.map((row) => [row.iss, issuerOf(row)]));
  });
  const forgetAll = () => cache.forgetAll();
  return { find: async (iss) => (await cache.get("all"))?.get(iss), forget: forgetAll, forgetAll };
}

function issuerOf({ iss, jwks, jwksUri, algs, introspection, audience, purpose, claims }: typeof issuers.$inferSelect): TrustedIssuer {
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
