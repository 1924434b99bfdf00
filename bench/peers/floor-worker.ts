// The floor of a gateway that records each answer durably: the same I/O as Phylax's read, and nothing decided. It
// asks the origin, reads the body whole, appends one record to the log of a Durable Object, and answers with a
// head of eleven fields.
import { DurableObject } from "cloudflare:workers";

interface Env {
  readonly ORIGIN: string;
  readonly LOG: DurableObjectNamespace<FloorLog>;
}

/** The bytes of a record: what a ledger stores for a read of Phylax (`leaf-bytes`). */
const recordBytes = 900;
/** The length of the two hashes of a receipt. */
const hashes = `leaf=:${"0".repeat(43)}=:, frame=:${"0".repeat(43)}=:`;
/** The ledger's wait for further appends, of the same length. */
const waitMilliseconds = 2;

/** A log with a group commit: the appends of two milliseconds become rows of a single transaction. */
export class FloorLog extends DurableObject<Env> {
  readonly #sql: SqlStorage;
  #waiting: { readonly record: string; readonly stored: (row: number) => void }[] = [];

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(
      "CREATE TABLE IF NOT EXISTS records (row INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT",
    );
  }

  /** The number of the row. The output gate delays the answer until the row is durable. */
  append(record: string): Promise<number> {
    if (this.#waiting.length === 0) setTimeout(() => this.#commit(), waitMilliseconds);
    return new Promise((stored) => this.#waiting.push({ record, stored }));
  }

  /** Without an await: all rows are of one implicit transaction. */
  #commit(): void {
    const batch = this.#waiting;
    this.#waiting = [];
    for (const { record, stored } of batch) {
      const insert = "INSERT INTO records (record) VALUES (?) RETURNING row";
      stored(this.#sql.exec<{ row: number }>(insert, record).one().row);
    }
  }
}

export default {
  async fetch(request, env) {
    const id = crypto.randomUUID();
    const { pathname, search } = new URL(request.url);
    const asked = pathname.slice("/v1/fhir/main".length) + search;
    const answer = await fetch(env.ORIGIN + asked);
    const body = await answer.arrayBuffer();
    const record = JSON.stringify({
      id,
      at: Date.now(),
      asked,
      status: answer.status,
      bytes: body.byteLength,
    });
    const row = await env.LOG.getByName("floor").append(record.padEnd(recordBytes));
    return new Response(body, {
      status: answer.status,
      headers: {
        "content-type": "application/fhir+json; charset=utf-8",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "strict-transport-security": "max-age=31536000",
        vary: "Accept, Authorization",
        etag: `W/"${row}"`,
        "last-modified": "Sat, 31 Oct 2026 23:00:00 GMT",
        "x-request-id": id,
        receipt: `log="s0-2026h2", index=${row}, ${hashes}`,
        ratelimit: '"default";r=999999999;t=60',
        "ratelimit-policy": '"default";q=1000000000;w=60',
      },
    });
  },
} satisfies ExportedHandler<Env>;
