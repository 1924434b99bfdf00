import type { Algorithm, PublicJwk } from "#identity/jose/jwk";
import type { Purpose } from "./purpose.ts";

/** An external issuer that the registry trusts: settled plain data, so that requests may share it. */
export interface TrustedIssuer {
  /** Compared as an exact string (RFC 9068 §4). */
  readonly iss: string;
  /** Only these keys prove its tokens, and they prove no further issuer's tokens (RFC 8725 §3.8). */
  readonly keys: readonly PublicJwk[];
  /** The URL at which it publishes its keys, if `keys` is empty. */
  readonly jwksUri?: string | undefined;
  readonly algorithms: readonly Algorithm[];
  /** The way to ask it about a token that is no JWT; `undefined`: it has no opaque tokens. */
  readonly introspection?: Introspection | undefined;
  /** The value that its tokens must name in `aud`. */
  readonly audience: string;
  readonly purpose: { readonly claim: string } | { readonly fixed: readonly Purpose[] };
  /** The names of its tokens' claims; see {@link claimAt}. */
  readonly claims: ClaimNames;
}

/** An introspection endpoint (RFC 7662 §2), and the gateway's credentials for it. */
export interface Introspection {
  readonly endpoint: string;
  readonly clientId: string;
  /** `secret`: the name of a secret in the gateway's configuration. */
  readonly credentials: { readonly kind: "client_secret_basic" | "private_key_jwt"; readonly secret: string };
}

export interface ClaimNames {
  readonly client?: string | undefined;
  readonly patient?: string | undefined;
  readonly fhirUser?: string | undefined;
  readonly scope?: string | undefined;
  /** Each person who signs in is the patient of their token. */
  readonly patientIsUser?: boolean | undefined;
}

/**
 * The claim at a dotted path (`realm_access.purpose`), by own properties of JSON objects only: a path
 * through an array, a string or a prototype leads nowhere. A name that begins with `https://` or `http://`
 * is a single claim, dots included (RFC 7519 §4.2).
 */
export function claimAt(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  const path = /^https?:\/\//u.test(name) ? [name] : name.split(".");
  let at: unknown = claims;
  for (const step of path) {
    if (typeof at !== "object" || at === null || Array.isArray(at) || !Object.hasOwn(at, step))
      return undefined;
    at = Reflect.get(at, step);
  }
  return at;
}
