import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { ClientRecord } from "#identity/client";
import type { ClientDirectory } from "#identity/ports";
import { parseScopes } from "#identity/scopes";
import type { Clock } from "#kernel/clock";
import { registryLimits } from "./registry-limits.ts";
import { IsolateCache } from "./isolate-cache.ts";
import { agreementPurposes, agreements, certificates, clients, grants } from "./schema.ts";

/** The registry's clients out of D1, one round trip for a client, remembered for seconds. Only reads. */
export function clientDirectory(registry: D1Database, clock: Clock): ClientDirectory {
  const cache = new IsolateCache(registryLimits, clock, (id) => readClient(registry, id));
  return { find: (id) => cache.get(id) };
}

async function readClient(registry: D1Database, id: string): Promise<ClientRecord | undefined> {
  const db = drizzle(registry);
  const [[client], itsCertificates, itsAgreements, itsPurposes, itsGrants] = await db.batch([
    db.select().from(clients).where(eq(clients.id, id)),
    db.select().from(certificates).where(eq(certificates.client, id)),
    db.select().from(agreements).where(eq(agreements.client, id)),
    db
      .select({ agreement: agreementPurposes.agreement, purpose: agreementPurposes.purpose })
      .from(agreementPurposes)
      .innerJoin(agreements, eq(agreements.id, agreementPurposes.agreement))
      .where(eq(agreements.client, id)),
    db.select().from(grants).where(eq(grants.client, id)),
  ]);
  if (client === undefined) return undefined;
  if (client.auth !== "private_key_jwt" || client.jwks === null || client.dpop || client.patient !== null) {
    throw new Error("a client is registered with a feature that this version cannot enforce");
  }
  return {
    id: client.id,
    kind: client.kind,
    status: client.status,
    authentication: client.auth,
    assertionProfile: client.assertionProfile,
    keys: client.jwks.keys,
    certificates: itsCertificates.map(({ x5t, notBefore, notAfter }) => ({ x5t, from: notBefore ?? undefined, to: notAfter ?? undefined })),
    agreements: itsAgreements.map((agreement) => ({
      id: agreement.id,
      purposes: itsPurposes.filter((row) => row.agreement === agreement.id).map(({ purpose }) => purpose),
      from: agreement.begins,
      to: agreement.ends,
    })),
    grants: itsGrants.map(grantOf),
  };
}

function grantOf(row: typeof grants.$inferSelect): ClientRecord["grants"][number] {
  const scopes = parseScopes(row.scopes);
  if (!scopes.ok) throw new Error("a grant is registered with scopes that this version cannot enforce");
  return {
    origin: row.origin,
    purpose: row.purpose,
    agreement: row.agreement,
    policyDigest: row.policy,
    scopes: scopes.value,
    quotas: { default: { requests: row.quotaRequests, windowSeconds: row.quotaWindowSeconds, revision: row.revision } },
  };
}
