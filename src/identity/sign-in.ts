import * as z from "zod";
import { epochSeconds, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { Secret } from "#kernel/secret";
import { boundTo, type Binding } from "./binding.ts";
import { aheadSecondsMax, commonClaims, withinTimes, type AccessTokenRefusal } from "./token.ts";

/** One hour, as for the external issuers' other tokens: its demand says how old the sign-in itself may be. */
const lifetimeSecondsMax = 3_600;

// It stands in a challenge between quotation marks, among others with spaces between (RFC 9470 §3).
const unspaced = z.string().regex(/^[!#-[\]-~]{1,256}$/u);

/** What an operator who is a person has to show beside the certificate. Strict: a member that nobody knows is a demand that nobody holds anyone to. */
export const signInDemand = z.strictObject({
  /** Of an issuer in the registry. */
  iss: z.url({ protocol: /^https$/u }).max(2_048),
  sub: z.string().min(1).max(256),
  /** One of these, exactly (OpenID Connect Core §2). */
  acr: z.array(unspaced).min(1).max(8).readonly().optional(),
  /** All of these (RFC 8176). */
  amr: z.array(unspaced).min(1).max(8).readonly().optional(),
  /** How long ago somebody may have signed in: twelve hours, a long working day, at most. */
  maxAgeSeconds: z.int().min(30).max(43_200),
});

export type SignInDemand = Readonly<z.infer<typeof signInDemand>>;

/** What a proven access token says of who signed in, how and when (RFC 9068 §2.2.1). */
export interface SignIn {
  readonly issuer: string;
  readonly subject: string;
  /** `jti`. */
  readonly tokenId: string;
  /** `kid` of the key that proved the token, where it has one. */
  readonly keyId: string | undefined;
  readonly binding: Binding;
  readonly acr: string | undefined;
  readonly amr: readonly string[];
  /** In seconds since 1970. */
  readonly authTime: number | undefined;
}

/** Proves an access token of one issuer for the operators' door. Never throws for a bad one: a bad one is an answer. */
export interface SignInVerifier {
  /** `issuer`: the exact name of the only one whose tokens count. */
  verify(token: Secret, issuer: string, at: Instant): Promise<Result<SignIn, AccessTokenRefusal>>;
}

const text = z.string().min(1).max(256);
const claimsSchema = z.object({
  ...commonClaims,
  acr: text.optional(),
  amr: z.array(text).max(32).default([]),
  auth_time: z.int().nonnegative().max(253_402_300_799).optional(),
});

interface Expectation {
  readonly issuer: string;
  /** The operators' door, by its configured name. */
  readonly audience: string;
  readonly at: Instant;
}

/** Reads the claims of a token whose signature was proven by this issuer's own keys. */
export function readSignIn(
  claims: unknown,
  { issuer, audience, at }: Expectation,
): Result<Omit<SignIn, "keyId">, AccessTokenRefusal> {
  const read = claimsSchema.safeParse(claims);
  if (!read.success)
    return err({ reason: "claim_malformed", claim: String(read.error.issues[0]?.path[0] ?? "") });
  const { iss, sub, jti, aud, cnf, acr, amr, auth_time: authTime } = read.data;
  if (iss !== issuer) return err({ reason: "issuer_unknown" });
  if (!aud.includes(audience)) return err({ reason: "audience_mismatch" });
  const times = withinTimes(read.data, at, lifetimeSecondsMax);
  if (!times.ok) return times;
  const binding = boundTo(cnf); // whoever finds an unbound one could use it
  if (!binding.ok) return binding;
  return ok({ issuer: iss, subject: sub, tokenId: jti, binding: binding.value, acr, amr, authTime });
}

/** The first is about the token; after any of the others, somebody signs in again (RFC 9470 §3). */
export type SignInRefusal = {
  readonly reason:
    | "subject_mismatch"
    | "sign_in_time_missing"
    | "sign_in_time_in_future"
    | "sign_in_too_old"
    | "sign_in_too_weak";
};

/** Holds a sign-in to what is demanded of this operator. Says nothing of how strong or old it is before it is known whose it is. */
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
