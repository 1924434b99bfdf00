import { DurableObject } from "cloudflare:workers";
import { instant } from "#kernel/clock";
import type { ExportEntry } from "#limits/listed-export";
import { type AskSql, askSql } from "#platform/ask-sql";

/** The name of the only object. */
export const EXPORT_DIRECTORY = "exports";

/** The exports of all clients until their ends, for operators: an object of a client cannot be found without its name. */
export class ExportDirectory extends DurableObject<object> {
  readonly #ask: AskSql;

  constructor(ctx: DurableObjectState, env: object) {
    super(ctx, env);
    this.#ask = askSql(ctx.storage.sql);
    ctx.storage.sql.exec(
      `CREATE TABLE IF NOT EXISTS started_exports
        (id TEXT PRIMARY KEY, client TEXT NOT NULL, started INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT`,
    );
  }

  addEntry({ id, client, startedAt, expires }: ExportEntry): void {
    this.#ask`DELETE FROM started_exports WHERE expires <= ${Date.now()}`;
    this.#ask`INSERT INTO started_exports VALUES (${id}, ${client}, ${startedAt}, ${expires})`;
  }

  removeEntry(id: string): void {
    this.#ask`DELETE FROM started_exports WHERE id = ${id}`;
  }

  /** The newest first, and the number of those behind them. `client`: of this client alone. */
  newest(
    client: string | undefined,
    max: number,
  ): { readonly entries: readonly ExportEntry[]; readonly more: number } {
    const [now, only] = [Date.now(), client ?? null];
    const rows = this.#ask<{ id: string; client: string; started: number; expires: number; all: number }>`
      SELECT *, count(*) OVER () AS "all" FROM started_exports
      WHERE expires > ${now} AND (${only} IS NULL OR client = ${only})
      ORDER BY started DESC, id LIMIT ${max}`;
    const entries = rows.map((row) => ({
      id: row.id,
      client: row.client,
      startedAt: instant(row.started),
      expires: instant(row.expires),
    }));
    return { entries, more: (rows[0]?.all ?? 0) - rows.length };
  }
}
