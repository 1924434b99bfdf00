import { getTableConfig, SQLiteTable } from "drizzle-orm/sqlite-core";
import { beforeAll, describe, test } from "vitest";
import { columnOf } from "#platform/registry/read-table";
import * as readTables from "#platform/registry/read-table";
import * as schema from "#platform/registry/schema";
import { emptyRegistry } from "./registry.ts";

const tables = Object.values(schema).filter((each) => each instanceof SQLiteTable);
let registry: D1Database;
beforeAll(async () => {
  registry = await emptyRegistry();
});

const rows = async <T>(sql: string, ...values: unknown[]): Promise<T[]> =>
  (
    await registry
      .prepare(sql)
      .bind(...values)
      .all<T>()
  ).results;

test("the migrated database has exactly the tables of the schema", async ({ expect }) => {
  const there = await rows<{ name: string }>(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\' AND name NOT LIKE 'd1\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
  );
  expect(there.map(({ name }) => name).sort()).toEqual(
    tables.map((table) => getTableConfig(table).name).sort(),
  );
});

describe.each(tables.map((table) => getTableConfig(table)))("$name", (table) => {
  test("has the columns of the schema: name, type, whether null, and the key", async ({ expect }) => {
    const keys = table.primaryKeys.flatMap(({ columns }) => columns.map(({ name }) => name));
    const there = await rows<{ name: string; type: string; notnull: number; pk: number }>(
      'SELECT name, type, "notnull", pk FROM pragma_table_info(?)',
      table.name,
    );
    expect(
      there.map(({ name, type, notnull, pk }) => ({ name, type, notnull: notnull === 1, pk: pk > 0 })),
    ).toEqual(
      table.columns.map((column) => ({
        name: column.name,
        type: column.getSQLType().toUpperCase(),
        notnull: column.notNull,
        pk: column.primary || keys.includes(column.name),
      })),
    );
  });

  test("has the foreign keys of the schema", async ({ expect }) => {
    const there = await rows<{ id: number; table: string; from: string; to: string }>(
      'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?)',
      table.name,
    );
    const grouped = Map.groupBy(there, ({ id }) => id);
    const found = [...grouped.values()].map((key) =>
      key
        .map((each) => `${each.from} > ${each.table}.${each.to}`)
        .sort()
        .join(", "),
    );
    const stated = table.foreignKeys.map((key) => {
      const { columns, foreignColumns, foreignTable } = key.reference();
      return columns
        .map(
          (column, i) => `${column.name} > ${getTableConfig(foreignTable).name}.${foreignColumns[i]?.name}`,
        )
        .sort()
        .join(", ");
    });
    expect(found.sort()).toEqual(stated.sort());
  });

  test("has the unique keys of the schema", async ({ expect }) => {
    const there = await rows<{ name: string; columns: string }>(
      "SELECT list.name, (SELECT group_concat(name) FROM pragma_index_info(list.name)) AS columns FROM pragma_index_list(?) AS list WHERE list.\"unique\" = 1 AND origin <> 'pk'",
      table.name,
    );
    const stated = [
      ...table.uniqueConstraints.map(({ columns }) => columns.map(({ name }) => name).join(",")),
      ...table.columns.filter(({ isUnique }) => isUnique).map(({ name }) => name),
      ...table.indexes
        .filter(({ config }) => config.unique)
        .map(({ config }) => config.columns.map((column) => ("name" in column ? column.name : "")).join(",")),
    ];
    expect(there.map(({ columns }) => columns).sort()).toEqual(stated.sort());
  });
});

const read = Object.values(readTables).filter((each) => typeof each === "object");

test("the tables that the gateway reads by plain SQL have the columns of the schema, in the same form", ({
  expect,
}) => {
  expect(read.length).toBe(9);
  for (const { name, columns } of read) {
    const stated = tables.map((table) => getTableConfig(table)).find((table) => table.name === name);
    expect(Object.entries(columns).map(([column, form]) => [columnOf(column), form])).toEqual(
      stated?.columns.map((column) => [
        column.name,
        column.dataType === "json" ? "json" : column.dataType === "boolean" ? "flag" : "plain",
      ]),
    );
  }
});
