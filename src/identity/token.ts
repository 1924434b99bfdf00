import { epochSeconds, instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import {
  anything,
  arrayOf,
  eitherOf,
  mapped,
  Misfit,
  mustFit,
  numberIn,
  objectOf,
  optional,
  recordOf,
  textLike,
  textOf,
} from "#kernel/value-shape";
import { boundTo, type Binding, type BindingRefusal, type Unbound } from "./binding.ts";
import type { SignatureRefusal } from "#identity/jose/compact-jws";
import { purposePattern, type Purpose } from "./purpose.ts";
import { parseScopes, type Scopes } from "./scopes.ts";

/** The claims of a proven access token (RFC 9068 §2.2). */
export interface AccessToken {
  readonly issuer: string;
  /** True if `client` is an id of the registry, false if it is an external issuer's name for a client. */
  readonly issuedHere: boolean;
  readonly subject: string;
  readonly client: string;
  /** `jti`: together with the issuer it identifies this token. */
  readonly id: string;
  readonly expires: Instant;
  readonly scopes: Scopes;
  /** Empty: the token names no purpose. */
  readonly purposes: readonly Purpose[];
  /** True if its audience names the requested FHIR base, false if it names only the deployment. */
  readonly namesBase: boolean;
  /** FHIR id of the patient whose context the token was issued in. */
  readonly patient: string | undefined;
  /**
   * The person who signed in, as a reference or URL (SMART App Launch 2 §4.0.4 `fhirUser`): for the record
   * only.
   */
  readonly user: string | undefined;
  /** The name of that person (`name`, OpenID Connect Core 1.0 §5.1), if the issuer states it: for the record only. */
  readonly personName?: string | undefined;
  /** The issuer's entry says that the person who signs in is the token's patient. */
  readonly patientIsUser?: boolean | undefined;
  /** How the person signed in, and when in seconds since 1970 (RFC 9068 §2.2.1), if the issuer says it. */
  readonly acr?: string | undefined;
  readonly authTime?: number | undefined;
  readonly binding: Binding | Unbound;
}

/** A token with a proven signature, and the issuer's key that proved it. */
export interface ProvenToken extends AccessToken {
  /** The key's `kid`, if it has a `kid`. */
  readonly keyId: string | undefined;
}

export type AccessTokenRefusal =
  | SignatureRefusal
  | { readonly reason: "token_type_invalid" | "issuer_unknown" | "audience_mismatch" }
  /** For opaque tokens: the issuer reports the token as inactive, or several issuers could know it. */
  | { readonly reason: "token_inactive" | "issuer_ambiguous" }
  | TimesRefusal
  | BindingRefusal
  /** A required claim is missing or has the wrong form: its name, never its value. */
  | { readonly reason: "claim_malformed"; readonly claim: string };

/** FAPI 2.0 §5.3.2.1: the clock of an issuer may run ahead by this much. `exp` has no such grace. */
export const aheadSecondsMax = 10;

/** RFC 9068 §4: `at+jwt`, so that no different JWT of the same issuer passes for an access token. */
export function isAccessTokenType(typ: unknown): boolean {
  return typeof typ === "string" && /^(?:application\/)?at\+jwt$/iu.test(typ);
}

/** Seconds since 1970, up to the year 9999. */
export const claimSeconds = numberIn(0, 253_402_300_799);
/** An issuer, a subject, an audience, an id. */
export const claimName = textOf(1, 256);

/**
 * The claims that have the same name in every access token, for any issuer (RFC 9068 §2.2, RFC 7800 §3.1).
 */
export const commonClaims = {
  iss: claimName,
  sub: claimName,
  jti: claimName,
  aud: eitherOf(
    mapped(claimName, (only) => [only]),
    arrayOf(claimName, 1, 16),
  ),
  exp: claimSeconds,
  iat: claimSeconds,
  nbf: optional(claimSeconds),
  cnf: optional(recordOf(anything)),
};

const tokenClaims = objectOf({
  ...commonClaims,
  client_id: claimName,
  scope: textOf(1, 4_096),
  purpose_of_use: arrayOf(textLike(purposePattern), 1, 16),
});

/** Names the claim of a problem; never its value. */
export const malformedClaim = ({
  path,
}: Misfit): Result<never, AccessTokenRefusal & { reason: "claim_malformed" }> =>
  err({ reason: "claim_malformed", claim: String(path[0] ?? "") });

export interface TokenExpectation {
  readonly issuer: string;
  /** The requested FHIR base. */
  readonly audience: string;
  readonly at: Instant;
  readonly lifetimeSecondsMax: number;
}

/** Reads the claims of a built-in issuer's token after its signature was proven. */
export function readAccessToken(
  claims: unknown,
  expected: TokenExpectation,
): Result<AccessToken, AccessTokenRefusal> {
  const read = tokenClaims(claims);
  if (read instanceof Misfit) return malformedClaim(read);
  const { iss, sub, client_id, jti, aud, exp, scope, purpose_of_use } = read;

  if (iss !== expected.issuer) return err({ reason: "issuer_unknown" });
  if (!aud.includes(expected.audience)) return err({ reason: "audience_mismatch" });
  const times = withinTimes(read, expected.at, expected.lifetimeSecondsMax);
  if (!times.ok) return times;
  const binding = boundTo(read.cnf);
  if (!binding.ok) return binding;

  const scopes = parseScopes(scope);
  if (!scopes.ok) return err({ reason: "claim_malformed", claim: "scope" });
  return ok({
    issuer: iss,
    issuedHere: true,
    subject: sub,
    client: client_id,
    id: jti,
    expires: instant(exp * 1000),
    scopes: scopes.value,
    purposes: purpose_of_use,
    namesBase: true,
    patient: undefined,
    user: undefined,
    binding: binding.value,
  });
}

export interface Times {
  readonly exp: number;
  readonly iat: number;
  readonly nbf?: number | undefined;
}

const claimTimes = objectOf({ exp: claimSeconds, iat: claimSeconds, nbf: optional(claimSeconds) });

/** The times of claims that were read as a token before. Throws for further claims. */
export const timesOf = (claims: Readonly<Record<string, unknown>>): Times => mustFit(claimTimes(claims));

export type TimesRefusal = {
  readonly reason: "token_expired" | "token_not_yet_valid" | "token_lifetime_too_long";
};

/** Checks that a token is valid at this moment and that its lifetime is within the limit. */
export function withinTimes(
  { exp, iat, nbf = 0 }: Times,
  at: Instant,
  lifetimeSecondsMax: number,
): Result<Times, TimesRefusal> {
  const now = epochSeconds(at);
  if (exp * 1000 <= at) return err({ reason: "token_expired" });
  if (iat > now + aheadSecondsMax || nbf > now + aheadSecondsMax)
    return err({ reason: "token_not_yet_valid" });
  return exp - iat > lifetimeSecondsMax ? err({ reason: "token_lifetime_too_long" }) : ok({ exp, iat, nbf });
}
