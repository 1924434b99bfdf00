import type { ClientAuthenticationRefusal } from "./authenticate-client.ts";
import type { DecisionRefusal } from "./decide.ts";
import type { TokenRequestRefusal } from "./token-request.ts";

export type TokenRefusal = TokenRequestRefusal | ClientAuthenticationRefusal | DecisionRefusal;

/** An error code of RFC 6749 §5.2, RFC 8707 §2 or RFC 9449 §5 and §8, with its status. */
export interface OAuthError {
  readonly status: 400 | 401 | 413 | 415;
  readonly error:
    | "invalid_request"
    | "invalid_client"
    | "unauthorized_client"
    | "unsupported_grant_type"
    | "invalid_scope"
    | "invalid_target"
    | "invalid_dpop_proof"
    | "use_dpop_nonce";
  readonly description: string;
}

const invalidRequest = (description: string): OAuthError => ({ status: 400, error: "invalid_request", description });
// One face for every way in which a client can fail to prove itself: which one it was is the ledger's.
const invalidClient: OAuthError = { status: 401, error: "invalid_client", description: "Client authentication failed." };
const invalidScope = (description: string): OAuthError => ({ status: 400, error: "invalid_scope", description });
const badProof: OAuthError = { status: 400, error: "invalid_dpop_proof", description: "The DPoP proof is missing or not valid." };
const useNonce: OAuthError = { status: 400, error: "use_dpop_nonce", description: "Repeat the request with the nonce of DPoP-Nonce." };
const unauthorized = (description: string): OAuthError => ({ status: 400, error: "unauthorized_client", description });

/** Each reason's public face. A new reason without a row does not compile. */
export const oauthErrors: Readonly<Record<TokenRefusal["reason"], OAuthError>> = {
  body_broken_off: invalidRequest("The request broke off."),
  form_type_not_supported: { ...invalidRequest("The body must be application/x-www-form-urlencoded."), status: 415 },
  form_too_large: { ...invalidRequest("The body is too large."), status: 413 },
  form_malformed: invalidRequest("The form is malformed."),
  parameter_repeated: invalidRequest("A parameter is repeated."),
  grant_type_missing: invalidRequest("grant_type is missing."),
  grant_type_not_supported: { status: 400, error: "unsupported_grant_type", description: "Only client_credentials is supported." },
  token_parameter_missing: invalidRequest("token is missing."),
  client_authentication_missing: invalidClient,
  client_authentication_not_supported: invalidClient,
  client_authentication_repeated: invalidRequest("Authenticate in one way."),

  certificate_malformed: invalidClient,
  certificate_unverified: invalidClient,
  certificate_revoked: invalidClient,
  certificate_too_large: invalidClient,
  certificate_missing: invalidClient,
  certificate_not_registered: invalidClient,
  certificate_outside_validity: invalidClient,
  client_unknown: invalidClient,
  client_id_mismatch: invalidClient,
  client_authentication_method_mismatch: invalidClient,
  client_suspended: invalidClient,
  client_denied: invalidClient,
  certificate_denied: invalidClient,
  key_denied: invalidClient,
  proof_key_denied: invalidClient,
  jws_malformed: invalidClient,
  algorithm_not_allowed: invalidClient,
  critical_header_not_supported: invalidClient,
  key_unknown: invalidClient,
  signature_invalid: invalidClient,
  claim_malformed: invalidClient,
  assertion_type_invalid: invalidClient,
  assertion_subject_mismatch: invalidClient,
  assertion_audience_mismatch: invalidClient,
  assertion_expired: invalidClient,
  assertion_not_yet_valid: invalidClient,
  assertion_lifetime_too_long: invalidClient,
  assertion_replayed: invalidClient,

  proof_not_expected: invalidRequest("This client is not registered for DPoP."),
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

  target_unknown: { status: 400, error: "invalid_target", description: "No grant for this resource." },
  target_not_chosen: { status: 400, error: "invalid_target", description: "Name the resource that the token is for." },
  purpose_malformed: invalidRequest("purpose_of_use is malformed."),
  purpose_not_granted: unauthorized("No grant for this purpose of use."),
  purpose_not_chosen: invalidRequest("Name the purpose_of_use."),
  agreement_not_yet_in_force: unauthorized("No agreement is in force."),
  agreement_expired: unauthorized("No agreement is in force."),
  purpose_not_in_agreement: unauthorized("No agreement is in force for this purpose of use."),
  scope_malformed: invalidScope("scope is malformed."),
  scope_unknown: invalidScope("A scope is not one of SMART's."),
  scope_context_not_supported: invalidScope("Only system/ scopes are issued here."),
  scope_query_not_supported: invalidScope("Scopes with a query part are not supported."),
  scope_exceeds_grant: invalidScope("The scope goes beyond the grant."),
};
