import { runInDurableObject } from "cloudflare:test";
import { shard } from "./worker.ts";

type Row = Record<string, SqlStorageValue>;

/**
 * All rows of an object, as a bookmark of its storage would restore them. Local workerd has no bookmarks.
 */
export type Rows = readonly { readonly name: string; readonly rows: readonly Row[] }[];

const tables =
  "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_cf%' ESCAPE '\\'";
const namesIn = (sql: SqlStorage): string[] =>
  sql
    .exec<{ name: string }>(tables)
    .toArray()
    .map(({ name }) => name);

export function rowsOf(log: string): Promise<Rows> {
  return runInDurableObject(shard(log), (_, { storage: { sql } }) =>
    namesIn(sql).map((name) => ({ name, rows: sql.exec<Row>(`SELECT * FROM ${name}`).toArray() })),
  );
}

/** Restores all rows and deletes further rows. The running object does not notice it. */
export function putBack(log: string, all: Rows): Promise<void> {
  return runInDurableObject(shard(log), (_, { storage }) => {
    storage.transactionSync(() => {
      for (const name of namesIn(storage.sql)) storage.sql.exec(`DELETE FROM ${name}`);
      for (const { name, rows } of all)
        for (const row of rows)
          storage.sql.exec(
            `INSERT INTO ${name} VALUES (${Object.keys(row)
              .map(() => "?")
              .join()})`,
            ...Object.values(row),
          );
    });
  });
}
