import * as z from "zod";
import { epochSeconds, instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { JwsRefusal } from "./compact-jws.ts";
import type { Algorithm } from "./jwk.ts";
import { purposePattern, type Purpose } from "./purpose.ts";
import { parseScopes, type Scopes } from "./scopes.ts";

/** What a proven access token says (RFC 9068 §2.2). */
export interface AccessToken {
  readonly issuer: string;
  readonly subject: string;
  readonly client: string;
  /** `jti`: with the issuer the name of this token. */
  readonly id: string;
  readonly expires: Instant;
  readonly scopes: Scopes;
  readonly purposes: readonly Purpose[];
  /** `cnf["x5t#S256"]` (RFC 8705 §3.1): the certificate that must come with it. */
  readonly x5t: string;
}

export type TokenRefusal =
  | JwsRefusal
  | { readonly reason: "algorithm_not_allowed" | "critical_header" | "key_unknown" | "signature_wrong" }
  | {
      readonly reason:
        | "token_type_wrong"
        | "issuer_unknown"
        | "audience_wrong"
        | "token_expired"
        | "token_not_yet"
        | "token_lives_too_long";
    }
  | { readonly reason: "token_unbound" | "binding_unsupported" }
  /** A required claim is missing or has the wrong form: its name, never its value. */
  | { readonly reason: "claim_malformed"; readonly claim: string };

/** FAPI 2.0 §5.4.1. */
export const tokenAlgorithms: readonly Algorithm[] = ["PS256", "ES256", "EdDSA", "Ed25519"];

/** FAPI 2.0 §5.3.2.1: clocks of issuers may run ahead by so much. `exp` has no such grace. */
export const aheadSecondsMax = 10;

/** RFC 9068 §4: `at+jwt`, so that no other JWT of the same issuer passes for an access token. */
export function isAccessTokenType(typ: unknown): boolean {
  return typeof typ === "string" && /^(?:application\/)?at\+jwt$/iu.test(typ);
}

const seconds = z.number().nonnegative().max(253_402_300_799);
const name = z.string().min(1).max(256);
const claimsSchema = z.object({
  iss: name,
  sub: name,
  client_id: name,
  jti: name,
  aud: z.union([name, z.array(name).min(1).max(16)]),
  exp: seconds,
  iat: seconds,
  nbf: seconds.optional(),
  scope: z.string().min(1).max(4_096),
  purpose_of_use: z.array(z.string().regex(purposePattern)).min(1).max(16),
  cnf: z.record(z.string(), z.unknown()).optional(),
});

export interface TokenExpectation {
  readonly issuer: string;
  /** The FHIR base that is being asked. */
  readonly audience: string;
  readonly at: Instant;
  readonly lifetimeSecondsMax: number;
}

/** Reads the claims of a token whose signature was proven. */
export function readAccessToken(claims: unknown, expected: TokenExpectation): Result<AccessToken, TokenRefusal> {
  const read = claimsSchema.safeParse(claims);
  if (!read.success) return err({ reason: "claim_malformed", claim: String(read.error.issues[0]?.path[0] ?? "") });
  const { iss, sub, client_id, jti, aud, exp, iat, nbf, scope, purpose_of_use, cnf } = read.data;

  if (iss !== expected.issuer) return err({ reason: "issuer_unknown" });
  if (!(typeof aud === "string" ? [aud] : aud).includes(expected.audience)) return err({ reason: "audience_wrong" });

  const now = epochSeconds(expected.at);
  if (exp * 1000 <= expected.at) return err({ reason: "token_expired" });
  if (iat > now + aheadSecondsMax || (nbf ?? 0) > now + aheadSecondsMax) return err({ reason: "token_not_yet" });
  if (exp - iat > expected.lifetimeSecondsMax) return err({ reason: "token_lives_too_long" });

  // A second method of confirmation would have to hold too (RFC 7800 §3.1), and this version cannot check one.
  if (cnf === undefined) return err({ reason: "token_unbound" });
  const { "x5t#S256": x5t, ...others } = cnf;
  if (Object.keys(others).length > 0) return err({ reason: "binding_unsupported" });
  if (typeof x5t !== "string" || !/^[A-Za-z0-9_-]{43}$/u.test(x5t)) return err({ reason: "token_unbound" });

  const scopes = parseScopes(scope);
  if (!scopes.ok) return err({ reason: "claim_malformed", claim: "scope" });
  const expires = instant(exp * 1000);
  return ok({ issuer: iss, subject: sub, client: client_id, id: jti, expires, scopes: scopes.value, purposes: purpose_of_use, x5t });
}
