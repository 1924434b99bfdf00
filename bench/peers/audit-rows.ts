import { DatabaseSync } from "node:sqlite";

/** An audit table of one row for each answer, each row on the disk when `append` returns. */
export function auditRows(path: string): { append(event: object): number } {
  const database = new DatabaseSync(path);
  // FULL: each commit waits for its fsync, also with a write-ahead log (sqlite.org/pragma.html#pragma_synchronous)
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  database.exec("CREATE TABLE audit (id INTEGER PRIMARY KEY, event TEXT NOT NULL)");
  const insert = database.prepare("INSERT INTO audit (event) VALUES (?)");
  return { append: (event) => Number(insert.run(JSON.stringify(event)).lastInsertRowid) };
}

/** The number of rows that another process has written to a table so far. */
export function countRows(path: string, table: "audit" | "records" = "audit"): number {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return Number(database.prepare(`SELECT count(*) AS rows FROM ${table}`).get()?.["rows"]);
  } finally {
    database.close();
  }
}
