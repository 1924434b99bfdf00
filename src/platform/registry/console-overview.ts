import { and, count, eq, gt, isNotNull, isNull, min } from "drizzle-orm";
import { instant, type Instant } from "#kernel/clock";
import type { RequestQuota } from "#limits/request-quota";
import type { RegistryEnd } from "#registry/ends-soon";
import type { Waiting, WaitingWork } from "#registry/waiting-work";
import { drizzled, type RegistrySql } from "./registry-sql.ts";
import { agreements, certificates, clients, grants, proposals, reviews } from "./schema.ts";

/**
 * The known ends of agreements and certificates of active clients, the first first. A certificate that was
 * registered by its thumbprint alone has no known end. Throws D1's errors.
 */
export async function registryEnds(registry: RegistrySql): Promise<readonly RegistryEnd[]> {
  const db = drizzled(registry);
  const [ofAgreements, ofCertificates] = await db.batch([
    db
      .select({ client: agreements.client, name: agreements.id, ends: agreements.ends })
      .from(agreements)
      .innerJoin(clients, eq(agreements.client, clients.id))
      .where(eq(clients.status, "active")),
    db
      .select({ client: certificates.client, name: certificates.x5t, ends: certificates.notAfter })
      .from(certificates)
      .innerJoin(clients, eq(certificates.client, clients.id))
      .where(and(eq(clients.status, "active"), isNotNull(certificates.notAfter))),
  ]);
  return [
    ...ofAgreements.map(({ client, name, ends }): RegistryEnd => ({ kind: "agreement", client, name, ends })),
    ...ofCertificates.flatMap(({ client, name, ends }): RegistryEnd[] =>
      ends === null ? [] : [{ kind: "certificate", client, name, ends }],
    ),
  ].sort((left, right) => left.ends - right.ends);
}

/** The request quotas of the grants of active clients. Throws D1's errors. */
export const requestQuotas = async (registry: RegistrySql): Promise<readonly RequestQuota[]> =>
  drizzled(registry)
    .select({
      client: grants.client,
      purpose: grants.purpose,
      requests: grants.quotaRequests,
      windowSeconds: grants.quotaWindowSeconds,
    })
    .from(grants)
    .innerJoin(clients, eq(grants.client, clients.id))
    .where(eq(clients.status, "active"));

/** The open reviews of break-glass and the open proposals at a moment. Throws D1's errors. */
export async function waitingWork(registry: RegistrySql, at: Instant): Promise<WaitingWork> {
  const db = drizzled(registry);
  const [ofReviews, ofProposals] = await db.batch([
    db
      .select({ count: count(), since: min(reviews.openedAt) })
      .from(reviews)
      .where(isNull(reviews.closedAt)),
    db
      .select({ count: count(), since: min(proposals.proposedAt) })
      .from(proposals)
      .where(and(eq(proposals.state, "open"), gt(proposals.expiresAt, at))),
  ]);
  return { reviews: waiting(ofReviews), proposals: waiting(ofProposals) };
}

function waiting([row]: readonly { readonly count: number; readonly since: number | null }[]):
  | Waiting
  | undefined {
  return row === undefined || row.since === null
    ? undefined
    : { count: row.count, since: instant(row.since) };
}
