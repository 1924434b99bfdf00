import type { CertificateRefusal } from "#identity/certificate";
import type { ClientAuthenticationRefusal } from "./client-assertion.ts";
import type { DecisionRefusal } from "./decide.ts";
import type { FormRefusal } from "./form.ts";

export type TokenEndpointRefusal =
  | FormRefusal
  | CertificateRefusal
  | ClientAuthenticationRefusal
  | DecisionRefusal
  | { readonly reason: "certificate_missing" | "grant_type_missing" | "grant_type_unsupported" | "authorization_header" };

/** What a refused caller is told: an error of RFC 6749 §5.2 or RFC 8707 §2, coarser than the record. */
export interface OAuthError {
  readonly status: number;
  readonly error: string;
  readonly text: string;
}

// Unknown, suspended, wrong signature, replay: one face, so that nobody learns which clients there are.
const client: OAuthError = { status: 401, error: "invalid_client", text: "Client authentication failed." };
const certificate: OAuthError = { status: 401, error: "invalid_client", text: "A valid client certificate is required." };
const request = (text: string): OAuthError => ({ status: 400, error: "invalid_request", text });
const scope = (text: string): OAuthError => ({ status: 400, error: "invalid_scope", text });
const target = (text: string): OAuthError => ({ status: 400, error: "invalid_target", text });
const unauthorized: OAuthError = { status: 400, error: "unauthorized_client", text: "No agreement in force permits this purpose." };

const faces = {
  form_in_url: request("Parameters belong in the body."),
  form_type_wrong: request("The body must be application/x-www-form-urlencoded in UTF-8."),
  form_too_large: { status: 413, error: "invalid_request", text: "The body is too large." },
  form_malformed: request("The body is malformed."),
  form_parameter_repeated: request("A parameter is repeated."),
  authorization_header: client,
  grant_type_missing: request("grant_type is required."),
  grant_type_unsupported: { status: 400, error: "unsupported_grant_type", text: "Only client_credentials is supported." },
  certificate_missing: certificate,
  certificate_malformed: certificate,
  certificate_unverified: certificate,
  certificate_revoked: certificate,
  certificate_too_large: certificate,
  assertion_missing: { ...client, text: "client_assertion is required: private_key_jwt." },
  assertion_form_wrong: { ...client, text: "client_assertion_type must be urn:ietf:params:oauth:client-assertion-type:jwt-bearer." },
  authentication_ambiguous: request("More than one way to authenticate."),
  jws_malformed: client,
  algorithm_not_allowed: client,
  critical_header: client,
  key_unknown: client,
  signature_wrong: client,
  assertion_type_wrong: client,
  assertion_subject_wrong: client,
  assertion_audience_wrong: client,
  assertion_expired: client,
  assertion_not_yet: client,
  assertion_lives_too_long: client,
  assertion_replayed: client,
  claim_malformed: client,
  client_id_differs: client,
  client_unknown: client,
  client_suspended: client,
  certificate_not_registered: client,
  certificate_outside_validity: client,
  resource_unknown: target("resource is not a FHIR base granted to this client."),
  resource_not_chosen: target("resource must name one of the FHIR bases granted to this client."),
  purpose_malformed: request("purpose_of_use is malformed."),
  purpose_not_chosen: request("purpose_of_use must name the purpose."),
  purpose_not_granted: unauthorized,
  agreement_not_begun: unauthorized,
  agreement_lapsed: unauthorized,
  agreement_without_purpose: unauthorized,
  scope_malformed: scope("scope is malformed."),
  scope_unknown: scope("Only SMART resource scopes are known here."),
  scope_context_unsupported: scope("Only system/ scopes are given here."),
  scope_query_unsupported: scope("Scopes with a query part are not supported."),
  scope_exceeds_grant: scope("scope goes beyond what is granted."),
} as const satisfies Record<TokenEndpointRefusal["reason"], OAuthError>;

export const faceOf = ({ reason }: TokenEndpointRefusal): OAuthError => faces[reason];
