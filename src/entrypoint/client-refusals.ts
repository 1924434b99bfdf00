import type { IssueType } from "#fhir/outcome";
import { type ClientRow, fhir, oauth, rowFor } from "./public-face.ts";

/**
 * Every reason for which the FHIR API or the token endpoint refuses a request, with the answer's status and a
 * text that says what to do next. Each door checks its own union of reasons against this table: a reason
 * without a row does not compile, nor a row without a reason. The rows of the admin API are in
 * `operator-refusals.ts`, so that no isolate of the gateway loads them.
 *
 * Facts that a caller sent and can see (no token, no certificate on the connection, the token's own `exp`
 * and `aud`) have texts of their own. All failed checks of a credential, and all facts of the registry about
 * a client, share a text: the record has the exact reason.
 */

// The status and the code that several refusals share.
const facedAs = (status: number, code: IssueType) => (text: string) => fhir(status, code, text);
const login = facedAs(401, "login");
const forbidden = facedAs(403, "forbidden");
const unsupported = facedAs(400, "not-supported");
const invalid = facedAs(400, "invalid");
const unavailable = facedAs(503, "transient");
const unprocessable = facedAs(422, "processing");
const throttled = facedAs(429, "throttled");
const misshapen = facedAs(400, "structure");
const badValue = facedAs(400, "value");
const tooCostly = facedAs(400, "too-costly");
const missing = facedAs(400, "required");
const tooCostlyWrite = facedAs(422, "too-costly");
const unsupportedWrite = facedAs(422, "not-supported");
const timedOut = facedAs(504, "timeout");
const conflicting = facedAs(409, "conflict");
const ambiguous = facedAs(412, "processing");
const outdated = facedAs(412, "conflict");
const brokenOrigin = facedAs(502, "exception");
const invalidWrite = facedAs(422, "invalid");
const tooMuch = facedAs(413, "too-costly");
const tooLong = facedAs(413, "too-long");
const unfound = facedAs(404, "not-found");
const invalidRequest = (description: string) => oauth("invalid_request", description);
const invalidScope = (description: string) => oauth("invalid_scope", description);
const invalidTarget = (description: string) => oauth("invalid_target", description);
const unauthorized = (description: string) => oauth("unauthorized_client", description);
const notAuthenticated = (description: string) => oauth("invalid_client", description, 401);

const recordHint = "The operator finds the exact reason in the ledger under this request's id.";

// Credentials. The first text must not say which check failed: a thief would learn what is missing.
const badToken =
  "The access token or the client certificate is not accepted. Check that the token is of an authorization server of this FHIR base and " +
  "not revoked, that it comes with the certificate or the key that it is bound to, and that the client is registered and active. " +
  recordHint;
const badCredential = login(badToken);
const invalidClient = notAuthenticated(
  "Client authentication failed. Check client_id, the registered method, and the certificate or the key, aud, sub, exp and jti of the assertion.",
);
const credentialOrClient = { ...badCredential, ...invalidClient };

export const badProof =
  "The DPoP proof is missing, not valid for this request, or was used before. Make a new proof for each request: check typ, alg, jwk, htm, " +
  "htu, iat, ath, nonce and a fresh jti.";
export const useNonce =
  "Repeat the request with a new DPoP proof that has the nonce of the DPoP-Nonce header.";
const badSignature =
  "The request must be signed (RFC 9421) with a registered key of the client. Sign what Accept-Signature names, with created, keyid and a " +
  "Content-Digest of this body.";
const noAgreement = "No agreement with this client is in force. Ask the privacy officer for an agreement.";
const noGrant =
  "Not permitted: no grant of this client covers this FHIR server, purpose and policy. Ask the privacy officer for a grant.";

export const sendJson = (type: string): string => `Send the body as ${type} in UTF-8.`;
export const strictJson =
  "The body is not strict JSON in UTF-8. Name each member once, and nest at most 100 levels.";
const wait = (what: string): string => `${what} Wait as long as Retry-After says, then ask again.`;

// The FHIR server behind the gateway.
const badOrigin = brokenOrigin(
  "The FHIR server behind the gateway gave no usable answer. Try again later; if it stays so, tell the operator this request's id.",
);
const tooLarge = fhir(
  502,
  "too-costly",
  "The answer is larger than this gateway supports. Ask for less: a smaller _count, or a narrower search.",
);
const pageEnded = fhir(
  410,
  "expired",
  "The link to this page is not valid any more. Send the search again from its first page.",
);
// A refusal that a row decided has the face of an absent row.
const notFound = unfound("There is no such resource for this client. Check the type and the id.");
const unknownPath = unfound(
  "There is no such path. Use a path of FHIR below the base, such as Patient/123 or Observation?patient=123.",
);
const jsonOnly = fhir(
  406,
  "not-supported",
  "The answer is JSON of FHIR 4.0 only. Accept application/fhir+json; fhirVersion=4.0, and leave out any other _format. $disclosures also has _format=text/csv and text/html.",
);
const stale = outdated(
  "This is not the resource's current version. Read the resource again and repeat the change with the new ETag.",
);
const hidden = forbidden(
  "Not permitted: the policy does not show this client what the parameter reads. Search by another parameter, or ask the privacy officer.",
);

/** Problems of the certificate itself. */
export const certificateProblems = [
  "certificate_malformed",
  "certificate_unverified",
  "certificate_revoked",
  "certificate_too_large",
  "certificate_denied",
] as const;

/** Problems of a signed token or assertion. */
export const signatureProblems = [
  "jws_malformed",
  "algorithm_not_allowed",
  "critical_header_not_supported",
  "key_unknown",
  "signature_invalid",
] as const;

/** Claims that are malformed, and credentials that are denied. */
export const deniedCredentials = [
  "claim_malformed",
  "client_denied",
  "key_denied",
  "proof_key_denied",
] as const;

/** Problems of an access token. */
export const tokenProblems = [
  "token_type_invalid",
  "issuer_unknown",
  "issuer_ambiguous",
  "token_inactive",
  "token_not_yet_valid",
  "token_lifetime_too_long",
  "token_unbound",
  "token_denied",
  "binding_not_supported",
  "certificate_mismatch",
] as const;

/** Problems of a DPoP proof. */
export const proofProblems = [
  "proof_missing",
  "proof_malformed",
  "proof_type_invalid",
  "proof_algorithm_not_allowed",
  "proof_critical_header_not_supported",
  "proof_key_unusable",
  "proof_key_mismatch",
  "proof_signature_invalid",
  "proof_method_mismatch",
  "proof_url_mismatch",
  "proof_token_mismatch",
  "proof_expired",
  "proof_not_yet_valid",
  "proof_replayed",
] as const;

/** A DPoP proof without a current nonce. */
export const nonceProblems = ["proof_nonce_missing", "proof_nonce_expired"] as const;

export const clientRefusals = {
  // The HTTP request
  url_too_long: fhir(414, "too-long", "The URL is too long. Post the search to _search as a form."),
  headers_too_large: fhir(431, "too-long", "The headers are too large. Send fewer or shorter headers."),
  path_malformed: unknownPath,
  path_unknown: unknownPath,
  token_in_url: fhir(
    400,
    "security",
    "A token may not be in the URL. Send it in the Authorization header, and get a new token: this one is in logs.",
  ),
  method_not_supported: fhir(
    405,
    "not-supported",
    "This address does not support the method. Use a method that Allow lists.",
  ),
  body_not_expected: invalid("This method takes no body. Send the request without a body."),
  not_acceptable: jsonOnly,
  format_not_supported: jsonOnly,
  body_incomplete: {
    ...fhir(400, "incomplete", "The body broke off before its end. Send the request again."),
    ...invalidRequest("The body broke off before its end. Send the request again."),
  },
  body_timed_out: fhir(
    408,
    "timeout",
    "The request took too long to arrive. Send it again over a faster connection, or in smaller parts.",
  ),
  form_type_not_supported: {
    ...fhir(415, "not-supported", "Post a search as application/x-www-form-urlencoded."),
    ...oauth("invalid_request", "Send the body as application/x-www-form-urlencoded.", 415),
  },
  form_too_large: {
    ...tooLong("The search is too long. Ask for fewer values."),
    ...oauth("invalid_request", "The body is too large. Send only the parameters of this endpoint.", 413),
  },

  // Credentials: facts about the request that the caller itself sent
  token_missing: login(
    "There is no access token. Get one from an authorization server that resource_metadata of WWW-Authenticate lists, and send it in the Authorization header.",
  ),
  authorization_malformed: login(
    "The Authorization header is malformed. Send it once, as: Bearer TOKEN, or: DPoP TOKEN.",
  ),
  authorization_scheme_unknown: login(
    "The Authorization scheme is not supported. Send a token bound to a certificate as Bearer, or a token bound to a key as DPoP.",
  ),
  token_scheme_mismatch: login(
    "The token goes with the other scheme. Send a token bound to a certificate as Bearer, and a token bound to a key as DPoP with a proof.",
  ),
  token_expired: login("The access token has expired. Get a new token."),
  audience_mismatch: login(
    "The access token is for another audience. Ask for a token whose resource is this FHIR base.",
  ),
  certificate_missing: {
    ...login(
      "There is no client certificate on this connection, and the token is bound to one. Connect with that certificate.",
    ),
    ...invalidClient, // a text of its own would reveal how a client of this name is registered
  },

  // Credentials: every failed check has the same face
  ...rowFor([...certificateProblems, ...signatureProblems, ...deniedCredentials], credentialOrClient),
  ...rowFor(
    [
      ...tokenProblems,
      "binding_mismatch",
      "person_denied",
      "authority_denied",
      "authority_ended",
      "authority_needs_caller",
    ],
    badCredential,
  ),
  ...rowFor(
    ["certificate_not_registered", "certificate_outside_validity", "client_unknown", "client_suspended"],
    credentialOrClient,
  ),
  ...rowFor(["client_id_mismatch", "client_authentication_method_mismatch"], invalidClient),
  ...rowFor(
    [
      "assertion_type_invalid",
      "assertion_subject_mismatch",
      "assertion_audience_mismatch",
      "assertion_expired",
      "assertion_not_yet_valid",
      "assertion_lifetime_too_long",
      "assertion_replayed",
    ],
    invalidClient,
  ),
  client_authentication_missing: notAuthenticated(
    "There is no client authentication. Send client_id over a connection with the client's certificate, or a client_assertion with its type.",
  ),
  client_authentication_not_supported: notAuthenticated(
    "This client authentication is not supported. Use the client's certificate (RFC 8705) or private_key_jwt, without client_secret and without an Authorization header.",
  ),
  client_authentication_repeated: invalidRequest(
    "The request authenticates the client in several ways. Use one of them.",
  ),

  // DPoP proofs
  ...rowFor(proofProblems, {
    gateway: { ...login(badProof).gateway, challengeError: "invalid_dpop_proof" },
    ...oauth("invalid_dpop_proof", badProof),
  }),
  ...rowFor(nonceProblems, {
    gateway: { ...login(useNonce).gateway, challengeError: "use_dpop_nonce" },
    ...oauth("use_dpop_nonce", useNonce),
  }),
  proof_not_expected: invalidRequest(
    "This client is not registered for DPoP. Send the request without the DPoP header.",
  ),

  // Signatures of requests. RFC 6750 §3.1 has no error for a signature: the request is incomplete, and the
  // token stays valid.
  ...rowFor(
    [
      "request_signature_missing",
      "request_signature_malformed",
      "request_signature_incomplete",
      "request_signature_component_unknown",
      "request_signature_expired",
      "request_signature_not_yet_valid",
      "request_signature_key_unknown",
      "request_signature_algorithm_mismatch",
      "request_signature_invalid",
      "content_digest_mismatch",
    ],
    { gateway: { ...login(badSignature).gateway, challengeError: "invalid_request" } },
  ),

  // Agreements, grants and purposes
  ...rowFor(["agreement_not_yet_in_force", "agreement_expired"], {
    ...forbidden(noAgreement),
    ...unauthorized(noAgreement),
  }),
  agreement_denied: forbidden(noAgreement),
  purpose_not_in_agreement: {
    ...forbidden(
      "The client's agreement does not cover this purpose. Choose another purpose, or ask the privacy officer.",
    ),
    ...unauthorized(
      "The client's agreement does not cover this purpose of use. Choose another purpose, or ask the privacy officer.",
    ),
  },
  ...rowFor(["grant_missing", "grant_denied", "policy_missing", "policy_denied"], forbidden(noGrant)),
  purpose_malformed: {
    ...invalid("Phylax-Purpose is not a purpose of use. Send a code of HL7's PurposeOfUse, such as TREAT."),
    ...invalidRequest(
      "purpose_of_use is malformed. Send codes of the PurposeOfUse value set of HL7, such as TREAT.",
    ),
  },
  purpose_not_granted: {
    ...forbidden(
      "The token is not for this purpose of use. Get a token for this purpose, or ask the privacy officer for a grant.",
    ),
    ...unauthorized(
      "There is no grant for this purpose of use. Name a granted purpose, or ask the privacy officer for a grant.",
    ),
  },
  purpose_not_chosen: {
    ...forbidden("The token is for several purposes. Choose one with the header Phylax-Purpose."),
    ...invalidRequest("The client is granted several purposes. Name one with purpose_of_use."),
  },
  patient_missing: forbidden(
    "The scope is one patient's, and the token names no patient. Get a token with a patient context (launch/patient).",
  ),
  patient_mismatch: forbidden(
    "Not permitted: this client may not act for the token's patient. Sign in as the patient whom the client is registered for.",
  ),
  patient_origin_unknown: forbidden(
    "The token's audience does not say which FHIR server its patient is of. Get a token for this FHIR base alone.",
  ),

  // Quotas
  quota_exhausted: throttled(wait("The quota of requests for this window is used up.")),
  subject_quota_exhausted: throttled(
    wait("The quota for the person of this token is used up in this window."),
  ),
  record_quota_exhausted: throttled(
    wait(
      "The quota of records for this window has less left than this answer has. Ask for fewer records, or later.",
    ),
  ),

  // The question
  interaction_not_supported: unsupported(
    "This gateway does not support the interaction. See /metadata for what is supported.",
  ),
  resource_type_unknown: fhir(
    404,
    "not-supported",
    "There is no such resource type in FHIR R4. Check the spelling: type names begin with a capital letter.",
  ),
  resource_id_malformed: badValue(
    "The id is malformed. Write 1 to 64 of the characters A-Z, a-z, 0-9, - and the full stop.",
  ),
  export_unknown: fhir(
    404,
    "not-found",
    "There is no such export. Check the address, or start a new export.",
  ),
  job_with_read: fhir(
    422,
    "not-supported",
    "A batch or transaction with Prefer: respond-async has writes alone. Send the reads as requests of their own.",
  ),
  polled_too_fast: throttled(wait("The job is not done, and was asked about less than a second ago.")),
  ...rowFor(
    ["too_many_exports", "too_many_authorities"],
    fhir(
      429,
      "throttled",
      "The client has too many exports or downloads. Wait for an end, or end some of them.",
    ),
  ),
  ...rowFor(
    [
      "export_parameter_unknown",
      "export_parameter_malformed",
      "export_format_not_supported",
      "export_type_unknown",
      "export_patient_not_here",
    ],
    invalid(
      "A parameter of the export is not supported or malformed. Correct it, and start the export again.",
    ),
  ),
  export_type_withheld: unsupported(
    "The export can have no rows of a type in _type. Leave the type out, or send Prefer: handling=lenient: the manifest's error says why.",
  ),
  query_too_long: fhir(414, "too-long", "The query is too long. Post the search to _search as a form."),
  query_malformed: misshapen("The query is malformed. Write it as UTF-8 in percent encoding."),
  too_many_parameters: fhir(400, "too-long", "There are too many parameters. Split the search."),
  too_many_values: fhir(400, "too-long", "A parameter has too many values. Split the search."),
  parameter_malformed: invalid(
    "A parameter is malformed. Write it as NAME=VALUE, with a modifier of FHIR R4 if any.",
  ),
  parameter_unknown: unsupported(
    "The resource type has no such search parameter. See /metadata for the parameters of each type.",
  ),
  parameter_not_supported: unsupported(
    "This gateway does not support the parameter here. See /metadata, or leave the parameter out.",
  ),
  parameter_not_at_origin: unsupported(
    "The FHIR server behind this base does not support the parameter. See /metadata of this base, or leave the parameter out.",
  ),
  posted_search_not_at_origin: unsupported(
    "The FHIR server behind this base takes no posted searches, which chains and long searches need. Ask step by step, or ask the operator to accept searches in URLs.",
  ),
  type_not_at_origin: fhir(
    404,
    "not-supported",
    "The FHIR server behind this base has no resources of this type. See /metadata of this base.",
  ),
  parameter_repeated: {
    ...invalid("A parameter that may stand once is repeated. Send it once."),
    ...invalidRequest("A parameter is repeated. Send each parameter once."),
  },
  parameter_value_malformed: badValue(
    "A parameter's value is malformed. Write it in the form of the parameter's type in FHIR R4.",
  ),
  reference_to_other_server: unsupported(
    "A reference that may name a patient is searched for on this server alone. Give the id, or Type/id, of a resource of this server. To find a reference to another server, read the rows and compare their references.",
  ),
  modifier_not_supported: unsupported(
    "This gateway does not support the search modifier here. Search without it. In place of :in, :above and :below list the codes, with commas between them.",
  ),
  chain_needs_type: invalid("The chain may go through several types. Name one, as in subject:Patient.name."),
  chain_too_long: tooCostly("The chain is longer than this gateway follows. Search in two steps."),
  too_many_joins: tooCostly(
    "There are more chains or includes than this gateway follows. Search in several steps.",
  ),
  subject_missing: missing("A patient is missing. Name one with the parameter patient or subject."),
  page_link_with_parameters: invalid("The link to a page has parameters added. Follow the link as it is."),
  ...rowFor(
    ["page_link_malformed", "page_link_mismatch", "page_link_expired", "page_link_target_absent"],
    pageEnded,
  ),
  page_link_too_long: fhir(
    400,
    "too-long",
    "The search is too long to have further pages. Ask for fewer values, or narrow it to one page.",
  ),

  // Decided from type and policy alone
  rule_missing: forbidden(
    "Not permitted: the policy has no rule for this interaction with this type. Ask the privacy officer for a rule.",
  ),
  scope_insufficient: forbidden(
    "Not permitted by the token's scope. Get a token with the scope that WWW-Authenticate names.",
  ),
  outside_patient_compartment: forbidden(
    "Not permitted: the scope is a patient's or a user's, and resources of this type belong to no patient. Ask for a system/ scope, or read the resources that a record refers to.",
  ),
  parameter_hidden: hidden,
  sort_hidden: hidden,
  parameter_needs_system: forbidden(
    "Not permitted without a code system. Write the token as SYSTEM|CODE, with a system that the policy shows.",
  ),
  include_hidden: forbidden(
    "Not permitted: the policy does not show this client what would be included. Leave the include out, or ask the privacy officer.",
  ),
  operation_not_granted: forbidden(
    "Not permitted: the policy does not allow this operation. Ask the privacy officer to add the operation.",
  ),
  form_excludes: forbidden(
    "Not permitted: this grant answers in a de-identified form or a limited data set (45 CFR 164.514), which has no answer to this. " +
      "Read and search by SYSTEM|CODE, codes of the data set, parameters that the form does not change, and _count in hundreds with room for all rows that you name.",
  ),
  form_not_in_force: forbidden(
    "Not permitted: the data use agreement, the expert's determination or the data set is not in force. Ask the privacy officer.",
  ),
  history_needs_unrestricted_access: forbidden(
    "Not permitted: the history of a type is for clients that may read every resource of the type. Read the history of one resource instead.",
  ),

  // Batches and transactions
  not_a_batch_or_transaction: invalid(
    "A Bundle of type batch or transaction is expected. Send one, or post a resource to its type's address.",
  ),
  too_many_entries: tooMuch(
    "There are too many entries: at most 50 in a batch, and 1,000 in a transaction, of which 50 may be reads. Split the Bundle.",
  ),
  entry_malformed: misshapen(
    "An entry is malformed. Give each entry a request with method and url, and a resource where the method needs one.",
  ),
  entry_url_malformed: badValue(
    "An entry's request.url is malformed. Write it relative to the FHIR base, as in Patient/123.",
  ),
  entry_repeated: invalid("Two entries of the transaction have one resource or one fullUrl. Send each once."),
  reference_unresolved: ambiguous(
    "A reference that is a search does not find exactly one resource for this client. Refer to a resource by its id.",
  ),
  conditional_reference_not_supported: unsupportedWrite(
    "A reference may be a search in a transaction only. Refer to the resource by its id, or send a transaction.",
  ),
  too_many_references: tooCostly(
    "More references are searches than this gateway resolves. Refer to resources by their ids, or split the transaction.",
  ),
  too_many_patients: tooCostly(
    "The question names more patients than one question may: 20, or 100 with a system/ scope. Ask about fewer patients at a time.",
  ),
  patient_not_named: fhir(
    403,
    "too-costly",
    "The search names no patient, and this user has more patients than one search covers. Name a patient, as in patient=Patient/123, or the resources by _id.",
  ),
  too_many_rows: fhir(
    403,
    "too-costly",
    "The gateway would have to read too many resources. Ask for less: a narrower search, or one patient.",
  ),

  total_needs_patients: unsupported(
    "A number of matches of this type is answered for at most 20 named patients. Name the patients (patient=…), or leave out _total and _summary and count the pages.",
  ),
  search_needs_types: unsupported(
    "A search of the whole server needs its types. Name them, as in ?_type=Patient,Observation.",
  ),
  sort_needs_owner: unsupported(
    "The rows are too many to be put in the order of _sort. Name the patient (patient=…), or leave out _sort.",
  ),

  // The FHIR server behind the gateway
  ...rowFor(
    ["absent", "origin_unknown", "row_outside_access", "row_unjudged", "resource_withheld"],
    notFound,
  ),
  ...rowFor(
    [
      "origin_refused",
      "origin_unreachable",
      "answer_link_outside_origin",
      "answer_link_loops",
      "answer_not_utf8",
      "answer_too_deep",
      "answer_duplicate_key",
      "answer_not_json",
      "answer_mismatch",
      "answer_not_a_searchset",
    ],
    badOrigin,
  ),
  ...rowFor(["origin_answer_too_large", "answer_too_large"], tooLarge),
  answer_incomplete: fhir(
    502,
    "too-costly",
    "The FHIR server behind the gateway has more matches than it sent, and gives no link to them. Ask for less: a narrower search, or a smaller _count.",
  ),
  origin_rejected_search: unsupported(
    "The FHIR server behind the gateway does not support this search. Search by other parameters.",
  ),
  origin_timed_out: timedOut(
    "The FHIR server behind the gateway did not answer in time. Ask for less, or try again later.",
  ),
  fault: unavailable(wait("Not available just now.")),
  ...rowFor(
    ["consents_unavailable", "consent_changed"],
    unavailable(
      "The Consents of the patients cannot be read at present, so nothing is disclosed. Ask again in some seconds.",
    ),
  ),
  origin_throttled: throttled(
    wait("The FHIR server behind the gateway accepts no more requests at present."),
  ),
  origin_unavailable: unavailable(
    wait("The FHIR server behind the gateway says that it is not available at present."),
  ),
  origin_circuit_open: unavailable(wait("The FHIR server behind the gateway is not available at present.")),
  origin_busy: unavailable(wait("Too many requests are waiting for the FHIR server behind the gateway.")),
  client_busy: throttled(
    wait("Too many requests of this client are waiting for the FHIR server. Send fewer at once."),
  ),

  // Writes: errors of the request that do not depend on stored rows
  precondition_malformed: badValue("If-Match is malformed. Send the ETag of the version that was read."),
  precondition_not_supported: fhir(
    412,
    "not-supported",
    "This precondition is not supported. Send If-Match, or If-None-Exist with a create.",
  ),
  criteria_missing: fhir(
    412,
    "invalid",
    "A conditional request needs a search criterion. Add one, such as identifier=SYSTEM|VALUE.",
  ),
  criteria_not_supported: unsupported(
    "A condition may use tokens and references to resources of this server only. Use such a parameter.",
  ),
  body_missing: missing("The body is missing. Send the resource or the patch."),
  body_too_large: tooLong(
    "The body is larger than this gateway supports. Send less: smaller attachments, or fewer entries.",
  ),
  content_needs_context: unprocessable(
    "Name a resource that this client may read and change in X-Security-Context, or send the Binary in one transaction with its document.",
  ),
  body_type_not_supported: fhir(415, "not-supported", sendJson("application/fhir+json of FHIR 4.0")),
  patch_type_not_supported: fhir(
    415,
    "not-supported",
    `FHIRPath Patch, Merge Patch and XML Patch are not supported. ${sendJson("application/json-patch+json")}`,
  ),
  ...rowFor(["body_not_utf8", "body_too_deep", "body_duplicate_key"], misshapen(strictJson)),
  body_not_json: { ...misshapen(strictJson) },
  resource_type_mismatch: invalid(
    "The resource type does not match the URL. Send the resource to its own type's address.",
  ),
  resource_id_mismatch: invalid("The resource id does not match the URL. Send the same id in both."),
  patch_malformed: misshapen(
    "The body is not a JSON Patch (RFC 6902) that this gateway supports. Send a list of operations with op and path.",
  ),

  // Writes: errors of the request that depend on the visible part of the stored resource
  criteria_ambiguous: ambiguous(
    "The condition finds more than one resource. Use a condition that finds one.",
  ),
  version_not_current: stale,
  write_precondition_failed: stale,
  version_missing: outdated(
    "The FHIR server behind the gateway names no version of this resource, so no write can depend on it. Ask its operator for versioning.",
  ),
  patch_not_applicable: unprocessable(
    "The patch does not apply: a path does not exist, or a test failed. Read the resource again and make a new patch.",
  ),
  patch_exceeds_limits: tooCostlyWrite(
    "The patch copies, moves or nests more than this gateway supports. Split the patch, or send the resource as an update.",
  ),
  patch_not_a_resource: unprocessable(
    "The patch leaves no resource. Delete the resource instead, or patch less.",
  ),
  // the issues name the places
  body_invalid: unprocessable("The resource cannot be written. Correct what each issue names."),
  result_invalid: unprocessable(
    "The resource would not be valid together with its elements that this client may not see. Change fewer elements.",
  ),
  result_outside_access: forbidden(
    "Not permitted: this client may not write the resource that would result. Check the patient and the codes that the policy asks for.",
  ),
  result_exceeds_limits: tooCostlyWrite(
    "The resource that would result is larger, deeper, about more patients or costlier to search than this gateway reads. Write less, or several resources.",
  ),
  names_beyond_access: tooCostlyWrite(
    "The write names more patients beyond this client's access than the policy permits. Name fewer of them, or ask the privacy officer for a policy that permits more.",
  ),
  result_widens_access: forbidden(
    "Not permitted: the write would let its author see more. Leave out the reference or code that does.",
  ),
  result_changes_patient: forbidden(
    "Not permitted: a resource may not change its patient. Create a resource for the other patient.",
  ),

  // Writes: answers of the FHIR server behind the gateway
  write_conflict: conflicting(
    "Another request is changing the resource. Read the resource again, then repeat the change.",
  ),
  write_rejected: unprocessable(
    "The FHIR server behind the gateway does not accept this resource. Check it against the profiles of that server.",
  ),
  write_answer_unfit: timedOut(
    "The FHIR server behind the gateway gave no FHIR answer to the write: whether the write was done is not known. Read or search for the resource before you repeat the write.",
  ),
  transaction_incomplete: fhir(
    502,
    "incomplete",
    "The FHIR server behind the gateway did a part of the transaction. Each issue says what became of one entry. Repeat the entries that were not done.",
  ),
  plan_too_large: tooMuch(
    "Together with what is stored, the writes of this request are larger than the gateway holds at once. Send fewer entries at a time.",
  ),
  transaction_not_atomic: unsupportedWrite(
    "The FHIR server behind the gateway is not known to do a transaction as a whole. Send the entries as a batch, or one by one.",
  ),
  delete_not_conditional: unsupportedWrite(
    "The FHIR server behind the gateway is not known to heed If-Match on DELETE, so nothing is deleted. Change its status instead, or ask the operator.",
  ),
  update_not_conditional: unsupportedWrite(
    "The FHIR server behind the gateway does not heed If-Match on PUT, so nothing is changed. Create a new resource instead, or ask the operator.",
  ),
  row_not_read_again: brokenOrigin(
    "The resource could not be read again right before the write, so that nothing was sent. Repeat the write later.",
  ),
  write_outcome_unknown: timedOut(
    "The FHIR server behind the gateway did not answer: whether the write was done is not known. Read or search for the resource before you repeat the write, or repeat it with its Idempotency-Key.",
  ),

  // Writes under an Idempotency-Key
  idempotency_key_malformed: invalid(
    "Idempotency-Key is malformed. Send it once, as a string in quotes of 1 to 255 characters, such as a new UUID.",
  ),
  idempotency_key_required: missing(
    "This client's grant requires an Idempotency-Key with each write. Send a new UUID in quotes, and the same key with each repeat.",
  ),
  idempotency_key_reused: unprocessable(
    "This Idempotency-Key was used for a different request. Use a new key for each request, and a key again only with the same request.",
  ),
  idempotency_key_in_use: conflicting(
    "A request with this Idempotency-Key is being done. Wait as long as Retry-After says, then repeat the request with the same key.",
  ),
  outcome_unknown: fhir(
    409,
    "incomplete",
    "An earlier attempt sent this write, its outcome is unknown, and the gateway does not send a write twice. Read or search for the resource; if it is not there, send the write with a new key.",
  ),
  // Break-glass
  break_glass_not_granted: forbidden(noGrant),
  ...rowFor(["step_up_missing", "step_up_too_old"], {
    gateway: {
      ...login(
        "An emergency needs a new sign-in at the level that the grant demands. Sign in again, then repeat the request.",
      ).gateway,
      challengeError: "insufficient_user_authentication",
    },
  }),
  ...rowFor(
    ["justification_missing", "justification_malformed"],
    missing(
      "An emergency needs a reason. Send it in Phylax-Justification: 10 to 500 visible ASCII characters and single spaces.",
    ),
  ),
  personnel_unnamed: forbidden(
    "An emergency needs the name of the person who declares it. Ask the issuer for a token with fhirUser or name.",
  ),
  review_unavailable: unavailable(
    "The review of this emergency cannot be opened now, so nothing is disclosed. Try again.",
  ),
  consent_not_filed: unavailable(
    "The Consent is stored at the FHIR server, but it is not in force at this gateway. Read it, and send it again.",
  ),
  consent_parameters_invalid: invalidWrite(
    "The Parameters are not those of the operation. Send an active Consent and its DocumentReference or QuestionnaireResponse to $fileConsent, and the references consent and patient to $revokeConsent.",
  ),
  consent_patient_unknown: invalidWrite(
    "The Consent names no patient of this FHIR server. Name the patient by a reference, or by an identifier that finds a single Patient.",
  ),
  amendment_request_unfit: invalidWrite(
    "The message about an amendment cannot be filed as a case. Give it one category, name the token's patient, and as sender the patient or a RelatedPerson.",
  ),
  case_not_opened: unavailable(
    "The request for an amendment cannot be taken in now, so it was not sent. Send it again.",
  ),
  too_many_cases: tooCostlyWrite(
    "Of your requests for amendments of this patient's record, 20 are open, or this request has 20 statements. Wait for an answer, or name an open request in partOf to add to it.",
  ),
  too_many_consents: tooCostlyWrite(
    "Clients without the patient's authority share 100 Consents in force for each patient, and there is no room for one of yours. Delete some of yours, or ask the patient or a consent registrar.",
  ),
  consent_too_long: tooCostlyWrite(
    "The Consent has more than 50 provisions, 1,000 criteria or 64 KiB of codes and names. Write it shorter: by a class or a label in place of each code.",
  ),

  // The token endpoint
  form_malformed: invalidRequest("The form is malformed. Send printable ASCII in percent encoding."),
  grant_type_missing: invalidRequest("grant_type is missing. Send grant_type=client_credentials."),
  grant_type_not_supported: oauth(
    "unsupported_grant_type",
    "The grant_type is not supported. Send grant_type=client_credentials.",
  ),
  token_parameter_missing: invalidRequest("token is missing. Send the access token as the parameter token."),
  target_unknown: invalidTarget(
    "The client has no grant for this resource. Check the FHIR base in resource, or ask the privacy officer for a grant.",
  ),
  target_not_chosen: invalidTarget(
    "The client has grants for several resources. Name one FHIR base with resource.",
  ),
  scope_malformed: invalidScope(
    "scope is malformed. Send scopes of SMART v2 with one space between, such as system/Patient.rs.",
  ),
  scope_unknown: invalidScope("A scope is not one of SMART v2. Send scopes such as system/Patient.rs."),
  scope_context_not_supported: invalidScope("Only system/ scopes are issued here. Ask for system/ scopes."),
  scope_query_not_supported: invalidScope(
    "A condition of a scope is not supported. Write it as PARAMETER=VALUE,VALUE without modifiers and chains, or ask for the scope without it.",
  ),
  scope_exceeds_grant: invalidScope(
    "The scope goes beyond the grant. Ask for less, or leave scope out to get all that is granted.",
  ),
} as const satisfies Readonly<Record<string, ClientRow>>;

/** Reasons that only records have: the answer broke off, or it was not an error. */
export const recordedOnly = {
  client_disconnected: "The client ended the connection before the whole answer was sent.",
  lease_lost:
    "The client's right to the answer ended while the answer was sent: a quota, a denial or an older registry state.",
  window_not_recorded: "The ledger did not record the next part of the answer, so that it was not sent.",
  answer_unavailable:
    "The write was done. Its answer has no body: the resource could not be read, or the client may no longer be answered.",
  write_repeated:
    "The request was done before under its Idempotency-Key: nothing was sent, and its resource was read again.",
  token_not_active: "A token was introspected or revoked that is not active, or not this client's.",
  too_many_revocations: "The revocation was not taken: the client has as many in force as it may have.",
  too_many_disclosures:
    "An earlier version refused an accounting of more than 2,000 disclosures; today it is paged.",
} as const;

export type RecordedOnly = keyof typeof recordedOnly;
