import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Remote } from "./remote.ts";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";

const folder = join(import.meta.dirname, "../../../migrations");
const schema = readdirSync(folder)
  .filter((name) => name.endsWith(".sql"))
  .sort()
  .map((name) => readFileSync(join(folder, name), "utf8"))
  .join("\n")
  .replaceAll("--> statement-breakpoint", "");

/** The registry's D1 database over SQLite in memory, with the real migrations. */
export class SqliteD1 {
  readonly #database = new DatabaseSync(":memory:");
  #writes = 0;
  /** The nearby copy, while it stays behind: a file, and the bookmark of its last write. */
  #copy: { readonly database: DatabaseSync; readonly bookmark: string; readonly folder: string } | undefined;

  constructor() {
    this.#database.exec(schema);
  }

  prepare(sql: string): Statement {
    return new Statement(this.#database, sql, []);
  }

  /** Runs all statements, or none when one fails. */
  async batch(statements: readonly Statement[]): Promise<readonly unknown[]> {
    this.#writes += 1;
    this.#database.exec("BEGIN");
    try {
      const results = statements.map((statement) => statement.now());
      this.#database.exec("COMMIT");
      return results;
    } catch (fault) {
      this.#database.exec("ROLLBACK");
      throw fault;
    }
  }

  withSession() {
    return {
      prepare: (sql: string) => this.prepare(sql),
      batch: (statements: readonly Statement[]) => this.batch(statements),
      getBookmark: () => this.#bookmark(),
    };
  }

  /** From now on the nearby copy gets no further write, as a copy of D1 that is behind. */
  leaveCopyBehind(): void {
    this.catchCopyUp();
    const folder = mkdtempSync(join(tmpdir(), "phylax-d1-copy-"));
    const file = join(folder, "copy.sqlite");
    this.#database.exec(`VACUUM INTO '${file}'`);
    this.#copy = { database: new DatabaseSync(file), bookmark: this.#bookmark(), folder };
  }

  catchCopyUp(): void {
    this.#copy?.database.close();
    if (this.#copy !== undefined) rmSync(this.#copy.folder, { recursive: true });
    this.#copy = undefined;
  }

  close(): void {
    this.catchCopyUp();
    this.#database.close();
  }

  #bookmark = (): string => this.#writes.toString().padStart(8, "0");

  /**
   * A session reads at the primary if it says so, and else from the nearby copy, unless the copy lacks a write
   * of the session's bookmark.
   */
  #placeOf(from = "first-unconstrained"): DatabaseSync {
    if (this.#copy === undefined || from === "first-primary") return this.#database;
    const isBehind = from !== "first-unconstrained" && from > this.#copy.bookmark;
    return isBehind ? this.#database : this.#copy.database;
  }

  /** The same database, called through `remote`. */
  through(remote: Remote): object {
    const prepareAt = (database: DatabaseSync) => (sql: string) =>
      new RemoteStatement(remote, database, sql, []);
    const batch = (statements: readonly Statement[]) => remote("registry", () => this.batch(statements));
    return {
      prepare: prepareAt(this.#database),
      batch,
      withSession: (from?: string) => ({
        ...this.withSession(),
        prepare: prepareAt(this.#placeOf(from)),
        batch,
      }),
    };
  }
}

class Statement {
  readonly #database: DatabaseSync;
  readonly #sql: string;
  readonly #values: readonly unknown[];

  constructor(database: DatabaseSync, sql: string, values: readonly unknown[]) {
    this.#database = database;
    this.#sql = sql;
    this.#values = values;
  }

  bind(...values: readonly unknown[]): Statement {
    return new Statement(this.#database, this.#sql, values);
  }

  async all() {
    return this.now();
  }

  async run() {
    return this.now();
  }

  async first(column?: string): Promise<unknown> {
    const [row] = this.now().results;
    return row === undefined ? null : column === undefined ? row : row[column];
  }

  async raw(): Promise<readonly (readonly unknown[])[]> {
    const statement = this.#database.prepare(this.#sql);
    statement.setReturnArrays(true);
    return statement.all(...this.#inputs()) as unknown as unknown[][]; // as `setReturnArrays` returns them
  }

  now() {
    const results: readonly Readonly<Record<string, unknown>>[] = this.#database
      .prepare(this.#sql)
      .all(...this.#inputs());
    return { success: true, results, meta: {} };
  }

  #inputs(): SQLInputValue[] {
    return this.#values.map((value) =>
      typeof value === "boolean" ? Number(value) : (value as SQLInputValue),
    ); // SQLite refuses a value of any further type
  }
}

class RemoteStatement extends Statement {
  readonly #remote: Remote;
  readonly #made: ConstructorParameters<typeof Statement>;

  constructor(remote: Remote, ...made: ConstructorParameters<typeof Statement>) {
    super(...made);
    this.#remote = remote;
    this.#made = made;
  }

  override bind(...values: readonly unknown[]): Statement {
    return new RemoteStatement(this.#remote, this.#made[0], this.#made[1], values);
  }

  override all() {
    return this.#remote("registry", () => super.all());
  }

  override run() {
    return this.#remote("registry", () => super.run());
  }

  override first(column?: string): Promise<unknown> {
    return this.#remote("registry", () => super.first(column));
  }

  override raw(): Promise<readonly (readonly unknown[])[]> {
    return this.#remote("registry", () => super.raw());
  }
}
