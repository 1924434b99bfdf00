import { admin, type AdminFace, rowFor } from "./public-face.ts";
import {
  badProof,
  certificateProblems,
  deniedCredentials,
  nonceProblems,
  proofProblems,
  sendJson,
  signatureProblems,
  strictJson,
  tokenProblems,
  useNonce,
} from "./client-refusals.ts";

// The status that several refusals share.
const facedAs = (status: number) => (title: string) => admin(status, title);
const invalid = facedAs(400);
const unauthenticated = facedAs(401);
const notPermitted = facedAs(403);
const inConflict = facedAs(409);
const stale = facedAs(412);
const unprocessable = facedAs(422);

/**
 * Every reason for which the admin API refuses a request, with the answer's status and a text that says what
 * to do next. A failed check of a credential has a shared text: the record has the exact reason.
 */

const badOperatorToken =
  "An access token of this operator is required, for this door and bound to this certificate or to a key. Sign in as the operator whose " +
  "certificate this is, and send the token of that sign-in.";
// 403 and not 401: there is no authentication scheme to name in WWW-Authenticate (RFC 9110 §15.5.2).
const unproven = notPermitted(
  "An operator's certificate is required. Check that the certificate is valid and registered for an operator.",
);

export const operatorRefusals = {
  // The HTTP request
  body_incomplete: invalid("The body broke off before its end. Send the request again."),
  body_timed_out: admin(408, "The request took too long to arrive. Send it again over a faster connection."),

  // Credentials
  token_missing: unauthenticated(
    "An access token of this operator is required. Sign in, and send the token in the Authorization header.",
  ),
  authorization_malformed: unauthenticated(
    "The Authorization header is malformed. Send it once, as: Bearer TOKEN, or: DPoP TOKEN.",
  ),
  authorization_scheme_unknown: unauthenticated(
    "The Authorization scheme is not supported. Send a token bound to the certificate as Bearer, or a token bound to a key as DPoP.",
  ),
  token_scheme_mismatch: unauthenticated(
    "The token goes with the other scheme. Send a token bound to a certificate as Bearer, and a token bound to a key as DPoP with a proof.",
  ),
  token_expired: unauthenticated("The access token has expired. Sign in again."),
  audience_mismatch: unauthenticated("The access token is for another audience. Sign in for this door."),
  certificate_missing: notPermitted(
    "There is no client certificate on this connection. Connect with the operator's certificate.",
  ),
  ...rowFor(certificateProblems, unproven),
  ...rowFor(
    [...signatureProblems, ...deniedCredentials, ...tokenProblems, "person_denied"],
    unauthenticated(badOperatorToken),
  ),
  ...rowFor(proofProblems, {
    admin: { ...unauthenticated(badProof).admin, challengeError: "invalid_dpop_proof" },
  }),
  ...rowFor(nonceProblems, {
    admin: { ...unauthenticated(useNonce).admin, challengeError: "use_dpop_nonce" },
  }),

  // Bodies, and requests under an Idempotency-Key
  body_too_large: admin(413, "The body is larger than 1 MiB. Send the document in smaller parts."),
  body_type_not_supported: admin(415, sendJson("application/json")),
  body_not_json: invalid(strictJson),
  idempotency_key_malformed: invalid(
    "Idempotency-Key is malformed. Send it once, as a string in quotes of 1 to 255 characters, such as a new UUID.",
  ),
  idempotency_key_reused: unprocessable(
    "This Idempotency-Key was used for a different request. Use a new key for each request.",
  ),
  idempotency_key_in_use: inConflict(
    "A request with this Idempotency-Key is being done. Wait as long as Retry-After says, then repeat it.",
  ),
  outcome_unknown: inConflict(
    "An earlier attempt may have done this, and the document does not fit the registry now. Read the registry, then send a new plan.",
  ),

  // Operators, the registry, proposals and reviews
  operator_unknown: unproven,
  ...rowFor(
    ["operator_suspended", "sign_in_not_registered", "role_missing"],
    notPermitted("Not permitted. Ask a registry administrator for the operator's status, sign-in and roles."),
  ),
  subject_mismatch: unauthenticated(badOperatorToken),
  ...rowFor(["sign_in_time_missing", "sign_in_time_in_future", "sign_in_too_old", "sign_in_too_weak"], {
    admin: {
      ...unauthenticated(
        "Sign in again, as acr_values and max_age of WWW-Authenticate ask: more recently, or with more factors.",
      ).admin,
      challengeError: "insufficient_user_authentication",
    },
  }),
  ...rowFor(
    ["registry_invalid", "registry_not_supported", "registry_conflict"],
    unprocessable(
      "The registry file is not applied. Correct what pointer and detail name, and apply the file again.",
    ),
  ),
  registry_stale: stale(
    "The registry has changed since the plan, so nothing is changed. Make the plan again, and apply the change with its digest.",
  ),
  ...rowFor(
    ["registry_approval_required", "approval_required"],
    notPermitted(
      "This opens access, so a second person has to approve it. Make a proposal, which an operator with the role approver approves.",
    ),
  ),
  state_not_named: stale(
    "This address has no state that If-Match could name, or the tag is not a single strong tag. Send the request without If-Match.",
  ),
  proposal_malformed: unprocessable("This is no proposal. Correct what pointer and detail name."),
  proposal_not_open: inConflict(
    "There is no open proposal of this id: it is decided, has expired, or was never made. Check the list of proposals.",
  ),
  operator_not_registered: unprocessable(
    "The document names no registered operator. Check the id against the list of operators.",
  ),
  last_person_of_role: notPermitted(
    "This operator is the last active person of a role, and a machine does not end it. Sign in as an operator who is a person.",
  ),
  proposal_own: notPermitted("A person does not approve a proposal of the same person. Ask a second person."),
  person_required: notPermitted(
    "Only a person who has signed in proposes and approves. Sign in as an operator who is a person.",
  ),
  denial_malformed: unprocessable(
    "This denies nothing that can be denied. Correct what pointer and detail name.",
  ),
  denial_unregistered: unprocessable(
    "The registry has no entry of this name, so nothing is denied. Correct the name in pointer.",
  ),
  review_malformed: unprocessable("This is no request about reviews. Correct what pointer and detail name."),
  consents_malformed: unprocessable(
    "This is no question about Consents. Name 1 to 100 patients as ORIGIN/Patient/ID.",
  ),
  review_not_ended: unprocessable(
    "This emergency lasts, so a use may come after the finding. Wait for the end that the list states, then close the review.",
  ),
  review_not_open: unprocessable("There is no open review of this id. Check the id in the list of reviews."),
  data_set_malformed: unprocessable("This names no data set. Correct what pointer and detail name."),
  data_set_not_open: unprocessable(
    "There is no data set with codes of this name. Check client, agreement, origin and dataSet.",
  ),
  export_malformed: unprocessable("This names no export. Correct what pointer and detail name."),
  export_not_open: unprocessable("The client has no such export, or it is over. Check the list of exports."),
  authority_malformed: unprocessable(
    "This is no request for a list of authorities. Correct what pointer and detail name.",
  ),
  silence_malformed: unprocessable(
    "This is no silence of alerts. Correct what pointer and detail name; a silence ends within seven days.",
  ),
  tail_malformed: unprocessable(
    "The tail of requests goes on after the end of an earlier answer alone. Leave `after` out to begin anew.",
  ),
  silence_not_open: unprocessable("There is no silence of this id. Check the id in the list of alerts."),
  case_malformed: unprocessable("This is no request about cases. Correct what pointer and detail name."),
  case_not_open: unprocessable("There is no open case of this id. Check the id in the list of cases."),
  case_informed: unprocessable(
    "This case is a notice of another entity, which 45 CFR 164.526(e) neither denies nor extends. Amend the record and accept the case, or void the case if you hold no such information.",
  ),
  case_known: unprocessable(
    "This message has a case, of a request or of a different notice. Check the list of all cases.",
  ),
  case_extended: unprocessable(
    "The time of this case was extended before, and 45 CFR 164.526(b)(2)(ii) allows one extension. Accept or deny the request.",
  ),
  case_time_over: unprocessable(
    "The first 60 days of this case are over, so its time cannot be extended (45 CFR 164.526(b)(2)(ii)). Accept or deny the request.",
  ),
  case_not_amended: unprocessable(
    "No write through the gateway has linked an amendment to this request. Write a Provenance that names the request as an entity, then accept.",
  ),
  case_not_unconfirmed: unprocessable(
    "There is no unconfirmed case of this id: only a case of which the server did not say where its request is, ten minutes after its receipt, or a notice of another entity that has no amendment. Check the list of cases.",
  ),
  case_not_denied: unprocessable(
    "There is no denied case of this id: a statement follows a denial (45 CFR 164.526(d)). Check the id in the list of all cases.",
  ),
  case_stated: unprocessable(
    "This case has a statement, and a case has one. Read the case to see what follows its rows, repeat an unfinished statement as it was, or withdraw the statement by unstate.",
  ),
  case_rows_unnamed: unprocessable(
    "The request names no row of the record. Name the disputed rows as TYPE/ID in rows.",
  ),
  case_not_accepted: unprocessable(
    "There is no accepted case of this id: notices follow an amendment (45 CFR 164.526(c)(3)). Check the id in the list of all cases.",
  ),
  notice_not_open: unprocessable(
    "This case has no open notice to this recipient. Read the case to see its notices and how each ended.",
  ),
  restore_log_unknown: unprocessable(
    "The ledger has opened no log of this name. Check the name in `/readyz`.",
  ),
  restore_log_not_lost: inConflict(
    "This log has its storage, or its storage differs from its copy: only a log whose storage is empty is restored. See docs/runbook.md.",
  ),
  suspension_invalid: unprocessable("This is no suspension. Correct what pointer and detail name."),
} as const satisfies Readonly<Record<string, { readonly admin: AdminFace }>>;
