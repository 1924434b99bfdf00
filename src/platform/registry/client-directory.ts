import { and, eq, inArray, type SQL } from "drizzle-orm";
import type { ClientRecord } from "#identity/client";
import type { ClientDirectory } from "#identity/ports";
import { parseScopes } from "#identity/scopes";
import type { EvictableCache } from "./isolate-cache.ts";
import { registryCache } from "./registry-cache.ts";
import { clientLimits } from "./registry-limits.ts";
import type { RegistryReader } from "./registry-reader.ts";
import type { drizzled } from "./registry-sql.ts";
import {
  agreementPurposes,
  agreements,
  certificates,
  certificateSubjects,
  clients,
  grants,
} from "./schema.ts";

/**
 * The registry's clients, read from D1 in one round trip for each client and cached for seconds. Only reads.
 */
export function clientDirectory(registry: RegistryReader): ClientDirectory & EvictableCache {
  const byId = registryCache(
    registry,
    (id) => `client/${id}`,
    (db, id) => readClient(db, eq(clients.id, id)),
    clientLimits,
  );
  const byName = registryCache(
    registry,
    () => "client",
    (db, name) => {
      const [issuer = "", id = ""] = JSON.parse(name) as string[]; // the key that is made below
      return readClient(db, and(eq(clients.issuer, issuer), eq(clients.externalClientId, id)));
    },
    clientLimits,
  );
  return {
    find: (id) => byId.get(id),
    findExternal: ({ issuer, id }) => byName.get(JSON.stringify([issuer, id])),
    forget(id, epoch) {
      byId.forget(id, epoch);
      byName.forgetAll(epoch); // the client's old and new external names are not known here
    },
    forgetAll(epoch) {
      byId.forgetAll(epoch);
      byName.forgetAll(epoch);
    },
  };
}

/** `which` matches at most one client: by its key, or by the unique index on issuer and external id. */
async function readClient(
  db: ReturnType<typeof drizzled>,
  which: SQL | undefined,
): Promise<ClientRecord | undefined> {
  const clientIds = db.select({ id: clients.id }).from(clients).where(which);
  const [[client], itsCertificates, itsSubjects, itsAgreements, itsPurposes, itsGrants] = await db.batch([
    db.select().from(clients).where(which),
    db.select().from(certificates).where(inArray(certificates.client, clientIds)),
    db.select().from(certificateSubjects).where(inArray(certificateSubjects.client, clientIds)),
    db.select().from(agreements).where(inArray(agreements.client, clientIds)),
    db
      .select({ agreement: agreementPurposes.agreement, purpose: agreementPurposes.purpose })
      .from(agreementPurposes)
      .innerJoin(agreements, eq(agreements.id, agreementPurposes.agreement))
      .where(inArray(agreements.client, clientIds)),
    db.select().from(grants).where(inArray(grants.client, clientIds)),
  ]);
  if (client === undefined) return undefined;
  return {
    id: client.id,
    kind: client.kind,
    status: client.status,
    authentication: client.selfSigned ? "self_signed_tls_client_auth" : client.auth,
    tokensBoundTo: client.dpop ? "key" : "certificate",
    assertionProfile: client.assertionProfile,
    keys: client.jwks?.keys ?? [],
    jwksUri: client.jwksUri ?? undefined,
    external:
      client.issuer === null || client.externalClientId === null
        ? undefined
        : { issuer: client.issuer, id: client.externalClientId },
    patient: client.patient ?? undefined,
    organization: client.organization ?? undefined,
    unboundUntil: client.unboundUntil ?? undefined,
    home:
      client.region === null && client.regionSince === null
        ? undefined
        : { region: client.region ?? undefined, since: client.regionSince ?? undefined },
    certificates: itsCertificates.map(({ x5t, notBefore, notAfter }) => ({
      x5t,
      from: notBefore ?? undefined,
      to: notAfter ?? undefined,
    })),
    certificateSubjects: itsSubjects.map(({ issuerDn, field, value }) => ({ issuerDn, field, value })),
    corsOrigins: client.corsOrigins,
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
    signedRequests: row.signedRequests,
    signedResponses: row.signedResponses,
    keyedWrites: row.keyedWrites,
    breakGlass: row.breakGlass ?? undefined,
    scopes: scopes.value,
    quotas: {
      default: { requests: row.quotaRequests, windowSeconds: row.quotaWindowSeconds, revision: row.revision },
      perSubject: quotaOf(row.subjectQuotaRequests, row.subjectQuotaWindowSeconds, row.revision),
      records: quotaOf(row.recordQuotaRecords, row.recordQuotaWindowSeconds, row.revision),
    },
  };
}

const quotaOf = (requests: number | null, windowSeconds: number | null, revision: number) =>
  requests === null || windowSeconds === null ? undefined : { requests, windowSeconds, revision };
