import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { operators } from "./schema.ts";

/** An operator as the registry has it. */
export interface OperatorEntry {
  readonly id: string;
  readonly status: "active" | "suspended";
  readonly roles: readonly string[];
}

/** The operator whose certificate has this `x5t#S256`, suspended or not. Throws what D1 throws. */
export async function findOperator(registry: D1Database, x5t: string): Promise<OperatorEntry | undefined> {
  const { id, status, roles } = operators;
  const [found] = await drizzle(registry).select({ id, status, roles }).from(operators).where(eq(operators.x5t, x5t));
  return found;
}
