import type { AuditEvent, Counts } from "./event.ts";
import { informationBlockingException, type InformationBlockingException } from "./information-blocking.ts";

/**
 * Refusal reasons that earlier versions recorded under different codes: old → new. The bytes of a record
 * stay; readers get the new code. No new code equals an old code, so that a code is renamed once.
 */
export const renamedReasons: ReadonlyMap<string, string> = new Map([
  ["malformed_path", "path_malformed"],
  ["malformed_authorization", "authorization_malformed"],
  ["unknown_scheme", "authorization_scheme_unknown"],
  ["body_too_slow", "body_timed_out"],
  ["unsupported_method", "method_not_supported"],
  ["unknown_path", "path_unknown"],
  ["unknown_type", "resource_type_unknown"],
  ["malformed_id", "resource_id_malformed"],
  ["form_not_expected", "form_type_not_supported"],
  ["token_scheme_wrong", "token_scheme_mismatch"],
  ["binding_not_the_clients", "binding_mismatch"],
  ["binding_unsupported", "binding_not_supported"],
  ["certificate_not_the_tokens", "certificate_mismatch"],
  ["critical_header", "critical_header_not_supported"],
  ["signature_wrong", "signature_invalid"],
  ["token_type_wrong", "token_type_invalid"],
  ["issuer_unclear", "issuer_ambiguous"],
  ["audience_wrong", "audience_mismatch"],
  ["token_not_yet", "token_not_yet_valid"],
  ["token_lives_too_long", "token_lifetime_too_long"],
  ["patient_not_the_clients", "patient_mismatch"],
  ["patient_of_unknown_origin", "patient_origin_unknown"],
  ["agreement_not_begun", "agreement_not_yet_in_force"],
  ["agreement_lapsed", "agreement_expired"],
  ["agreement_without_purpose", "purpose_not_in_agreement"],
  ["proof_type_wrong", "proof_type_invalid"],
  ["proof_critical_header", "proof_critical_header_not_supported"],
  ["proof_key_not_the_tokens", "proof_key_mismatch"],
  ["proof_signature_wrong", "proof_signature_invalid"],
  ["proof_method_wrong", "proof_method_mismatch"],
  ["proof_url_wrong", "proof_url_mismatch"],
  ["proof_token_wrong", "proof_token_mismatch"],
  ["proof_not_yet", "proof_not_yet_valid"],
  ["proof_nonce_old", "proof_nonce_expired"],
  ["request_unsigned", "request_signature_missing"],
  ["request_part_unknown", "request_signature_component_unknown"],
  ["request_signature_not_yet", "request_signature_not_yet_valid"],
  ["request_key_unknown", "request_signature_key_unknown"],
  ["request_algorithm_wrong", "request_signature_algorithm_mismatch"],
  ["request_signature_wrong", "request_signature_invalid"],
  ["content_digest_wrong", "content_digest_mismatch"],
  ["grant_type_unsupported", "grant_type_not_supported"],
  ["client_authentication_unsupported", "client_authentication_not_supported"],
  ["client_id_wrong", "client_id_mismatch"],
  ["client_method_wrong", "client_authentication_method_mismatch"],
  ["assertion_type_wrong", "assertion_type_invalid"],
  ["assertion_subject_wrong", "assertion_subject_mismatch"],
  ["assertion_audience_wrong", "assertion_audience_mismatch"],
  ["assertion_not_yet", "assertion_not_yet_valid"],
  ["assertion_lives_too_long", "assertion_lifetime_too_long"],
  ["scope_context_unsupported", "scope_context_not_supported"],
  ["scope_query_unsupported", "scope_query_not_supported"],
  ["sign_in_not_set", "sign_in_not_registered"],
  ["subject_not_the_operators", "subject_mismatch"],
  ["sign_in_undated", "sign_in_time_missing"],
  ["sign_in_from_the_future", "sign_in_time_in_future"],
  ["registry_unsupported", "registry_not_supported"],
  ["registry_clash", "registry_conflict"],
  ["bad_hold", "suspension_invalid"],
  ["interaction_not_carried", "interaction_not_supported"],
  ["malformed_query", "query_malformed"],
  ["malformed_parameter", "parameter_malformed"],
  ["unknown_parameter", "parameter_unknown"],
  ["parameter_not_carried", "parameter_not_supported"],
  ["modifier_not_carried", "modifier_not_supported"],
  ["repeated_parameter", "parameter_repeated"],
  ["malformed_value", "parameter_value_malformed"],
  ["format_not_carried", "format_not_supported"],
  ["page_link_foreign", "page_link_mismatch"],
  ["page_link_gone", "page_link_target_absent"],
  ["no_rule", "rule_missing"],
  ["out_of_scope", "scope_insufficient"],
  ["history_of_part", "history_needs_unrestricted_access"],
  ["row_out_of_reach", "row_outside_access"],
  ["rows_too_many", "too_many_rows"],
  ["not_a_batch", "not_a_batch_or_transaction"],
  ["reference_conditional", "conditional_reference_not_supported"],
  ["origin_resting", "origin_circuit_open"],
  ["answer_link_elsewhere", "answer_link_outside_origin"],
  ["answer_not_whole", "answer_incomplete"],
  ["answer_not_asked", "answer_mismatch"],
  ["accounting_too_long", "too_many_disclosures"],
  ["client_gone", "client_disconnected"],
  ["precondition_not_carried", "precondition_not_supported"],
  ["body_type_not_carried", "body_type_not_supported"],
  ["patch_type_not_carried", "patch_type_not_supported"],
  ["body_of_another_type", "resource_type_mismatch"],
  ["body_of_another_id", "resource_id_mismatch"],
  ["criteria_not_carried", "criteria_not_supported"],
  ["result_out_of_reach", "result_outside_access"],
  ["result_widens", "result_widens_access"],
  ["result_moved", "result_changes_patient"],
  ["write_stale", "write_precondition_failed"],
  ["write_unanswered", "write_outcome_unknown"],
  ["media_type", "body_type_not_supported"],
  ["too_large", "body_too_large"],
  ["not_json", "body_not_json"],
]);

/** The current code of a reason, given by its old or current code. */
export const currentReason = (reason: string): string => renamedReasons.get(reason) ?? reason;

/**
 * An event of any version with current reasons, in its outcome and in a tally. Counts of equal reasons are
 * added up.
 */
export function withCurrentReasons(event: AuditEvent): ReadEvent {
  const { outcome, tally } = event;
  return {
    ...event,
    ...(outcome?.reason === undefined
      ? {}
      : { outcome: { ...outcome, ...readReason(outcome.reason, event.why?.purposes?.[0]) } }),
    ...(tally === undefined ? {} : { tally: currentTally(tally) }),
  };
}

/** An event as a reader gets it: a refusal names the information-blocking exception that it rests on. */
export type ReadEvent = AuditEvent & {
  readonly outcome?: { readonly exception?: InformationBlockingException } | undefined;
};

function readReason(recorded: string, purpose: string | undefined) {
  const reason = currentReason(recorded);
  const exception = informationBlockingException(reason, purpose);
  return exception === undefined ? { reason } : { reason, exception };
}

function currentTally(tally: Counts): Counts {
  const counts = new Map<string, number>();
  for (const [reason, count] of Object.entries(tally))
    counts.set(currentReason(reason), (counts.get(currentReason(reason)) ?? 0) + count);
  return Object.fromEntries(counts);
}
