import { and, eq, inArray, type SQL } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { ClientRecord } from "#identity/client";
import type { ClientDirectory } from "#identity/ports";
import { parseScopes } from "#identity/scopes";
import type { Clock } from "#kernel/clock";
import { registryLimits } from "./registry-limits.ts";
import { IsolateCache, type Forgetful } from "./isolate-cache.ts";
import { agreementPurposes, agreements, certificates, certificateSubjects, clients, grants } from "./schema.ts";

/** The registry's clients out of D1, one round trip for a client, remembered for seconds. Only reads. */
export function clientDirectory(registry: D1Database, clock: Clock): ClientDirectory & Forgetful {
  const byId = new IsolateCache(registryLimits, clock, (id) => readClient(registry, eq(clients.id, id)));
  const byName = new IsolateCache(registryLimits, clock, (name) => {
    const [issuer = "", id = ""] = JSON.parse(name) as string[]; // the key that is made below
    return readClient(registry, and(eq(clients.issuer, issuer), eq(clients.externalClientId, id)));
  });
  return {
    find: (id) => byId.get(id),
    findExternal: ({ issuer, id }) => byName.get(JSON.stringify([issuer, id])),
    forget(id) {
      byId.forget(id);
      byName.forgetAll(); // which name it had, and has now, is not known here
    },
    forgetAll() {
      byId.forgetAll();
      byName.forgetAll();
    },
  };
}

/** `which` names at most one client: by its key, or by the unique index on issuer and external id. */
async function readClient(registry: D1Database, which: SQL | undefined): Promise<ClientRecord | undefined> {
  const db = drizzle(registry);
  const its = db.select({ id: clients.id }).from(clients).where(which);
  const [[client], itsCertificates, itsSubjects, itsAgreements, itsPurposes, itsGrants] = await db.batch([
    db.select().from(clients).where(which),
    db.select().from(certificates).where(inArray(certificates.client, its)),
    db.select().from(certificateSubjects).where(inArray(certificateSubjects.client, its)),
    db.select().from(agreements).where(inArray(agreements.client, its)),
    db
      .select({ agreement: agreementPurposes.agreement, purpose: agreementPurposes.purpose })
      .from(agreementPurposes)
      .innerJoin(agreements, eq(agreements.id, agreementPurposes.agreement))
      .where(inArray(agreements.client, its)),
    db.select().from(grants).where(inArray(grants.client, its)),
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
      client.issuer === null || client.externalClientId === null ? undefined : { issuer: client.issuer, id: client.externalClientId },
    patient: client.patient ?? undefined,
    unboundUntil: client.unboundUntil ?? undefined,
    certificates: itsCertificates.map(({ x5t, notBefore, notAfter }) => ({ x5t, from: notBefore ?? undefined, to: notAfter ?? undefined })),
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
    scopes: scopes.value,
    quotas: { default: { requests: row.quotaRequests, windowSeconds: row.quotaWindowSeconds, revision: row.revision } },
  };
}
