import { DurableObject } from "cloudflare:workers";
import type { AuditEvent } from "#audit/event";

/**
 * A careful team's first version: one plaintext row for each event. The output gate delays the answer until
 * the row is durable.
 */
export class RowLog extends DurableObject {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: never) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(
      "CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, event TEXT NOT NULL) STRICT",
    );
  }

  append(events: readonly AuditEvent[]): { readonly number: number } {
    let number = 0;
    for (const event of events) {
      const insert = "INSERT INTO events (at, event) VALUES (?, ?) RETURNING number";
      ({ number } = this.#sql.exec<{ number: number }>(insert, event.at, JSON.stringify(event)).one());
    }
    return { number };
  }
}

/** The floor: takes the same call and stores nothing. */
export class BareLog extends DurableObject {
  #calls = 0;

  append(_events: readonly AuditEvent[]): { readonly number: number } {
    this.#calls += 1;
    return { number: this.#calls };
  }
}

export default { fetch: () => new Response(null, { status: 404 }) } satisfies ExportedHandler;
