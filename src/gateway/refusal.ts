import type { IssueType } from "#fhir/outcome";
import type { PrincipalDenied } from "#identity/denial";
import type { Exhausted } from "#limits/ports";
import type { PolicyRefusal } from "#policy/grant";
import type { AccountRefusal } from "./account.ts";
import type { AdmitRefusal } from "./admit.ts";
import type { AuthenticateRefusal } from "./authenticate.ts";
import type { GatherRefusal } from "./gather.ts";
import type { InterpretRefusal } from "./interpret.ts";
import type { BatchBodyRefusal } from "./batch-entry.ts";
import type { RelateRefusal } from "./relate.ts";
import type { TransactionRefusal } from "./transaction.ts";
import type { TellRefusal } from "./tell.ts";
import type { SignedRefusal } from "./prove-signed.ts";
import type { WriteBodyRefusal } from "./write-body.ts";
import type { PlanRefusal } from "./write-plan.ts";
import type { SendRefusal } from "./write-send.ts";

export type GatewayRefusal =
  | AdmitRefusal
  | AuthenticateRefusal
  | SignedRefusal
  | Exhausted
  | PrincipalDenied
  | InterpretRefusal
  | { readonly reason: "body_timed_out" | "body_broken_off" | "policy_missing" }
  | PolicyRefusal
  | RelateRefusal
  | BatchBodyRefusal
  | TransactionRefusal
  | TellRefusal
  | GatherRefusal
  | AccountRefusal
  | WriteBodyRefusal
  | PlanRefusal
  | SendRefusal;

/** What a refused caller is told. Coarser than the ledger's reason: it must not say which check failed where that would help an attacker. */
export interface PublicFace {
  readonly status: number;
  readonly code: IssueType;
  readonly text: string;
}

const face = (status: number, code: IssueType, text: string): PublicFace => ({ status, code, text });

const badCredential = face(401, "login", "The credential is missing, not valid, or not the one that goes with this certificate.");
const badProof = face(401, "login", "The DPoP proof is missing, not valid for this request, or was used before.");
const badSignature = face(
  401,
  "login",
  "The request must be signed: its signature is missing, or not one of the client's over this request.",
);
const useNonce = face(401, "login", "Repeat the request with a DPoP proof over the nonce of DPoP-Nonce.");
const notPermitted = face(403, "forbidden", "Not permitted.");
const hidden = face(403, "forbidden", "Not permitted: this would search by what may not be seen.");
const notFound = face(404, "not-found", "Not found."); // whatever a row decided: the same face as absent
const malformed = face(400, "invalid", "The request is malformed.");
const notCarried = face(400, "not-supported", "Not supported by this gateway.");
const badBody = face(400, "structure", "The body is not strict JSON in UTF-8: each name once, at most 100 levels deep.");
const stale = face(412, "conflict", "This is not the current version: read it again.");
const badOrigin = face(502, "exception", "The FHIR server behind the gateway gave no usable answer.");
const linkEnded = face(410, "expired", "The link to this page has expired: ask the search again.");
const tooLarge = face(502, "too-costly", "The answer is larger than this gateway carries: ask for less.");

/** Each reason's public face. A new reason without a row does not compile. */
const publicFaces: Readonly<Record<GatewayRefusal["reason"], PublicFace>> = {
  // admit
  url_too_long: face(414, "too-long", "The URL is too long."),
  headers_too_large: face(431, "too-long", "The headers are too large."),
  path_malformed: face(404, "not-found", "There is no such path."),
  token_in_url: face(400, "security", "A token may not be in the URL."),
  authorization_malformed: badCredential,
  authorization_scheme_unknown: face(401, "login", "Only a token that is bound to a certificate (Bearer) or to a key (DPoP) is taken."),
  body_not_expected: face(400, "invalid", "This method takes no body."),
  not_acceptable: face(406, "not-supported", "Only JSON is answered."),
  // authenticate
  token_missing: badCredential,
  token_scheme_mismatch: badCredential,
  binding_mismatch: badCredential,
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
  certificate_malformed: badCredential,
  certificate_unverified: badCredential,
  certificate_revoked: badCredential,
  certificate_too_large: badCredential,
  certificate_missing: badCredential,
  certificate_mismatch: badCredential,
  certificate_not_registered: badCredential,
  certificate_outside_validity: badCredential,
  jws_malformed: badCredential,
  algorithm_not_allowed: badCredential,
  critical_header_not_supported: badCredential,
  key_unknown: badCredential,
  signature_invalid: badCredential,
  token_type_invalid: badCredential,
  issuer_unknown: badCredential,
  issuer_ambiguous: badCredential,
  token_inactive: badCredential,
  audience_mismatch: badCredential,
  token_expired: badCredential,
  token_not_yet_valid: badCredential,
  token_lifetime_too_long: badCredential,
  token_unbound: badCredential,
  binding_not_supported: badCredential,
  claim_malformed: badCredential,
  client_unknown: badCredential,
  client_suspended: badCredential,
  agreement_not_yet_in_force: face(403, "forbidden", "No agreement is in force."),
  agreement_expired: face(403, "forbidden", "No agreement is in force."),
  purpose_not_in_agreement: face(403, "forbidden", "No agreement is in force for this purpose."),
  grant_missing: notPermitted,
  patient_missing: face(403, "forbidden", "Not permitted: the token names no patient."),
  patient_mismatch: notPermitted,
  patient_origin_unknown: face(403, "forbidden", "Not permitted: the token's audience does not say of which FHIR server its patient is."),
  purpose_malformed: face(400, "invalid", "Phylax-Purpose is not a purpose of use."),
  purpose_not_granted: face(403, "forbidden", "The token is not for this purpose of use."),
  purpose_not_chosen: face(403, "forbidden", "The token is for several purposes: choose one with Phylax-Purpose."),
  // prove signed
  request_signature_missing: badSignature,
  request_signature_malformed: badSignature,
  request_signature_incomplete: badSignature,
  request_signature_component_unknown: badSignature,
  request_signature_expired: badSignature,
  request_signature_not_yet_valid: badSignature,
  request_signature_key_unknown: badSignature,
  request_signature_algorithm_mismatch: badSignature,
  request_signature_invalid: badSignature,
  content_digest_mismatch: badSignature,
  // denied beside the registry
  client_denied: badCredential,
  certificate_denied: badCredential,
  key_denied: badCredential,
  proof_key_denied: badCredential,
  token_denied: badCredential,
  agreement_denied: face(403, "forbidden", "No agreement is in force."),
  grant_denied: notPermitted,
  policy_denied: notPermitted,
  // throttle
  quota_exhausted: face(429, "throttled", "The quota of this window is used up."),
  subject_quota_exhausted: face(429, "throttled", "The quota of this window is used up for whom the token is for."),
  // whoever reads the body
  body_broken_off: face(400, "invalid", "The request broke off."),
  body_timed_out: face(408, "timeout", "The request took too long to arrive."),
  // interpret
  interaction_not_supported: notCarried,
  method_not_supported: face(405, "not-supported", "This address has no such method: see Allow."),
  path_unknown: face(404, "not-found", "There is no such path."),
  resource_type_unknown: face(404, "not-supported", "There is no such resource type in FHIR R4."),
  resource_id_malformed: face(400, "value", "The id is malformed."),
  query_too_long: face(414, "too-long", "The query is too long."),
  form_type_not_supported: face(415, "not-supported", "A search is posted as application/x-www-form-urlencoded."),
  form_too_large: face(413, "too-long", "The search is too long."),
  page_link_with_parameters: face(400, "invalid", "The link to a page stands alone: its question is in it."),
  page_link_malformed: linkEnded,
  page_link_mismatch: linkEnded,
  page_link_expired: linkEnded,
  too_many_parameters: face(400, "too-long", "There are too many parameters."),
  query_malformed: face(400, "structure", "The query is not well-formed UTF-8 in percent encoding."),
  parameter_malformed: malformed,
  parameter_unknown: face(400, "not-supported", "The search parameter is not one of this resource type."),
  parameter_not_supported: notCarried,
  modifier_not_supported: face(400, "not-supported", "This search modifier is not supported here."),
  chain_needs_type: face(400, "invalid", "What the chain goes through may be of several types: name one, as in subject:Patient.name."),
  chain_too_long: face(400, "too-costly", "The chain is longer than this gateway follows."),
  too_many_joins: face(400, "too-costly", "There are more chains or includes than this gateway follows."),
  parameter_repeated: face(400, "invalid", "A parameter that may stand once is repeated."),
  too_many_values: face(400, "too-long", "A parameter has too many values."),
  parameter_value_malformed: face(400, "value", "A parameter's value is malformed."),
  subject_missing: face(400, "required", "Say whose observations: patient or subject."),
  criteria_missing: face(412, "invalid", "A conditional request needs a criterion."),
  format_not_supported: face(406, "not-supported", "Only JSON is answered."),
  // authorize: decided from type and policy alone
  policy_missing: notPermitted,
  rule_missing: notPermitted,
  scope_insufficient: face(403, "forbidden", "Not permitted by the token's scope."),
  outside_patient_compartment: face(403, "forbidden", "Not permitted: rows of this type are no patient's, and the scope is a patient's."),
  parameter_hidden: hidden,
  parameter_needs_system: face(403, "forbidden", "Not permitted without a system: name the one that may be seen."),
  sort_hidden: hidden,
  include_hidden: face(403, "forbidden", "Not permitted: what this would bring along may not be seen."),
  operation_not_granted: face(403, "forbidden", "Not permitted: the policy does not allow this operation."),
  history_needs_unrestricted_access: face(403, "forbidden", "Not permitted: the history of a type is for those who may read all of it."),
  // batch and transaction
  not_a_batch_or_transaction: face(400, "invalid", "A batch or a transaction is expected: a Bundle of that type."),
  too_many_entries: face(
    413,
    "too-costly",
    "There are more entries than this gateway takes: 50 in a batch, 1,000 in a transaction, of which 50 may be reads.",
  ),
  entry_malformed: face(400, "structure", "An entry is malformed."),
  entry_url_malformed: face(400, "value", "An entry's URL is not relative to the FHIR base, or no path of FHIR."),
  entry_repeated: face(400, "invalid", "Two entries of a transaction are about one resource, or call two alike."),
  reference_unresolved: face(412, "processing", "A reference that is a search finds no resource that may be seen."),
  conditional_reference_not_supported: face(422, "not-supported", "A reference may be a search in a transaction only."),
  too_many_references: face(400, "too-costly", "More references are searches than this gateway resolves."),
  // relate
  too_many_rows: face(403, "too-costly", "More rows would have to be gone through than this gateway does for one request: ask for less."),
  // forward
  origin_unknown: notFound,
  absent: notFound,
  origin_refused: badOrigin,
  origin_rejected_search: face(400, "not-supported", "The FHIR server behind the gateway does not take this search."),
  origin_answer_too_large: tooLarge,
  origin_unreachable: badOrigin,
  origin_timed_out: face(504, "timeout", "The FHIR server behind the gateway did not answer in time."),
  origin_circuit_open: face(503, "transient", "The FHIR server behind the gateway is not available just now."),
  // gather
  page_link_target_absent: linkEnded,
  page_link_too_long: face(
    400,
    "too-long",
    "The search is too long to have further pages: ask for fewer values, or narrow it to one page.",
  ),
  answer_link_outside_origin: badOrigin,
  answer_link_loops: badOrigin,
  answer_too_large: tooLarge,
  answer_incomplete: tooLarge,
  answer_not_utf8: badOrigin,
  answer_too_deep: badOrigin,
  answer_duplicate_key: badOrigin,
  answer_not_json: badOrigin,
  answer_mismatch: badOrigin,
  answer_not_a_searchset: badOrigin,
  row_outside_access: notFound,
  resource_withheld: notFound,
  record_quota_exhausted: face(
    429,
    "throttled",
    "The quota of records of this window has less left than this answer holds: ask for fewer, or later.",
  ),
  too_many_disclosures: face(403, "too-costly", "More disclosures than one answer holds: ask for a shorter time, by start and end."),
  // write: what is wrong with the request whatever is stored
  precondition_malformed: face(400, "value", "If-Match is not a list of entity tags."),
  precondition_not_supported: face(412, "not-supported", "Of preconditions a write may have If-Match, and a create If-None-Exist."),
  body_missing: face(400, "required", "The body is missing."),
  body_too_large: face(413, "too-long", "The body is larger than this gateway carries."),
  body_type_not_supported: face(415, "not-supported", "A resource is sent as application/fhir+json in UTF-8."),
  patch_type_not_supported: face(415, "not-supported", "Of patches only JSON Patch is taken, as application/json-patch+json in UTF-8."),
  body_not_utf8: badBody,
  body_too_deep: badBody,
  body_duplicate_key: badBody,
  body_not_json: badBody,
  resource_type_mismatch: face(400, "invalid", "The resource is not of the type of this address."),
  resource_id_mismatch: face(400, "invalid", "The resource has not the id of this address."),
  patch_malformed: face(400, "structure", "The body is not a JSON Patch (RFC 6902) that this gateway carries."),
  criteria_not_supported: face(400, "not-supported", "A condition is told by tokens and references: this criterion is not one."),
  // write: what is wrong with it for what may be seen of the stored one
  criteria_ambiguous: face(412, "processing", "The condition means more than one resource."),
  version_not_current: stale,
  version_missing: face(412, "conflict", "The FHIR server behind the gateway names no version that the write could be held to."),
  patch_not_applicable: face(422, "processing", "The patch does not apply: it names a place that is not there, or a test did not hold."),
  patch_not_a_resource: face(422, "processing", "The patch leaves no resource."),
  body_invalid: face(422, "processing", "The resource cannot be written."), // what is wrong is told place by place
  result_invalid: face(422, "processing", "With what may not be seen of it, the resource would not be valid."),
  result_outside_access: face(403, "forbidden", "Not permitted: the resource would be outside what may be written."),
  result_widens_access: face(403, "forbidden", "Not permitted: whoever writes this would see more by it."),
  result_changes_patient: face(403, "forbidden", "Not permitted: a resource is not moved to another patient."),
  // write: what the origin made of it
  write_conflict: face(409, "conflict", "The resource is being changed by somebody else."),
  write_precondition_failed: stale,
  write_rejected: face(422, "processing", "The FHIR server behind the gateway does not take this resource."),
  write_outcome_unknown: face(
    504,
    "timeout",
    "The FHIR server behind the gateway did not answer: whether the write was done is not known.",
  ),
};

/** The public face of a refusal. Where the specification itself has the name (a parameter, an interaction), it is told. */
export function faceOf(refusal: GatewayRefusal): PublicFace {
  const base = publicFaces[refusal.reason];
  const named = nameOf(refusal);
  return named === undefined ? base : { ...base, text: `${base.text} (${named})` };
}

/** Only names by the grammar of FHIR: a parameter code or an interaction, never a value. */
function nameOf(refusal: GatewayRefusal): string | undefined {
  if ("parameter" in refusal) return refusal.parameter;
  if ("operation" in refusal) return refusal.operation;
  return refusal.reason === "interaction_not_supported" ? refusal.interaction : undefined;
}
