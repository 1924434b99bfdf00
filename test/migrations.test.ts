import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "vitest";

// docs/deploy.md, Upgrade and rollback: an older version goes on with the tables of a newer version. Each migration
// therefore leaves what the tables had, and an INSERT of before stays an INSERT.

const folder = join(import.meta.dirname, "../migrations");
const migrations = readdirSync(folder)
  .filter((name) => name.endsWith(".sql"))
  .sort()
  .map((name) => ({ name, sql: readFileSync(join(folder, name), "utf8") }));
/** No version wrote this table. A later migration has another table of this name. */
const dropped: Readonly<Record<string, string>> = { "0011_no_consents_table.sql": "consents" };

interface Column {
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  readonly pk: number;
  readonly dflt_value: string | null;
}

/** The columns of each table, and the names of the indexes and triggers. */
function schemaOf(database: DatabaseSync) {
  const found = database
    .prepare("SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")
    .all()
    .map((row) => ({ type: String(row["type"]), name: String(row["name"]) }));
  const columnsOf = (table: string) =>
    // the members that the pragma gives
    database.prepare(`PRAGMA table_info(${table})`).all() as unknown[] as readonly Column[];
  return {
    tables: new Map(
      found.filter(({ type }) => type === "table").map(({ name }) => [name, columnsOf(name)] as const),
    ),
    further: found.filter(({ type }) => type !== "table").map(({ type, name }) => `${type} ${name}`),
  };
}
type Schema = ReturnType<typeof schemaOf>;

/** What an older version would miss after a migration, or could not do any more. */
function lossesBetween(before: Schema, after: Schema, goes?: string): readonly string[] {
  const losses: string[] = [];
  for (const [table, columns] of before.tables) {
    const now = after.tables.get(table);
    if (now === undefined) {
      if (table !== goes) losses.push(`table ${table}`);
      continue;
    }
    for (const { name, type, notnull, pk } of columns)
      if (
        !now.some((one) => one.name === name && one.type === type && one.notnull === notnull && one.pk === pk)
      )
        losses.push(`column ${table}.${name}`);
    for (const { name, notnull, dflt_value: value } of now)
      if (!columns.some((one) => one.name === name) && notnull === 1 && value === null)
        losses.push(`an INSERT without ${table}.${name}`);
  }
  const ofGone = (name: string) => goes !== undefined && name.includes(goes);
  return [...losses, ...before.further.filter((name) => !after.further.includes(name) && !ofGone(name))];
}

/** Applies the migrations one after another. `then` sees the schema before and after each. */
function migrate(
  then: (name: string, before: Schema, after: Schema, database: DatabaseSync) => void,
): DatabaseSync {
  const database = new DatabaseSync(":memory:");
  for (const { name, sql } of migrations) {
    const before = schemaOf(database);
    database.exec(sql.replaceAll("--> statement-breakpoint", ""));
    then(name, before, schemaOf(database), database);
  }
  return database;
}

test("each migration leaves the tables, columns, indexes and triggers that an older version uses", ({
  expect,
}) => {
  migrate((name, before, after) => {
    expect(lossesBetween(before, after, dropped[name]), name).toEqual([]);
  });
});

test("rows stay over each migration, and fit the tables", ({ expect }) => {
  const id = "0".repeat(32);
  const insert = `
    INSERT INTO operators (id, status, x5t, roles, kind) VALUES ('ada', 'active', '${"A".repeat(43)}', '["registry-admin"]', 'machine');
    INSERT INTO proposals (id, kind, body, digest, why, proposed_at, expires_at, proposed_by, proposer_issuer, proposer_subject)
      VALUES ('${id}', 'elevation', '{}', '${"0".repeat(64)}', 'a reason', 1, 2, 'ada', 'https://login.example', 'ada');
    INSERT INTO elevations VALUES ('${id}', 'ada', 'registry-admin', 9)`;
  const database = migrate((name, _before, after, current) => {
    if (name === "0025_proposals.sql") current.exec(insert);
    expect(current.prepare("PRAGMA foreign_key_check").all(), name).toEqual([]);
    if (name >= "0025")
      for (const table of ["operators", "proposals", "elevations"])
        expect([
          name,
          after.tables.has(table),
          current.prepare(`SELECT count(*) AS rows FROM ${table}`).get(),
        ]).toEqual([name, true, { rows: 1 }]);
  });
  expect(database.prepare("SELECT why, state FROM proposals").get()).toEqual({
    why: "a reason",
    state: "open",
  });
  expect(database.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
});

test("a migration that takes a column, a table, an index or an INSERT away is found", ({ expect }) => {
  const lost = (sql: string) => {
    const database = migrate(() => {});
    const before = schemaOf(database);
    database.exec(sql);
    return lossesBetween(before, schemaOf(database));
  };
  expect(lost("ALTER TABLE clients DROP COLUMN entity")).toEqual(["column clients.entity"]);
  expect(lost("ALTER TABLE origin_probes RENAME TO probes")).toContain("table origin_probes");
  expect(lost("DROP INDEX proposals_by_state")).toEqual(["index proposals_by_state"]);
  expect(
    lost(
      "CREATE TABLE one (a TEXT, b TEXT NOT NULL); DROP TABLE elevations; ALTER TABLE one RENAME TO elevations",
    ),
  ).toEqual(expect.arrayContaining(["column elevations.role", "an INSERT without elevations.b"]));
  expect(lost("ALTER TABLE clients ADD COLUMN more TEXT"), "an addition is no loss").toEqual([]);
});
