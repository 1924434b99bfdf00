import { drizzle } from "drizzle-orm/d1";
import * as z from "zod";
import { signInDemand } from "#identity/sign-in";
import { operators } from "./schema.ts";

const common = {
  id: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/u),
  /** `x5t#S256` of the certificate. */
  x5t: z.string().regex(/^[A-Za-z0-9_-]{43}$/u),
  roles: z.array(z.string().min(1).max(64)).min(1).max(16).readonly(),
};

// A machine has nobody who could sign in; that it is one, its entry has to say.
const newOperator = z.discriminatedUnion("kind", [
  z.strictObject({ ...common, kind: z.literal("machine") }),
  z.strictObject({ ...common, kind: z.literal("person"), signIn: signInDemand }),
]);

/** An operator to be. */
export type NewOperator = z.input<typeof newOperator>;

/**
 * Registers an operator, or gives a registered one another certificate, roles and sign-in. A suspended one stays suspended. Throws for an
 * entry that is none, such as a person who need not sign in, and what D1 throws.
 */
export async function admitOperator(registry: D1Database, operator: NewOperator): Promise<void> {
  const { id, ...entry } = newOperator.parse(operator);
  const set = { ...entry, signIn: entry.kind === "person" ? entry.signIn : null };
  await drizzle(registry)
    .insert(operators)
    .values({ id, status: "active", ...set })
    .onConflictDoUpdate({ target: operators.id, set });
}
