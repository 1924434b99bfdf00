import * as z from "zod/mini";
import { epochSeconds, type Instant } from "#kernel/clock";
import { arrayOf, integerIn, Misfit, objectOf, optional, withDefault } from "#kernel/value-shape";
import { err, ok, type Result } from "#kernel/result";
import type { Secret } from "#kernel/secret";
import { boundTo, type Binding } from "./binding.ts";
import {
  aheadSecondsMax,
  claimName,
  commonClaims,
  malformedClaim,
  withinTimes,
  type AccessTokenRefusal,
} from "./token.ts";

/**
 * One hour, as for further tokens of external issuers. The operator's demand limits the age of the sign-in
 * itself.
 */
const lifetimeSecondsMax = 3_600;

/** The greatest age that an operator's entry can permit of a sign-in: twelve hours, a long working day. */
export const signInAgeSecondsMax = 43_200;

// The value stands in a challenge between quotation marks, in a list with spaces between the items (RFC
// 9470 §3).
const unspaced = z.string().check(z.regex(/^[!#-[\]-~]{1,256}$/u));

/**
 * The sign-in that a human operator has to show in addition to the certificate. Strict: an unknown member
 * is a demand that no code enforces.
 */
export const signInDemand = z.strictObject({
  /** An issuer in the registry. */
  iss: z.url({ protocol: /^https$/u }).check(z.maxLength(2_048)),
  sub: z.string().check(z.minLength(1), z.maxLength(256)),
  /** Exactly a value of this list (OpenID Connect Core §2). */
  acr: z.optional(z.readonly(z.array(unspaced).check(z.minLength(1), z.maxLength(8)))),
  /** All values of this list (RFC 8176). */
  amr: z.optional(z.readonly(z.array(unspaced).check(z.minLength(1), z.maxLength(8)))),
  /** The maximum age of the sign-in. */
  maxAgeSeconds: z.int().check(z.minimum(30), z.maximum(signInAgeSecondsMax)),
});

export type SignInDemand = Readonly<z.infer<typeof signInDemand>>;

/**
 * The statement of a proven access token about the person, the method and the time of a sign-in (RFC 9068
 * §2.2.1).
 */
export interface SignIn {
  readonly issuer: string;
  readonly subject: string;
  /** `jti`. */
  readonly tokenId: string;
  /** `kid` of the key that proved the token, if it has a `kid`. */
  readonly keyId: string | undefined;
  readonly binding: Binding;
  readonly acr: string | undefined;
  readonly amr: readonly string[];
  /** In seconds since 1970. */
  readonly authTime: number | undefined;
}

/**
 * Proves an access token of a given issuer for the ops worker. Never throws for a bad token: a bad token is
 * an answer.
 */
export interface SignInVerifier {
  /** `issuer`: the exact name of the only issuer that counts. */
  verify(token: Secret, issuer: string, at: Instant): Promise<Result<SignIn, AccessTokenRefusal>>;
}

const signInClaims = objectOf({
  ...commonClaims,
  acr: optional(claimName),
  amr: withDefault(arrayOf(claimName, 0, 32), []),
  auth_time: optional(integerIn(0, 253_402_300_799)),
});

interface Expectation {
  readonly issuer: string;
  /** The URL of the ops worker, by its configured name. */
  readonly audience: string;
  readonly at: Instant;
}

/** Reads the claims of a token after its signature was proven by this issuer's own keys. */
export function readSignIn(
  claims: unknown,
  { issuer, audience, at }: Expectation,
): Result<Omit<SignIn, "keyId">, AccessTokenRefusal> {
  const read = signInClaims(claims);
  if (read instanceof Misfit) return malformedClaim(read);
  const { iss, sub, jti, aud, cnf, acr, amr, auth_time: authTime } = read;
  if (iss !== issuer) return err({ reason: "issuer_unknown" });
  if (!aud.includes(audience)) return err({ reason: "audience_mismatch" });
  const times = withinTimes(read, at, lifetimeSecondsMax);
  if (!times.ok) return times;
  const binding = boundTo(cnf); // any finder of an unbound token could use it
  if (!binding.ok) return binding;
  return ok({ issuer: iss, subject: sub, tokenId: jti, binding: binding.value, acr, amr, authTime });
}

/**
 * The first reason is about the token; after any further reason, the person signs in again (RFC 9470 §3).
 */
export type SignInRefusal = {
  readonly reason:
    | "subject_mismatch"
    | "sign_in_time_missing"
    | "sign_in_time_in_future"
    | "sign_in_too_old"
    | "sign_in_too_weak";
};

/**
 * Checks a sign-in against the demand on this operator. The subject comes first, so that a stranger learns
 * nothing about the demanded strength or age.
 */
export function judgeSignIn(
  { subject, acr, amr, authTime }: SignIn,
  demand: SignInDemand,
  at: Instant,
): Result<void, SignInRefusal> {
  if (subject !== demand.sub) return err({ reason: "subject_mismatch" });
  const now = epochSeconds(at);
  if (authTime === undefined) return err({ reason: "sign_in_time_missing" });
  if (authTime > now + aheadSecondsMax) return err({ reason: "sign_in_time_in_future" });
  if (now - authTime > demand.maxAgeSeconds) return err({ reason: "sign_in_too_old" });
  if (demand.acr !== undefined && (acr === undefined || !demand.acr.includes(acr)))
    return err({ reason: "sign_in_too_weak" });
  if (demand.amr?.every((method) => amr.includes(method)) === false)
    return err({ reason: "sign_in_too_weak" });
  return ok(undefined);
}
