import { eq } from "drizzle-orm";
import * as z from "zod";
import type { RegisteredCertificate } from "#identity/client";
import {
  grantKey,
  type AgreementEntry,
  type ClientEntry,
  type GrantEntry,
  type IssuerEntry,
  type PolicyEntry,
  type RegistryState,
} from "#registry/state";
import { withoutNulls } from "./empty-columns.ts";
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
  const agreementPurposesOf = purposesBy(everyPurpose, ({ agreement }) => agreement);
  const policyPurposesOf = purposesBy(everyPolicyPurpose, ({ policy }) => policy);
  return {
    issuers: new Map(everyIssuer.map((row) => [row.iss, issuerOf(row)])),
    clients: new Map(everyClient.map((row) => [row.id, clientOf(row)])),
    certificates: new Map(
      [...Map.groupBy(everyCertificate, ({ client }) => client)].map(([client, rows]) => [
        client,
        rows.map(certificateOf),
      ]),
    ),
    certificateSubjects: new Map(
      [...Map.groupBy(everySubject, ({ client }) => client)].map(([client, rows]) => [
        client,
        rows.map(({ issuerDn, field, value }) => ({ issuerDn, field, value })),
      ]),
    ),
    agreements: new Map(
      everyAgreement.map((row) => [row.id, agreementOf(row, agreementPurposesOf(row.id).sort())]),
    ),
    policies: new Map(
      everyPolicy.map(({ digest }) => [digest, { digest, purposes: policyPurposesOf(digest) }]),
    ),
    grants: new Map(everyGrant.map((row) => [grantKey(row), grantOf(row)])),
    origins: new Map(everyOrigin.map((row) => [row.name, withoutNulls(row)])),
  };
}

function purposesBy<Row extends { readonly purpose: string }>(
  rows: readonly Row[],
  keyOf: (row: Row) => string,
): (key: string) => string[] {
  const grouped = Map.groupBy(rows, keyOf);
  return (key) => (grouped.get(key) ?? []).map(({ purpose }) => purpose);
}

function issuerOf(row: typeof issuers.$inferSelect): IssuerEntry {
  const { jwks, ...issuer } = withoutNulls(row);
  return { ...issuer, jwks: jwks !== undefined && jwks.keys.length > 0 ? jwks : undefined };
}

function clientOf(row: typeof clients.$inferSelect): ClientEntry {
  const { selfSigned, regionSince: _, auth, ...client } = withoutNulls(row);
  return { ...client, auth: selfSigned ? "self_signed_tls_client_auth" : auth };
}

const certificateOf = ({
  x5t,
  notBefore,
  notAfter,
}: typeof certificates.$inferSelect): RegisteredCertificate => ({
  x5t,
  from: notBefore ?? undefined,
  to: notAfter ?? undefined,
});

const agreementOf = (
  { id, client, begins, ends, kind, documentHash }: typeof agreements.$inferSelect,
  purposes: string[],
): AgreementEntry => ({
  id,
  client,
  purposes,
  from: begins,
  to: ends,
  ...(kind !== null && { kind }),
  documentHash,
});

function grantOf(row: typeof grants.$inferSelect): GrantEntry {
  const {
    quotaRequests,
    quotaWindowSeconds,
    subjectQuotaRequests,
    subjectQuotaWindowSeconds,
    recordQuotaRecords,
    recordQuotaWindowSeconds,
    revision: _,
    ...grant
  } = withoutNulls(row);
  const quotas = {
    default: { requests: quotaRequests, windowSeconds: quotaWindowSeconds },
    ...(subjectQuotaRequests !== undefined &&
      subjectQuotaWindowSeconds !== undefined && {
        perSubject: { requests: subjectQuotaRequests, windowSeconds: subjectQuotaWindowSeconds },
      }),
    ...(recordQuotaRecords !== undefined &&
      recordQuotaWindowSeconds !== undefined && {
        records: { records: recordQuotaRecords, windowSeconds: recordQuotaWindowSeconds },
      }),
  };
  return { ...grant, quotas };
}

/** The issuers at which active operators sign in. Operators may be written by hand: only the issuer is read. */
export async function readOperatorIssuers(registry: RegistrySql): Promise<ReadonlySet<string>> {
  const rows = await drizzled(registry)
    .select({ signIn: operators.signIn })
    .from(operators)
    .where(eq(operators.status, "active"));
  return new Set(rows.flatMap(({ signIn }) => issuerOfSignIn.safeParse(signIn).data?.iss ?? []));
}

const issuerOfSignIn = z.object({ iss: z.string() });

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
