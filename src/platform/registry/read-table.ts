import type { SnapshotSql } from "./copies/snapshot-sql.ts";
import type {
  agreementPurposes,
  agreements,
  certificates,
  certificateSubjects,
  clients,
  grants,
  issuers,
  origins,
  policies,
} from "./schema.ts";

// The gateway asks D1 few fixed questions, so it uses plain SQL: drizzle would be 6 % of its bundle (ADR 59).
// The types come from drizzle's schema, and test/platform/control/schema.test.ts compares the names.

/** How a column keeps a value: as it is, as 0 or 1, or as JSON text. */
type Form<T> =
  NonNullable<T> extends boolean ? "flag" : NonNullable<T> extends string | number ? "plain" : "json";

/** A table that the gateway reads. The column of `selfSigned` is `self_signed`. */
export interface ReadTable<Row> {
  readonly name: string;
  readonly columns: { readonly [Name in keyof Row & string]: Form<Row[Name]> };
}

type RowOf<Table> = Table extends { readonly $inferSelect: infer Row } ? Row : never;

export const clientTable: ReadTable<RowOf<typeof clients>> = {
  name: "clients",
  columns: {
    id: "plain",
    kind: "plain",
    status: "plain",
    auth: "plain",
    issuer: "plain",
    externalClientId: "plain",
    jwks: "json",
    jwksUri: "plain",
    assertionProfile: "plain",
    dpop: "flag",
    patient: "plain",
    unboundUntil: "plain",
    selfSigned: "flag",
    corsOrigins: "json",
    region: "plain",
    regionSince: "plain",
    organization: "json",
    entity: "json",
    idPrefix: "plain",
  },
};

export const certificateTable: ReadTable<RowOf<typeof certificates>> = {
  name: "certificates",
  columns: { client: "plain", x5t: "plain", notBefore: "plain", notAfter: "plain" },
};

export const certificateSubjectTable: ReadTable<RowOf<typeof certificateSubjects>> = {
  name: "certificate_subjects",
  columns: { client: "plain", issuerDn: "plain", field: "plain", value: "plain" },
};

export const agreementTable: ReadTable<RowOf<typeof agreements>> = {
  name: "agreements",
  columns: {
    id: "plain",
    client: "plain",
    begins: "plain",
    ends: "plain",
    documentHash: "plain",
    kind: "plain",
  },
};

export const agreementPurposeTable: ReadTable<RowOf<typeof agreementPurposes>> = {
  name: "agreement_purposes",
  columns: { agreement: "plain", purpose: "plain" },
};

export const grantTable: ReadTable<RowOf<typeof grants>> = {
  name: "grants",
  columns: {
    client: "plain",
    origin: "plain",
    purpose: "plain",
    agreement: "plain",
    policy: "plain",
    scopes: "plain",
    quotaRequests: "plain",
    quotaWindowSeconds: "plain",
    revision: "plain",
    signedRequests: "flag",
    signedResponses: "flag",
    subjectQuotaRequests: "plain",
    subjectQuotaWindowSeconds: "plain",
    recordQuotaRecords: "plain",
    recordQuotaWindowSeconds: "plain",
    keyedWrites: "flag",
    breakGlass: "json",
    measureElements: "flag",
  },
};

export const originTable: ReadTable<RowOf<typeof origins>> = {
  name: "origins",
  columns: {
    name: "plain",
    url: "plain",
    forwardClientCert: "flag",
    signInAt: "plain",
    alsoKnownAs: "json",
    transactions: "plain",
    honoursIfMatchOnDelete: "flag",
    capabilities: "json",
    leasedWrites: "json",
    acceptsSearchInUrl: "flag",
    limits: "json",
    organization: "json",
    consents: "json",
    credentials: "json",
    headers: "json",
    storage: "json",
  },
};

export const issuerTable: ReadTable<RowOf<typeof issuers>> = {
  name: "issuers",
  columns: {
    iss: "plain",
    jwks: "json",
    jwksUri: "plain",
    algs: "json",
    audience: "plain",
    purpose: "json",
    claims: "json",
    introspection: "json",
    endpoints: "json",
  },
};

export const policyTable: ReadTable<RowOf<typeof policies>> = {
  name: "policies",
  columns: { digest: "plain", name: "plain", body: "json" },
};

/** `externalClientId` → `external_client_id`. */
export const columnOf = (name: string): string =>
  name.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`);

/** A table's rows by a condition: SQL text with a `?` for each of `values`. */
export interface RowQuestion<Row> {
  readonly table: ReadTable<Row>;
  readonly condition: string;
  readonly values: readonly string[];
}

export const rowsWhere = <Row>(
  table: ReadTable<Row>,
  condition = "true",
  ...values: readonly string[]
): RowQuestion<Row> => ({ table, condition, values });

/** The rows of each question, in one round trip. Throws D1's errors, and when a column is absent or malformed. */
export async function askRegistry<Rows extends readonly unknown[]>(
  registry: SnapshotSql,
  ...questions: { readonly [N in keyof Rows]: RowQuestion<Rows[N]> }
): Promise<{ [N in keyof Rows]: Rows[N][] }> {
  const found = await registry.batch(
    questions.map(({ table: { name, columns }, condition, values }) =>
      registry
        .prepare(`select ${Object.keys(columns).map(columnOf).join(", ")} from ${name} where ${condition}`)
        // oxlint-disable-next-line phylax/no-spread-arguments -- D1 takes arguments, a hundred at most
        .bind(...values),
    ),
  );
  const rows = questions.map(({ table }, n) => rowsRead(table, found[n]?.results));
  return rows as { [N in keyof Rows]: Rows[N][] }; // the rows of each question, in their order
}

/** The rows of D1's answer. Throws when a column is absent or malformed. */
export function rowsRead<Row>(
  { name: table, columns }: ReadTable<Row>,
  results: readonly Record<string, unknown>[] = [],
): Row[] {
  const forms = Object.entries<string>(columns).map(([name, form]) => [name, columnOf(name), form] as const);
  return results.map((stored) => {
    const row: Record<string, unknown> = {};
    for (const [name, column, form] of forms) {
      const value = stored[column];
      if (value === undefined) throw new Error(`${table} has no ${column}`);
      row[name] =
        form === "plain" || value === null ? value : form === "flag" ? flagOf(value, column) : parsed(value);
    }
    return row as Row; // `columns` has each name of Row, with the form of its type
  });
}

/** A value of a column with 0 or 1. A further value may not turn a safeguard off. */
function flagOf(value: unknown, column: string): boolean {
  if (value !== 0 && value !== 1) throw new Error(`${column} is neither 0 nor 1`);
  return value === 1;
}

/** A value of a column with JSON text. */
function parsed(value: unknown): unknown {
  if (typeof value !== "string") throw new Error("a column with JSON has no text");
  return JSON.parse(value);
}
