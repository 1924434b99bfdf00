import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { TrustedIssuer } from "#identity/issuer";
import { signInDemand, type SignInDemand } from "#identity/sign-in";
import { issuers, operators } from "./schema.ts";

/** An operator as the registry has it. */
export interface OperatorEntry {
  readonly id: string;
  readonly status: "active" | "suspended";
  readonly roles: readonly string[];
  readonly kind: "person" | "machine";
  /** What a person has to show; `undefined` of a person: nothing that this version could hold anyone to. */
  readonly signIn: SignInDemand | undefined;
}

/** The operator whose certificate has this `x5t#S256`, suspended or not. Throws what D1 throws. */
export async function findOperator(registry: D1Database, x5t: string): Promise<OperatorEntry | undefined> {
  const { id, status, roles, kind, signIn } = operators;
  const [found] = await drizzle(registry)
    .select({ id, status, roles, kind, signIn })
    .from(operators)
    .where(eq(operators.x5t, x5t));
  return found && { ...found, signIn: signInDemand.safeParse(found.signIn).data };
}

/** By what an issuer's tokens are proven. */
export type SigningIssuer = Pick<TrustedIssuer, "iss" | "keys" | "jwksUri" | "algorithms">;

/** An external issuer as the registry has it now: operators call seldom, and no copy has to be kept. Throws what D1 throws. */
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
