import { decisionPlaceMax, type DecidedBy } from "#audit/event";
import { isProvisionPath } from "#audit/provision-path";
import type { ResultFault } from "#policy/evaluate-write";
import type { PolicyRefusal } from "#policy/grant";

/** A refusal as its record has it. */
export interface RecordedRefusal {
  readonly reason: string;
  readonly decision: DecidedBy | undefined;
}

const rules: DecidedBy = { by: "policy", place: "/rules" };
const scope: DecidedBy = { by: "scope" };

type DecidedReason =
  | Exclude<PolicyRefusal["reason"], "too_many_joins">
  | ResultFault
  | "row_outside_access"
  | "break_glass_not_granted";

/** The causes of refusals that no row decided, or that state no nearer cause. */
const decisions: Readonly<Record<DecidedReason, DecidedBy>> = {
  rule_missing: rules,
  parameter_hidden: rules,
  parameter_needs_system: rules,
  sort_hidden: rules,
  form_excludes: { by: "policy", place: "/form" },
  form_not_in_force: { by: "policy", place: "/form" },
  include_hidden: rules,
  operation_not_granted: { by: "policy", place: "/operations" },
  scope_insufficient: scope,
  outside_patient_compartment: scope,
  total_needs_patients: scope,
  search_needs_types: scope,
  history_needs_unrestricted_access: scope,
  result_outside_access: rules,
  result_changes_patient: rules,
  result_widens_access: rules,
  row_outside_access: scope,
  break_glass_not_granted: rules,
};

/** The reason of a refusal, with its cause: a provision, a label, a rule, a scope. */
export const onRefusal = ({
  reason,
  decision = byPolicy(reason),
}: {
  readonly reason: string;
  readonly decision?: DecidedBy;
}): RecordedRefusal => ({ reason, decision: decision && cutToRoom(decision) });

/** A place as long as a record has room for. The path of a provision always fits, by its short form. */
function cutToRoom(decision: DecidedBy): DecidedBy {
  const { consentDigest, place } = decision;
  if (place === undefined || isProvisionPath(place)) return decision;
  const room = consentDigest === undefined ? decisionPlaceMax.alone : decisionPlaceMax.withConsent;
  const plain = place.replaceAll(/[^\x20-\x7e]/gu, "?"); // a byte each
  return { ...decision, place: plain.length <= room ? plain : `${plain.slice(0, room - 3)}...` };
}

const byPolicy = (reason: string): DecidedBy | undefined =>
  Object.hasOwn(decisions, reason) ? decisions[reason as DecidedReason] : undefined; // it is a key
