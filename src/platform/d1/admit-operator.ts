import { drizzle } from "drizzle-orm/d1";
import { operators } from "./schema.ts";

/** An operator to be: `x5t` is the certificate's `x5t#S256`. */
export interface NewOperator {
  readonly id: string;
  readonly x5t: string;
  readonly roles: readonly string[];
}

/** Registers an operator, or gives a registered one another certificate and roles. A suspended one stays suspended. Throws what D1 throws. */
export async function admitOperator(registry: D1Database, { id, x5t, roles }: NewOperator): Promise<void> {
  await drizzle(registry)
    .insert(operators)
    .values({ id, status: "active", x5t, roles })
    .onConflictDoUpdate({ target: operators.id, set: { x5t, roles } });
}
