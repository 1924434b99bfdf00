/** SQL that reads the registry: the statements of a `batch` see a single state, and no statement runs alone. */
export interface SnapshotSql {
  prepare(text: string): SnapshotStatement;
  batch(statements: SnapshotStatement[]): Promise<{ readonly results: Record<string, unknown>[] }[]>;
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
      async batch(statements) {
        batches += 1;
        const [first, ...found] = await sql.batch([sql.prepare(versionNow), ...statements]);
        const known = first?.results[0]?.["version"];
        version = typeof known === "string" ? known : undefined;
        return found;
      },
    },
    version: () => (batches === 1 ? version : undefined),
  };
}
