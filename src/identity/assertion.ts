import { epochSeconds, instant, type Instant } from "#kernel/clock";
import { arrayOf, eitherOf, Misfit, objectOf, optional } from "#kernel/value-shape";
import { err, ok, type Result } from "#kernel/result";
import type { SignatureRefusal } from "#identity/jose/compact-jws";
import { tokenAlgorithms, type Algorithm } from "#identity/jose/jwk";
import { aheadSecondsMax, claimName, claimSeconds, malformedClaim } from "./token.ts";

/** `fapi2`: FAPI 2.0 §5.3.2.1. `smart`: SMART Backend Services (SMART App Launch 2 §5). */
export type AssertionProfile = "fapi2" | "smart";

/** The facts of a proven client assertion (RFC 7523 §3) that are still needed to accept it once. */
export interface Assertion {
  readonly id: string;
  readonly expires: Instant;
}

/** An assertion with a proven signature, and the client's key that proved it. */
export interface ProvenAssertion extends Assertion {
  /** The key's `kid`, if it has a `kid`. */
  readonly keyId: string | undefined;
}

export type AssertionRefusal =
  | SignatureRefusal
  | {
      readonly reason:
        | "assertion_type_invalid"
        | "assertion_subject_mismatch"
        | "assertion_audience_mismatch"
        | "assertion_expired"
        | "assertion_not_yet_valid"
        | "assertion_lifetime_too_long";
    }
  | { readonly reason: "claim_malformed"; readonly claim: string };

export interface AssertionRules {
  readonly algorithms: readonly Algorithm[];
  readonly lifetimeSecondsMax: number;
}

export const assertionRules: Readonly<Record<AssertionProfile, AssertionRules>> = {
  fapi2: { algorithms: tokenAlgorithms, lifetimeSecondsMax: 60 },
  smart: { algorithms: [...tokenAlgorithms, "RS384", "ES384"], lifetimeSecondsMax: 300 },
};

/**
 * An assertion may leave `typ` out. A JWT of a different type, signed by the same client, is no assertion.
 */
export function isAssertionType(typ: unknown): boolean {
  return (
    typ === undefined ||
    (typeof typ === "string" && /^(?:application\/)?(?:client-authentication\+)?jwt$/iu.test(typ))
  );
}

const assertionClaims = objectOf({
  iss: claimName,
  sub: claimName,
  aud: eitherOf(claimName, arrayOf(claimName, 1, 1)),
  jti: claimName,
  exp: claimSeconds,
  iat: optional(claimSeconds),
  nbf: optional(claimSeconds),
});

export interface AssertionExpectation {
  readonly client: string;
  readonly profile: AssertionProfile;
  readonly issuer: string;
  readonly tokenEndpoint: string;
  readonly at: Instant;
}

/** Reads the claims of an assertion after its signature was proven. */
export function readAssertion(
  claims: unknown,
  expected: AssertionExpectation,
): Result<Assertion, AssertionRefusal> {
  const read = assertionClaims(claims);
  if (read instanceof Misfit) return malformedClaim(read);
  const { iss, sub, aud, jti, exp, iat, nbf } = read;

  if (iss !== expected.client || sub !== expected.client)
    return err({ reason: "assertion_subject_mismatch" });
  if (!audienceFits[expected.profile](aud, expected)) return err({ reason: "assertion_audience_mismatch" });

  const now = epochSeconds(expected.at);
  if (exp * 1000 <= expected.at) return err({ reason: "assertion_expired" });
  if ((iat ?? 0) > now + aheadSecondsMax || (nbf ?? 0) > now + aheadSecondsMax)
    return err({ reason: "assertion_not_yet_valid" });
  // The client's clock counts if the assertion has `iat`, otherwise our clock.
  if (exp - (iat ?? now) > assertionRules[expected.profile].lifetimeSecondsMax)
    return err({ reason: "assertion_lifetime_too_long" });
  // RFC 7519 §2: a NumericDate may have any fraction
  return ok({ id: jti, expires: instant(Math.ceil(exp * 1000)) });
}

const audienceFits: Readonly<
  Record<AssertionProfile, (aud: string | readonly string[], expected: AssertionExpectation) => boolean>
> = {
  // FAPI 2.0 §5.3.2.1: the issuer as a string, so that an assertion made for a different server is never
  // accepted here.
  fapi2: (aud, { issuer }) => aud === issuer,
  smart: (aud, { issuer, tokenEndpoint }) => {
    const [only] = typeof aud === "string" ? [aud] : aud;
    return only === issuer || only === tokenEndpoint;
  },
};
