import type { Recipient } from "#audit/accounting/facts";
import type { ClientRecord } from "#identity/client";
import type { ClientDirectory } from "#identity/ports";
import { parseScopes } from "#identity/scopes";
import type { EvictableCache } from "./copies/isolate-cache.ts";
import {
  agreementPurposeTable,
  agreementTable,
  askRegistry,
  certificateSubjectTable,
  certificateTable,
  clientTable,
  grantTable,
  type ReadTable,
  rowsWhere,
} from "./read-table.ts";
import { registryCache } from "./copies/registry-cache.ts";
import { clientLimits } from "./copies/registry-limits.ts";
import type { RegistryReader } from "./copies/registry-reader.ts";
import type { SnapshotSql } from "./copies/snapshot-sql.ts";
import type { grants } from "./schema.ts";

/**
 * The registry's clients, read from D1 in one round trip for each client and cached for seconds. Only reads.
 */
export function clientDirectory(registry: RegistryReader): ClientDirectory & EvictableCache {
  const byId = registryCache(
    registry,
    (id) => `client/${id}`,
    (db, id) => readClient(db, "id = ?", id),
    clientLimits,
  );
  const byName = registryCache(
    registry,
    () => "client",
    (db, name) => {
      const [issuer = "", id = ""] = JSON.parse(name) as string[]; // the key that is made below
      return readClient(db, "issuer = ? and external_client_id = ?", issuer, id);
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
  registry: SnapshotSql,
  which: string,
  ...values: readonly string[]
): Promise<ClientRecord | undefined> {
  const itsOwn = `client in (select id from clients where ${which})`;
  const [[client], itsCertificates, itsSubjects, itsAgreements, itsPurposes, itsGrants] = await askRegistry(
    registry,
    rowsWhere(clientTable, which, ...values),
    rowsWhere(certificateTable, itsOwn, ...values),
    rowsWhere(certificateSubjectTable, itsOwn, ...values),
    rowsWhere(agreementTable, itsOwn, ...values),
    rowsWhere(agreementPurposeTable, `agreement in (select id from agreements where ${itsOwn})`, ...values),
    rowsWhere(grantTable, itsOwn, ...values),
  );
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
    entity: client.entity ?? undefined,
    idPrefix: client.idPrefix ?? undefined,
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
    agreements: itsAgreements.map(({ id, kind, begins, ends }) => ({
      id,
      purposes: itsPurposes.filter((row) => row.agreement === id).map(({ purpose }) => purpose),
      from: begins,
      to: ends,
      kind: kind ?? undefined,
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
    measureElements: row.measureElements,
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

const entityTable: ReadTable<{ readonly id: string; readonly entity: Recipient | null }> = {
  name: "clients",
  columns: { id: "plain", entity: "json" },
};

/** The entities behind clients, by client id, as the registry names them. Throws D1's errors. */
export const recipientNames =
  (registry: RegistryReader) =>
  async (clients: ReadonlySet<string>): Promise<Readonly<Record<string, Recipient>>> => {
    if (clients.size === 0) return {};
    // a name decides nothing, so a nearby copy of the registry serves
    const { value: rows = [] } = await registry.read("unnamed", async (db) => {
      const which = "entity is not null and id in (select value from json_each(?))";
      const [found] = await askRegistry(db, rowsWhere(entityTable, which, JSON.stringify([...clients])));
      return found;
    });
    return Object.fromEntries(rows.flatMap(({ id, entity }) => (entity === null ? [] : [[id, entity]])));
  };
