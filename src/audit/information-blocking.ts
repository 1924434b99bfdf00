/**
 * The exceptions to information blocking (45 CFR part 171, subpart B) that a refusal rests on. A refusal rests
 * on one of them. A refusal of a malformed request, or of a request for what does not exist, blocks nothing.
 */
export type InformationBlockingException = "171.202(b)" | "171.202(e)" | "171.203" | "171.205";

/* @__NO_SIDE_EFFECTS__ */
const codes = (text: string): ReadonlySet<string> => new Set(text.split(" "));

/** Decided from type, purpose or policy: no authorization, agreement or policy permits it (§171.202(b)). */
const unpermitted = codes(
  "rule_missing scope_insufficient outside_patient_compartment parameter_hidden sort_hidden " +
    "parameter_needs_system include_hidden operation_not_granted history_needs_unrestricted_access " +
    "total_needs_patients search_needs_types agreement_not_yet_in_force agreement_expired agreement_denied " +
    "form_excludes form_not_in_force purpose_not_in_agreement grant_missing grant_denied policy_missing policy_denied purpose_not_granted",
);
/** A row decided it: not its owner's token, no consent, a label, or a Consent that denies. */
const byRow = codes("row_outside_access resource_withheld");
/** A credential failed, or the client or its key is denied: §171.203, security. */
const byCredential =
  /^(?:token|certificate|proof|binding|key|signature|request_signature|client|person|authority|assertion|sign_in|step_up|authorization|jws)_|^audience_mismatch$/u;
/** A part of the gateway or of its surroundings did not answer: §171.205, health IT performance. */
const byLoad = codes(
  "origin_throttled origin_unavailable origin_circuit_open origin_busy origin_timed_out origin_unreachable client_busy " +
    "quota_exhausted subject_quota_exhausted record_quota_exhausted consents_unavailable consent_changed " +
    "review_unavailable case_not_opened registry_stale fault row_unjudged",
);

/**
 * The exception for a reason in a record. @param purpose of the request, if known. A row that stays out of the
 * individual's own request has no authorization (§171.202(b)); a row that stays out of a request for another
 * purpose may also rest on the individual's request not to share (§171.202(e)).
 */
export function informationBlockingException(
  reason: string,
  purpose?: string,
): InformationBlockingException | undefined {
  if (unpermitted.has(reason)) return "171.202(b)";
  if (byRow.has(reason)) return purpose === undefined || purpose === "PATRQT" ? "171.202(b)" : "171.202(e)";
  if (byLoad.has(reason)) return "171.205";
  return byCredential.test(reason) ? "171.203" : undefined;
}

/** The exception that an answer may name: only where type, purpose or policy decided, never a row. */
export const exceptionToShow = (reason: string): InformationBlockingException | undefined =>
  unpermitted.has(reason) ? "171.202(b)" : undefined;
