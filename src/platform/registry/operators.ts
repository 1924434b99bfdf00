import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { TrustedIssuer } from "#identity/issuer";
import { signInDemand } from "#identity/sign-in";
import type { Instant } from "#kernel/clock";
import { elevatedRoles } from "#platform/proposals/proposal-rows";
import { issuers, operators } from "./schema.ts";

/**
 * The operator whose certificate has this `x5t#S256`, active or suspended, with the roles that it has at this
 * moment. Throws D1's errors.
 */
export async function findOperator(registry: D1Database, x5t: string, at: Instant) {
  const { id, status, roles, kind, signIn } = operators;
  const [found] = await drizzle(registry)
    .select({ id, status, roles, kind, signIn })
    .from(operators)
    .where(eq(operators.x5t, x5t));
  if (found === undefined) return undefined;
  const elevated = await elevatedRoles(registry, found.id, at);
  return {
    ...found,
    roles: [...found.roles, ...elevated],
    // undefined for a person: a sign-in that this version cannot check
    signIn: signInDemand.safeParse(found.signIn).data,
  };
}

/** An operator's entry in the registry. */
export type OperatorEntry = NonNullable<Awaited<ReturnType<typeof findOperator>>>;

/** The facts that prove an issuer's tokens. */
export type SigningIssuer = Pick<TrustedIssuer, "iss" | "keys" | "jwksUri" | "algorithms">;

/** An external issuer's present entry. Operators call seldom, so no copy is cached. Throws D1's errors. */
export async function findSigningIssuer(
  registry: D1Database,
  iss: string,
): Promise<SigningIssuer | undefined> {
  const { jwks, jwksUri, algs: algorithms } = issuers;
  const [found] = await drizzle(registry)
    .select({ jwks, jwksUri, algorithms })
    .from(issuers)
    .where(eq(issuers.iss, iss));
  return (
    found && {
      iss,
      keys: found.jwks?.keys ?? [],
      jwksUri: found.jwksUri ?? undefined,
      algorithms: found.algorithms,
    }
  );
}
