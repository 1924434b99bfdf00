import type { OperatorRefusal } from "./operator.ts";
import type { DocumentRefusal } from "./read-document.ts";

export type AdminRefusal = OperatorRefusal | DocumentRefusal | { readonly reason: "body_timed_out" };

/** The public side of a refusal (RFC 9457 §3.1). */
interface PublicFace {
  readonly status: number;
  readonly title: string;
}

export const faces = {
  // Whose certificate failed is no business of whoever holds it: one face for all that do not prove an operator.
  // 403 and not 401: there is no authentication scheme to name in WWW-Authenticate (RFC 9110 §15.5.2).
  unproven: { status: 403, title: "An operator's certificate is required." },
  forbidden: { status: 403, title: "Not permitted." },
  badToken: { status: 401, title: "An access token of this operator is required, for this door and bound to this certificate or a key." },
  badProof: { status: 401, title: "The DPoP proof is missing, not valid for this request, or was used before." },
  useNonce: { status: 401, title: "Repeat the request with a DPoP proof over the nonce of DPoP-Nonce." },
  signInAgain: { status: 401, title: "Sign in again: more lately, or by more." },
} as const satisfies Record<string, PublicFace>;

const { unproven, forbidden, badToken, badProof, useNonce, signInAgain } = faces;

export const publicFaces: Readonly<Record<AdminRefusal["reason"], PublicFace>> = {
  certificate_missing: unproven,
  certificate_malformed: unproven,
  certificate_unverified: unproven,
  certificate_revoked: unproven,
  certificate_too_large: unproven,
  certificate_denied: unproven,
  operator_unknown: unproven,
  operator_suspended: forbidden,
  sign_in_not_registered: forbidden,
  role_missing: forbidden,
  token_missing: badToken,
  authorization_malformed: badToken,
  authorization_scheme_unknown: badToken,
  token_scheme_mismatch: badToken,
  jws_malformed: badToken,
  algorithm_not_allowed: badToken,
  critical_header_not_supported: badToken,
  key_unknown: badToken,
  signature_invalid: badToken,
  token_type_invalid: badToken,
  issuer_unknown: badToken,
  issuer_ambiguous: badToken,
  audience_mismatch: badToken,
  token_inactive: badToken,
  token_expired: badToken,
  token_not_yet_valid: badToken,
  token_lifetime_too_long: badToken,
  token_unbound: badToken,
  binding_not_supported: badToken,
  claim_malformed: badToken,
  certificate_mismatch: badToken,
  subject_mismatch: badToken,
  client_denied: badToken,
  token_denied: badToken,
  key_denied: badToken,
  proof_key_denied: badToken,
  proof_missing: badProof,
  proof_malformed: badProof,
  proof_type_invalid: badProof,
  proof_algorithm_not_allowed: badProof,
  proof_critical_header_not_supported: badProof,
  proof_key_unusable: badProof,
  proof_key_mismatch: badProof,
  proof_signature_invalid: badProof,
  proof_method_mismatch: badProof,
  proof_url_mismatch: badProof,
  proof_token_mismatch: badProof,
  proof_expired: badProof,
  proof_not_yet_valid: badProof,
  proof_replayed: badProof,
  proof_nonce_missing: useNonce,
  proof_nonce_expired: useNonce,
  sign_in_time_missing: signInAgain,
  sign_in_time_in_future: signInAgain,
  sign_in_too_old: signInAgain,
  sign_in_too_weak: signInAgain,
  body_timed_out: { status: 408, title: "The request took too long to arrive." },
  body_broken_off: { status: 400, title: "The request broke off." },
  body_type_not_supported: { status: 415, title: "The body must be application/json." },
  body_too_large: { status: 413, title: "The body must be at most 1 MiB." },
  body_not_json: { status: 400, title: "The body is not JSON in UTF-8, is nested too deep, or an object names a member twice." },
};
