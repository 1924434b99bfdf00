/** SQL that reads the registry: the statements of a `batch` see a single state, and no statement runs alone. */
export interface SnapshotSql {
  prepare(text: string): SnapshotStatement;
  batch<Row>(statements: SnapshotStatement[]): Promise<{ readonly results: Row[] }[]>;
}

export interface SnapshotStatement {
  bind(...values: readonly unknown[]): SnapshotStatement;
}

const versionNow = "select version from registry_changes order by number desc limit 1";

/** Asks for the registry's version (migration 0035) in the batch of a query, so that both are of a single state. */
export function withVersion(sql: SnapshotSql): {
  readonly sql: SnapshotSql;
  /** `undefined`: the query had no batch or several, or the registry has no version. */
  readonly version: () => string | undefined;
} {
  let version: string | undefined;
  let batches = 0;
  return {
    sql: {
      prepare: (text) => sql.prepare(text),
      async batch<Row>(statements: SnapshotStatement[]) {
        batches += 1;
        const [first, ...found] = await sql.batch<Row>([sql.prepare(versionNow), ...statements]);
        version = versionIn(first?.results[0]);
        return found;
      },
    },
    version: () => (batches === 1 ? version : undefined),
  };
}

function versionIn(row: unknown): string | undefined {
  const version = (row as { readonly version?: unknown } | undefined)?.version; // the row of the question above
  return typeof version === "string" ? version : undefined;
}
