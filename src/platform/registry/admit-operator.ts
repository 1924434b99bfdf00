import { drizzle } from "drizzle-orm/d1";
import * as z from "zod";
import { signInDemand } from "#identity/sign-in";
import { operatorId, operatorX5t } from "#registry/operator-document";
import { operators } from "./schema.ts";

const common = {
  id: operatorId,
  x5t: operatorX5t,
  roles: z.array(z.string().min(1).max(64)).min(1).max(16).readonly(),
};

// A machine has no person who could sign in, so its entry must say that it is a machine.
const newOperator = z.discriminatedUnion("kind", [
  z.strictObject({ ...common, kind: z.literal("machine") }),
  z.strictObject({ ...common, kind: z.literal("person"), signIn: signInDemand }),
]);

/** An operator's entry before it is registered. */
export type NewOperator = z.input<typeof newOperator>;

/**
 * Registers an operator, or gives a registered operator a new certificate, roles and sign-in. A suspended
 * operator stays suspended. Throws for an invalid entry, such as a person without a sign-in, and for D1's
 * errors.
 */
export async function admitOperator(registry: D1Database, operator: NewOperator): Promise<void> {
  const { id, ...entry } = newOperator.parse(operator);
  const set = { ...entry, signIn: entry.kind === "person" ? entry.signIn : null };
  await drizzle(registry)
    .insert(operators)
    .values({ id, status: "active", ...set })
    .onConflictDoUpdate({ target: operators.id, set });
}
