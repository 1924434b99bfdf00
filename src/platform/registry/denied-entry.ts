import { and, eq, type SQL } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import type { Denial } from "#identity/denial-document";
import { drizzled, type RegistrySql } from "./registry-sql.ts";
import { agreements, authorities, clients, grants, issuers, policies } from "./schema.ts";

/**
 * The field of a denial that names no entry of the registry; `undefined` if each field names one. Certificates
 * and proof keys are denied by their hash, whether or not they are registered: a stolen certificate may have
 * been replaced. Throws D1's errors.
 * @param builtIn name of the built-in issuer.
 */
export async function unregisteredField(
  registry: RegistrySql,
  denial: Denial,
  builtIn: string,
): Promise<string | undefined> {
  const db = drizzled(registry);
  const has = async (table: SQLiteTable, condition: SQL | undefined): Promise<boolean> =>
    (await db.select().from(table).where(condition).limit(1)).length > 0;
  const hasClient = (id: string) => has(clients, eq(clients.id, id));
  const hasIssuer = async (iss: string) => iss === builtIn || (await has(issuers, eq(issuers.iss, iss)));
  switch (denial.kind) {
    case "person":
      return (await hasIssuer(denial.issuer)) ? undefined : "issuer";
    case "token":
    case "key": {
      // the keys of a client stand under its id
      const { issuer } = denial;
      return (await hasIssuer(issuer)) || (await hasClient(issuer)) ? undefined : "issuer";
    }
    case "certificate":
    case "proof_key":
      return undefined;
    case "client":
      return (await hasClient(denial.client)) ? undefined : "client";
    case "agreement": {
      if (!(await hasClient(denial.client))) return "client";
      const one = and(eq(agreements.id, denial.agreement), eq(agreements.client, denial.client));
      return (await has(agreements, one)) ? undefined : "agreement";
    }
    case "grant": {
      const { client, origin, purpose } = denial;
      if (!(await hasClient(client))) return "client";
      const atOrigin = and(eq(grants.client, client), eq(grants.origin, origin));
      if (!(await has(grants, atOrigin))) return "origin";
      return (await has(grants, and(atOrigin, eq(grants.purpose, purpose)))) ? undefined : "purpose";
    }
    case "authority": {
      const one = and(eq(authorities.id, denial.authority), eq(authorities.client, denial.client));
      return (await has(authorities, one)) ? undefined : "authority";
    }
    case "policy":
      return (await has(policies, eq(policies.digest, denial.digest))) ? undefined : "digest";
  }
}
