import { WorkerEntrypoint } from "cloudflare:workers";
import { and, eq } from "drizzle-orm";
import { drizzled } from "./registry-sql.ts";
import { agreements } from "./schema.ts";

/** The ends of agreements, for `jobs`, which deletes the codes of an ended agreement. */
export class AgreementReading extends WorkerEntrypoint<{ readonly REGISTRY: D1Database }> {
  /** In milliseconds since 1970. Undefined: the client has no such agreement now. Throws D1's errors. */
  async endOf(client: string, agreement: string): Promise<number | undefined> {
    // the primary database: a copy may lack a prolonged end, and a deletion is final
    const db = drizzled(this.env.REGISTRY.withSession("first-primary"));
    const [row] = await db
      .select({ ends: agreements.ends })
      .from(agreements)
      .where(and(eq(agreements.id, agreement), eq(agreements.client, client)));
    return row?.ends;
  }
}
