import type { AuthorizationServers } from "#registry/ports";
import { signInPlace } from "#registry/sign-in-place";
import { askRegistry, issuerTable, originTable, rowsWhere, type ReadTable } from "./read-table.ts";
import { registryCache } from "./copies/registry-cache.ts";
import { wholeLimits } from "./copies/registry-limits.ts";
import type { RegistryReader } from "./copies/registry-reader.ts";

type AcceptedIssuers = Awaited<ReturnType<AuthorizationServers["of"]>>;

const none: AcceptedIssuers = { signIn: undefined, external: [] };

const grantedClients: ReadTable<{ readonly origin: string; readonly issuer: string }> = {
  name: "grants join clients on clients.id = grants.client",
  columns: { origin: "plain", issuer: "plain" },
};

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
      const [places, servers, granted] = await askRegistry(
        db,
        rowsWhere(originTable),
        rowsWhere(issuerTable),
        rowsWhere(
          grantedClients,
          "status = 'active' and issuer is not null group by origin, issuer order by issuer",
        ),
      );
      const serverAt = new Map(servers.map((server) => [server.iss, server]));
      const external = Map.groupBy(granted, ({ origin }) => origin);
      return new Map(
        places.map(({ name, signInAt }) => {
          const server = signInAt === null ? undefined : serverAt.get(signInAt);
          return [
            name,
            {
              signIn:
                server &&
                signInPlace({
                  iss: server.iss,
                  jwksUri: server.jwksUri ?? undefined,
                  endpoints: server.endpoints ?? undefined,
                }),
              external: external.get(name)?.map(({ issuer }) => issuer) ?? [],
            },
          ];
        }),
      );
    },
    wholeLimits,
  );
  return { of: async (origin) => (await cache.get("all"))?.get(origin) ?? none };
}
