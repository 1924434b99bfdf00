import { and, eq, isNotNull } from "drizzle-orm";
import type { AuthorizationServers } from "#registry/ports";
import { signInPlace } from "#registry/sign-in-place";
import { registryCache } from "./registry-cache.ts";
import type { RegistryReader } from "./registry-reader.ts";
import { clients, grants, issuers, origins } from "./schema.ts";

type AcceptedIssuers = Awaited<ReturnType<AuthorizationServers["of"]>>;

const none: AcceptedIssuers = { signIn: undefined, external: [] };

/**
 * The issuers whose tokens each origin accepts, read from D1 and cached for seconds. Only reads; throws when
 * no copy is young enough and D1 cannot be read. All origins are read at once: a request that makes up an
 * origin's name comes without any credential, and must cause no read.
 */
export function authorizationServers(registry: RegistryReader): AuthorizationServers {
  const cache = registryCache<ReadonlyMap<string, AcceptedIssuers>>(
    registry,
    () => "unnamed",
    async (db) => {
      const [places, granted] = await db.batch([
        db
          .select({
            origin: origins.name,
            iss: issuers.iss,
            jwksUri: issuers.jwksUri,
            endpoints: issuers.endpoints,
          })
          .from(origins)
          .leftJoin(issuers, eq(issuers.iss, origins.signInAt)),
        db
          .selectDistinct({ origin: grants.origin, issuer: clients.issuer })
          .from(grants)
          .innerJoin(clients, eq(clients.id, grants.client))
          .where(and(eq(clients.status, "active"), isNotNull(clients.issuer)))
          .orderBy(clients.issuer),
      ]);
      const external = Map.groupBy(granted, ({ origin }) => origin);
      return new Map(
        places.map(({ origin, iss, jwksUri, endpoints }) => [
          origin,
          {
            signIn:
              iss === null
                ? undefined
                : signInPlace({ iss, jwksUri: jwksUri ?? undefined, endpoints: endpoints ?? undefined }),
            external: external.get(origin)?.flatMap(({ issuer }) => issuer ?? []) ?? [],
          },
        ]),
      );
    },
  );
  return { of: async (origin) => (await cache.get("all"))?.get(origin) ?? none };
}
