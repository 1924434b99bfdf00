import { and, eq, getTableColumns, sql } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import type { RegistryChanges } from "#registry/merge";
import type { AgreementEntry, ClientEntry, GrantEntry, IssuerEntry } from "#registry/state";
import type { Instant } from "#kernel/clock";
import { drizzled, type RegistrySql } from "./registry-sql.ts";
import {
  agreementPurposes,
  agreements,
  certificates,
  certificateSubjects,
  clients,
  grants,
  issuers,
  origins,
  policies,
  policyPurposes,
} from "./schema.ts";

/** A statement of the batch that writes a merge. */
export type RegistryWriteItem = BatchItem<"sqlite">;

/**
 * Writes a merge in one D1 batch: all of it or nothing. New entries are plain inserts: an entry that another
 * writer added meanwhile violates a key, and the whole batch fails. Throws D1's errors.
 */
export async function writeRegistry(
  registry: RegistrySql,
  changes: RegistryChanges,
  at: Instant,
  also?: RegistryWriteItem,
): Promise<void> {
  const db = drizzled(registry);
  const { removed } = changes;
  const writes: RegistryWriteItem[] = [
    ...(also === undefined ? [] : [also]),
    // Removed clients first: a client that is added may take the external id of a removed client.
    ...clientRemovals(db, removed),
    ...issuerWrites(db, changes.issuers),
    // After the issuers, because an origin may name an issuer.
    ...originWrites(db, changes.origins),
    ...clientWrites(db, changes.clients, at),
    ...certificateWrites(db, changes),
    ...agreementWrites(db, changes.agreements),
    ...policyWrites(db, changes.policies),
    ...grantWrites(db, changes.grants, at),
    // After the grants and clients that named them before this change.
    ...removed.agreements
      .filter(({ client }) => !removed.clients.includes(client))
      .flatMap(agreementDeletions(db)),
    ...removed.origins.map((name) => db.delete(origins).where(eq(origins.name, name))),
    ...removed.issuers.map((iss) => db.delete(issuers).where(eq(issuers.iss, iss))),
  ];
  const [first, ...rest] = writes;
  if (first !== undefined) await db.batch([first, ...rest]);
}

type Database = ReturnType<typeof drizzled>;

const clientRemovals = (db: Database, removed: RegistryChanges["removed"]): RegistryWriteItem[] => [
  ...removed.grants.map((grant) => db.delete(grants).where(isGrant(grant))),
  ...removed.clients.flatMap((id) => [
    db.delete(certificates).where(eq(certificates.client, id)),
    db.delete(certificateSubjects).where(eq(certificateSubjects.client, id)),
    ...removed.agreements.filter(({ client }) => client === id).flatMap(agreementDeletions(db)),
    db.delete(clients).where(eq(clients.id, id)),
  ]),
];

const issuerWrites = (db: Database, { added, changed }: RegistryChanges["issuers"]): RegistryWriteItem[] => [
  ...added.map((issuer) => db.insert(issuers).values({ ...issuer, ...keysOf(issuer) })),
  ...changed.map((issuer) =>
    db
      .update(issuers)
      .set(everyColumn(issuers, { ...issuer, ...keysOf(issuer) }))
      .where(eq(issuers.iss, issuer.iss)),
  ),
];

const originWrites = (db: Database, { added, changed }: RegistryChanges["origins"]): RegistryWriteItem[] => [
  ...added.map((origin) => db.insert(origins).values(origin)),
  ...changed.map((origin) =>
    db.update(origins).set(everyColumn(origins, origin)).where(eq(origins.name, origin.name)),
  ),
];

const clientWrites = (
  db: Database,
  { added, changed }: RegistryChanges["clients"],
  at: Instant,
): RegistryWriteItem[] => [
  ...vacated(changed).map(({ id }) =>
    db
      .update(clients)
      .set({ externalClientId: id.padEnd(unusedLength) })
      .where(eq(clients.id, id)),
  ),
  ...changed.map((client) =>
    db
      .update(clients)
      .set({ ...everyColumn(clients, clientRow(client)), regionSince: regionSince(client, at) })
      .where(eq(clients.id, client.id)),
  ),
  // After the changed clients: a new client may take the external id that a client gave up.
  ...added.map((client) => db.insert(clients).values(clientRow(client))),
];

const certificateWrites = (
  db: Database,
  { certificates: x5ts, certificateSubjects: subjects }: RegistryChanges,
): RegistryWriteItem[] => [
  ...x5ts.removed.map(({ client, x5t }) =>
    db.delete(certificates).where(and(eq(certificates.client, client), eq(certificates.x5t, x5t))),
  ),
  ...x5ts.added.map(({ client, x5t, from, to }) =>
    db.insert(certificates).values({ client, x5t, notBefore: from ?? null, notAfter: to ?? null }),
  ),
  ...subjects.removed.map(({ client, issuerDn, field, value }) =>
    db
      .delete(certificateSubjects)
      .where(
        and(
          eq(certificateSubjects.client, client),
          eq(certificateSubjects.issuerDn, issuerDn),
          eq(certificateSubjects.field, field),
          eq(certificateSubjects.value, value),
        ),
      ),
  ),
  ...subjects.added.map((subject) => db.insert(certificateSubjects).values(subject)),
];

const agreementWrites = (
  db: Database,
  { added, changed }: RegistryChanges["agreements"],
): RegistryWriteItem[] => [
  ...added.flatMap(({ id, client, purposes, from, to, kind, documentHash }) => [
    db.insert(agreements).values({ id, client, begins: from, ends: to, kind, documentHash }),
    ...purposes.map((purpose) => db.insert(agreementPurposes).values({ agreement: id, purpose })),
  ]),
  ...changed.map(({ id, to }) => db.update(agreements).set({ ends: to }).where(eq(agreements.id, id))),
];

const policyWrites = (db: Database, added: RegistryChanges["policies"]): RegistryWriteItem[] =>
  added.flatMap(({ digest, name, purposes, body }) => [
    db.insert(policies).values({ digest, name, body }),
    ...purposes.map((purpose) => db.insert(policyPurposes).values({ policy: digest, purpose })),
  ]);

const grantWrites = (
  db: Database,
  { added, changed }: RegistryChanges["grants"],
  at: Instant,
): RegistryWriteItem[] => [
  ...added.map((grant) => db.insert(grants).values({ ...grantRow(grant), revision: at })),
  ...changed.map((grant) =>
    db
      .update(grants)
      // The time of the change, or the last revision plus 1 if the clock has not moved on: only growth
      // counts.
      .set({
        ...everyColumn(grants, { ...grantRow(grant), revision: at }),
        revision: sql`max(${grants.revision} + 1, ${at})`,
      })
      .where(isGrant(grant)),
  ),
];

// An external id has at most 256 characters, so no client has a name of this length.
const unusedLength = 320;

/**
 * Clients whose external ids may go round among them in this change. Each takes a name that no client has before it
 * takes its new name, because SQLite compares names after each statement.
 */
const vacated = (changed: readonly ClientEntry[]): readonly ClientEntry[] => {
  const external = changed.filter(({ issuer }) => issuer !== undefined);
  return external.length > 1 ? external : [];
};

const isGrant = ({ client, origin, purpose }: Pick<GrantEntry, "client" | "origin" | "purpose">) =>
  and(eq(grants.client, client), eq(grants.origin, origin), eq(grants.purpose, purpose));

const agreementDeletions =
  (db: Database) =>
  ({ id }: AgreementEntry): BatchItem<"sqlite">[] => [
    db.delete(agreementPurposes).where(eq(agreementPurposes.agreement, id)),
    db.delete(agreements).where(eq(agreements.id, id)),
  ];

/**
 * A value stands in one of the two columns, because the table requires it, even for an issuer that signs
 * nothing.
 */
const keysOf = ({ jwks, jwksUri }: Pick<IssuerEntry, "jwks" | "jwksUri">) => ({
  jwks: jwks ?? (jwksUri === undefined ? { keys: [] } : null),
  jwksUri: jwksUri ?? null,
});

/** Set by a change of the region, whichever writer makes it: a proof of before is not taken after it. */
const regionSince = ({ region }: ClientEntry, at: Instant) =>
  sql`CASE WHEN ${clients.region} IS NOT ${region ?? null} THEN ${at} ELSE ${clients.regionSince} END`;

/** All columns, so that a value that the entry no longer has is removed: `undefined` would leave it. */
function everyColumn<T extends SQLiteTable>(table: T, row: T["$inferInsert"]): T["$inferInsert"] {
  const names = Object.keys(getTableColumns(table));
  return Object.fromEntries(names.map((name) => [name, Reflect.get(row, name) ?? null]));
}

function clientRow({ auth, ...client }: ClientEntry) {
  const selfSigned = auth === "self_signed_tls_client_auth";
  return { ...client, auth: selfSigned ? ("tls_client_auth" as const) : auth, selfSigned };
}

const grantRow = ({ quotas, ...grant }: GrantEntry) => ({
  ...grant,
  quotaRequests: quotas.default.requests,
  quotaWindowSeconds: quotas.default.windowSeconds,
  subjectQuotaRequests: quotas.perSubject?.requests ?? null,
  subjectQuotaWindowSeconds: quotas.perSubject?.windowSeconds ?? null,
  recordQuotaRecords: quotas.records?.records ?? null,
  recordQuotaWindowSeconds: quotas.records?.windowSeconds ?? null,
});
