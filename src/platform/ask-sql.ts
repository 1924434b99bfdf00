/**
 * Asks the database of a Durable Object, and returns the rows. The values in the template are bound: none becomes part
 * of the statement's text.
 */
export const askSql =
  (sql: SqlStorage) =>
  <Row extends object = object>(text: TemplateStringsArray, ...values: readonly unknown[]): Row[] =>
    sql.exec(text.join("?"), ...values).toArray() as Row[]; // the statement names the columns of Row

export type AskSql = ReturnType<typeof askSql>;

/** An object that was only read has no tables, so that reading leaves no trace. */
export const hasTable = (sql: SqlStorage, name: string): boolean =>
  askSql(sql)`SELECT 1 FROM sqlite_master WHERE name = ${name}`.length > 0;
