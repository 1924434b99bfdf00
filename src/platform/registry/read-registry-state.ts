import { eq } from "drizzle-orm";
import * as z from "zod";
import type { RegisteredCertificate } from "#identity/client";
import { grantKey, type GrantEntry, type PolicyEntry, type RegistryState } from "#registry/state";
import { originOf } from "./origin-directory.ts";
import { drizzled, type RegistrySql } from "./registry-sql.ts";
import {
  agreementPurposes,
  agreements,
  certificates,
  certificateSubjects,
  clients,
  grants,
  issuers,
  operators,
  origins,
  policies,
  policyPurposes,
} from "./schema.ts";

/** The registry's present state, in one round trip, for a merge. */
export async function readRegistryState(registry: RegistrySql): Promise<RegistryState> {
  const db = drizzled(registry);
  const [
    everyClient,
    everyCertificate,
    everySubject,
    everyAgreement,
    everyPurpose,
    everyPolicy,
    everyPolicyPurpose,
    everyGrant,
    everyOrigin,
    everyIssuer,
  ] = await db.batch([
    db.select().from(clients),
    db.select().from(certificates),
    db.select().from(certificateSubjects),
    db.select().from(agreements),
    db.select().from(agreementPurposes),
    db.select({ digest: policies.digest }).from(policies),
    db.select().from(policyPurposes),
    db.select().from(grants),
    db.select().from(origins),
    db.select().from(issuers),
  ]);
  const purposes = Map.groupBy(everyPurpose, ({ agreement }) => agreement);
  const policyPurposesBy = Map.groupBy(everyPolicyPurpose, ({ policy }) => policy);
  const certificatesBy = Map.groupBy(everyCertificate, ({ client }) => client);
  return {
    issuers: new Map(
      everyIssuer.map(({ iss, jwks, jwksUri, algs, introspection, audience, purpose, claims, endpoints }) => [
        iss,
        {
          iss,
          jwks: jwks !== null && jwks.keys.length > 0 ? jwks : undefined,
          jwksUri: jwksUri ?? undefined,
          algs,
          introspection: introspection ?? undefined,
          audience,
          purpose,
          claims,
          endpoints: endpoints ?? undefined,
        },
      ]),
    ),
    clients: new Map(
      everyClient.map(
        ({
          id,
          kind,
          status,
          auth,
          issuer,
          externalClientId,
          jwks,
          jwksUri,
          assertionProfile,
          dpop,
          patient,
          region,
          organization,
          entity,
          unboundUntil,
          selfSigned,
          corsOrigins,
        }) => [
          id,
          {
            id,
            kind,
            status,
            auth: selfSigned ? "self_signed_tls_client_auth" : auth,
            issuer: issuer ?? undefined,
            externalClientId: externalClientId ?? undefined,
            jwks: jwks ?? undefined,
            jwksUri: jwksUri ?? undefined,
            assertionProfile,
            dpop,
            patient: patient ?? undefined,
            region: region ?? undefined,
            organization: organization === null ? undefined : [...organization],
            entity: entity ?? undefined,
            unboundUntil: unboundUntil ?? undefined,
            corsOrigins: [...corsOrigins],
          },
        ],
      ),
    ),
    certificates: new Map(
      [...certificatesBy].map(([client, rows]): [string, RegisteredCertificate[]] => [
        client,
        rows.map(({ x5t, notBefore, notAfter }) => ({
          x5t,
          from: notBefore ?? undefined,
          to: notAfter ?? undefined,
        })),
      ]),
    ),
    certificateSubjects: new Map(
      [...Map.groupBy(everySubject, ({ client }) => client)].map(([client, rows]) => [
        client,
        rows.map(({ issuerDn, field, value }) => ({ issuerDn, field, value })),
      ]),
    ),
    agreements: new Map(
      everyAgreement.map(({ id, client, begins, ends, documentHash }) => [
        id,
        {
          id,
          client,
          purposes: (purposes.get(id) ?? []).map(({ purpose }) => purpose).sort(),
          from: begins,
          to: ends,
          documentHash,
        },
      ]),
    ),
    policies: new Map(
      everyPolicy.map(({ digest }) => [
        digest,
        { digest, purposes: (policyPurposesBy.get(digest) ?? []).map(({ purpose }) => purpose) },
      ]),
    ),
    grants: new Map(
      everyGrant.map((row) => [
        grantKey(row),
        {
          client: row.client,
          origin: row.origin,
          purpose: row.purpose,
          agreement: row.agreement,
          policy: row.policy,
          scopes: row.scopes,
          quotas: quotasOf(row),
          signedRequests: row.signedRequests,
          signedResponses: row.signedResponses,
          keyedWrites: row.keyedWrites,
          measureElements: row.measureElements,
          breakGlass: row.breakGlass ?? undefined,
        },
      ]),
    ),
    origins: new Map(everyOrigin.map((row) => [row.name, originOf(row)])),
  };
}

/** The issuers at which active operators sign in. Operators may be written by hand: only the issuer is read. */
export async function readOperatorIssuers(registry: RegistrySql): Promise<ReadonlySet<string>> {
  const rows = await drizzled(registry)
    .select({ signIn: operators.signIn })
    .from(operators)
    .where(eq(operators.status, "active"));
  return new Set(rows.flatMap(({ signIn }) => issuerOf.safeParse(signIn).data?.iss ?? []));
}

const issuerOf = z.object({ iss: z.string() });

/** The policies of these digests, in the order of their names. */
export async function readPolicies(
  registry: RegistrySql,
  digests: ReadonlySet<string>,
): Promise<readonly PolicyEntry[]> {
  const rows = await drizzled(registry).select().from(policies).orderBy(policies.name, policies.digest);
  return rows
    .filter(({ digest }) => digests.has(digest))
    .map(({ digest, name, body }) => ({ digest, name, purposes: [], body }));
}

function quotasOf(row: typeof grants.$inferSelect): GrantEntry["quotas"] {
  const { subjectQuotaRequests, subjectQuotaWindowSeconds, recordQuotaRecords, recordQuotaWindowSeconds } =
    row;
  return {
    default: { requests: row.quotaRequests, windowSeconds: row.quotaWindowSeconds },
    ...(subjectQuotaRequests !== null &&
      subjectQuotaWindowSeconds !== null && {
        perSubject: { requests: subjectQuotaRequests, windowSeconds: subjectQuotaWindowSeconds },
      }),
    ...(recordQuotaRecords !== null &&
      recordQuotaWindowSeconds !== null && {
        records: { records: recordQuotaRecords, windowSeconds: recordQuotaWindowSeconds },
      }),
  };
}
