import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";

type Value = ArrayBuffer | string | number | null;
type Row = Record<string, Value>;

/**
 * The SQL of a Durable Object over a SQLite database in memory, as far as the objects of this repository use
 * it: `exec` with the rows of its cursor, `databaseSize`, and transactions.
 */
export class MemorySql {
  readonly #database = new DatabaseSync(":memory:");
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;

  exec(query: string, ...bindings: readonly unknown[]): Cursor {
    // A prepared statement runs the first statement of its text alone. A schema has several statements and
    // no values.
    if (bindings.length === 0 && /;\s*\S/u.test(query)) {
      this.#database.exec(query);
      return new Cursor([]);
    }
    const statement = this.#statements.get(query) ?? this.#database.prepare(query);
    this.#statements.set(query, statement);
    return new Cursor(
      statement
        .all(...bindings.map(inputOf))
        .map((row) => Object.fromEntries(Object.entries(row).map(outputOf))),
    );
  }

  get databaseSize(): number {
    const [pages, bytes] = ["page_count", "page_size"].map((name) =>
      Number(this.#database.prepare(`PRAGMA ${name}`).get()?.[name]),
    );
    return (pages ?? 0) * (bytes ?? 0);
  }

  /** Commits all that the steps write, or nothing when they throw. */
  transaction<T>(steps: () => T): T {
    const name = `t${this.#depth++}`;
    this.#database.exec(`SAVEPOINT ${name}`);
    try {
      const result = steps();
      this.#database.exec(`RELEASE ${name}`);
      return result;
    } catch (fault) {
      this.#database.exec(`ROLLBACK TO ${name}; RELEASE ${name}`);
      throw fault;
    } finally {
      this.#depth--;
    }
  }

  close(): void {
    this.#database.close();
  }
}

/** The rows that `exec` found, all read. */
class Cursor {
  readonly #rows: readonly Row[];
  #next = 0;

  constructor(rows: readonly Row[]) {
    this.#rows = rows;
  }

  toArray(): Row[] {
    const rest = this.#rows.slice(this.#next);
    this.#next = this.#rows.length;
    return rest;
  }

  /** Throws unless there is exactly one row. */
  one(): Row {
    const [row, ...others] = this.toArray();
    if (row === undefined || others.length > 0) throw new Error("Expected exactly one result from SQL query");
    return row;
  }

  /** The rows as the values of their columns, in order. */
  raw(): IterableIterator<Value[]> {
    return this.toArray()
      .map((row) => Object.values(row))
      .values();
  }

  *[Symbol.iterator](): Generator<Row> {
    // the index is below the length
    while (this.#next < this.#rows.length) yield this.#rows[this.#next++] as Row;
  }
}

const inputOf = (value: unknown): SQLInputValue =>
  value instanceof ArrayBuffer
    ? new Uint8Array(value)
    : typeof value === "boolean"
      ? Number(value)
      : (value as SQLInputValue); // SQLite refuses a value of any further type

const outputOf = ([name, value]: [string, unknown]): [string, Value] => [
  name,
  // a row of SQLite has no further types
  value instanceof Uint8Array ? new Uint8Array(value).buffer : (value as Value),
];
