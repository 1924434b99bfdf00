import { epochSeconds, instant, type Instant } from "#kernel/clock";
import { Misfit, objectOf, optional, textOf } from "#kernel/value-shape";
import { err, ok, type Result } from "#kernel/result";
import type { Secret } from "#kernel/secret";
import { sha256Base64url } from "#identity/jose/base64url";
import type { CompactJws } from "#identity/jose/compact-jws";
import { normalHttpUri } from "./http-uri.ts";
import { publicJwk, type PublicJwk } from "#identity/jose/jwk";
import { equalInConstantTime } from "#kernel/constant-time";
import { tokenAlgorithms } from "#identity/jose/jwk";
import { aheadSecondsMax, claimName, claimSeconds } from "./token.ts";

/**
 * A proven DPoP proof (RFC 9449): this key made this request, now. The ledger establishes that it is the
 * proof's first use.
 */
export interface Proof {
  /** RFC 7638 thumbprint of the key. */
  readonly jkt: string;
  /** `jti`: together with `jkt` it identifies this proof. */
  readonly id: string;
  /**
   * `iat`: used proofs are remembered for a limited time, so a proof that reaches the ledger late is
   * refused.
   */
  readonly made: Instant;
}

export type ProofRefusal =
  | {
      readonly reason:
        | "proof_missing"
        | "proof_malformed"
        | "proof_type_invalid"
        | "proof_algorithm_not_allowed"
        | "proof_critical_header_not_supported"
        | "proof_key_unusable"
        | "proof_key_mismatch"
        | "proof_signature_invalid"
        | "proof_method_mismatch"
        | "proof_url_mismatch"
        | "proof_token_mismatch"
        | "proof_expired"
        | "proof_not_yet_valid"
        | "proof_replayed";
    }
  /** Valid except for its nonce; `nonce` is the nonce to come back with. */
  | { readonly reason: "proof_nonce_missing" | "proof_nonce_expired"; readonly nonce: string };

export interface ProofExpectation {
  readonly method: string;
  /** The URL of the request by its configured public name; never by the listening address. */
  readonly url: string;
  readonly at: Instant;
  /**
   * The access token of the request and the thumbprint that it is bound to; none at the token endpoint.
   */
  readonly token: { readonly text: Secret; readonly jkt: string } | undefined;
}

/**
 * Proves that a request comes from the holder of a key. Never throws for a bad proof: a bad proof is an
 * answer.
 */
export interface ProofVerifier {
  /** `text`: the value of the only `DPoP` header. */
  verify(text: Secret | undefined, expected: ProofExpectation): Promise<Result<Proof, ProofRefusal>>;
  /** The nonce for this key's next proof. */
  nonce(jkt: string, at: Instant): string;
}

/** FAPI 2.0 §5.4.1. */
export const proofAlgorithms = tokenAlgorithms;

// RFC 9449 §11.1: seconds to minutes. FAPI 2.0 §6.2 expects nothing longer, and the ledger remembers proofs
// for 130 s.
export const proofAgeSecondsMax = 60;

/** The key that a proof states, before the proof is verified. RFC 9449 §4.3 checks 4, 5 and 7. */
export function readProofKey({ typ, alg, crit, jwk }: CompactJws["header"]): Result<PublicJwk, ProofRefusal> {
  if (typeof typ !== "string" || !/^(?:application\/)?dpop\+jwt$/iu.test(typ))
    return err({ reason: "proof_type_invalid" });
  if (!proofAlgorithms.some((allowed) => allowed === alg))
    return err({ reason: "proof_algorithm_not_allowed" });
  // RFC 7515 §4.1.11: no extension is understood here
  if (crit !== undefined) return err({ reason: "proof_critical_header_not_supported" });
  const key = publicJwk(jwk); // strict: a private member is refused like any unknown member
  return key instanceof Misfit ? err({ reason: "proof_key_unusable" }) : ok(key);
}

const proofClaims = objectOf({
  jti: claimName,
  htm: textOf(1, 32),
  htu: textOf(1, 2_048),
  iat: claimSeconds,
  exp: optional(claimSeconds),
  nbf: optional(claimSeconds),
  ath: optional(textOf(43, 43)),
  nonce: optional(textOf(0, 256)),
});

/** The facts still needed after key and claims are checked: the proof's id and time, and its nonce. */
export interface ReadProof extends Pick<Proof, "id" | "made"> {
  readonly nonce: string | undefined;
}

/**
 * Reads the claims of a proof after its signature was proven. RFC 9449 §4.3 checks 3, 8, 9, 11 and 12a.
 */
export async function readDpopProof(
  claims: unknown,
  expected: ProofExpectation,
): Promise<Result<ReadProof, ProofRefusal>> {
  const read = proofClaims(claims);
  if (read instanceof Misfit) return err({ reason: "proof_malformed" });
  const { jti, htm, htu, iat, exp, nbf, ath, nonce } = read;

  // RFC 9110 §9.1: methods are case-sensitive
  if (htm !== expected.method) return err({ reason: "proof_method_mismatch" });
  const url = normalHttpUri(htu);
  if (url === undefined || url !== normalHttpUri(expected.url)) return err({ reason: "proof_url_mismatch" });
  if (expected.token !== undefined) {
    const hash = await sha256Base64url(expected.token.text.reveal());
    if (ath === undefined || !equalInConstantTime(ath, hash)) return err({ reason: "proof_token_mismatch" });
  }

  const now = epochSeconds(expected.at);
  if (now - iat > proofAgeSecondsMax || (exp !== undefined && exp * 1000 <= expected.at))
    return err({ reason: "proof_expired" });
  if (iat > now + aheadSecondsMax || (nbf ?? 0) > now + aheadSecondsMax)
    return err({ reason: "proof_not_yet_valid" });
  return ok({ id: jti, made: instant(iat * 1000), nonce });
}
