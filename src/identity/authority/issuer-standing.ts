import { createHash } from "node:crypto";
import type { PublicJwk } from "#identity/jose/jwk";
import type { TrustedIssuer } from "#identity/issuer";

/** An issuer as it is now: by it a stored authority is judged again, whose token the issuer signed earlier. */
export interface IssuerStanding {
  /** Of its entry without its keys, which an issuer replaces as time goes by. */
  readonly digest: string;
  /** The `kid`s of its keys. */
  readonly keyIds: ReadonlySet<string>;
}

/** Knows issuers by their exact names. Throws when the registry or the keys of an issuer cannot be read. */
export interface IssuerStandings {
  /** Undefined: no such issuer is registered. */
  of(iss: string): Promise<IssuerStanding | undefined>;
}

/**
 * An issuer with its entry and its keys. `entry`: of the built-in issuer its name alone.
 */
export function issuerStandingOf(
  entry: Pick<TrustedIssuer, "iss"> & Partial<TrustedIssuer>,
  keys: readonly PublicJwk[],
): IssuerStanding {
  const { keys: _, ...judged } = entry;
  return {
    digest: createHash("sha256")
      .update(JSON.stringify(inOrder(judged)))
      .digest("base64url"),
    keyIds: new Set(keys.flatMap(({ kid }) => kid ?? [])),
  };
}

/** The same value with the members of each object in the order of their names: a copy of an entry has one digest. */
const inOrder = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(
    members.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, member]) => [name, inOrder(member)]),
  );
};
