import { Facts } from "#fhir/json/facts";
import { textAt, type Json } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import { coversPurpose } from "#fhir/r4/purpose-of-use";
import { isRowOf, type CompiledPolicy, type CompiledRule } from "./compile.ts";
import type { RowConsents } from "./consent/consent-book.ts";
import {
  isHarmless,
  labelsOf,
  labelsOfElement,
  leavesByPolicy,
  leavesToIndividual,
  neverLeaves,
  noLabels,
  part2Law,
} from "./labels.ts";
import { isInDataPeriod } from "./consent/data-period.ts";
import { joinLabels, noLabelReferred, ReferredLabels, unresolved } from "./sensitivity/referred-labels.ts";
import {
  confidentialityCodes,
  normal,
  psychotherapyNotes,
  rowLabels,
  unreadableLabel,
  type RowLabels,
} from "./sensitivity/row-labels.ts";
import { part2Scope } from "./part2-notice.ts";
import { rowFactsOf, sensitivitiesIn } from "./consent/row-facts.ts";
import type { Access } from "./row-access.ts";
import { needsOf, type RowNeeds } from "./row-needs.ts";

/** The parts of an access by which the labels and the Consents of a row are weighed. */
type Weighing = Pick<Access, "purpose" | "clientKind" | "consents" | "referred" | "at">;

/**
 * Answers which rules may show a row, by the labels of the row and by the Consents of the patients whom it
 * concerns. `undefined`: the labels withhold the row, whatever the rules say.
 * @param action the row is disclosed, or it is written.
 */
export function weighRow(
  policy: CompiledPolicy,
  access: Weighing,
  row: Facts,
  base: FhirBase,
  action: "read" | "write" = "read",
): ((rule: CompiledRule) => boolean) | undefined {
  const { purpose, consents } = access;
  if (action === "read" && !isInDataPeriod(policy.dataPeriod, row, access.at)) return undefined;
  const rowConsents = consentsOf(policy, access, row, base, action);
  const labels = labelsFor(policy, access, row, base);
  if (labels === undefined || !leavesByLabels(policy, access, labels, rowConsents)) return undefined;
  // A registrar withdraws Consents for patients: it has to see them, also a denial of every disclosure.
  if (policy.isConsentRegistrar && textAt(row, "resourceType") === "Consent") return () => true;
  return (rule) => {
    const consent = policy.consentFor(purpose, rule);
    if (rowConsents !== undefined) return rowConsents.permit(consent);
    return consents === "given" || consent.base === "honoured";
  };
}

/**
 * The needs of a row that these rules show as far as is known; `undefined`: the row is hidden, and asks for nothing.
 * Only a row that nothing else hides asks for the labels of what it refers to.
 */
export function needsOfShown(
  policy: CompiledPolicy,
  access: Access,
  needs: RowNeeds | undefined,
  [versions, base]: readonly [readonly Facts[], FhirBase],
  rules: readonly CompiledRule[],
): RowNeeds | undefined {
  if (needs === undefined || rules.length === 0) return undefined;
  if (needs.referred.length === 0) return needs;
  const alone = { ...access, referred: noLabelReferred };
  const permits = versions.map((version) => weighRow(policy, alone, version, base));
  return rules.some((rule) => permits.every((permit) => permit?.(rule) === true)) ? needs : undefined;
}

/** Answers whether Consents keep a row back for the only reason that they permit other data of its patients. */
export function isOfOtherData(
  policy: CompiledPolicy,
  access: Weighing,
  row: Facts,
  base: FhirBase,
  rule: CompiledRule,
): boolean {
  const labels = labelsFor(policy, access, row, base);
  if (labels === undefined || !isHarmless(labels)) return false;
  const consents = consentsOf(policy, access, row, base, "read");
  return consents?.permitOtherData(policy.consentFor(access.purpose, rule)) === true;
}

/**
 * The cause that keeps a row back, as a record names it. It never leaves to the client: a row decided it.
 *
 * `place`: a path inside the Consent, the label, or a place in the policy document (RFC 6901).
 */
export interface WithheldBy {
  readonly by: "consent" | "label" | "policy" | "scope";
  /** SHA-256 of the compiled form of the Consent, in hex. */
  readonly consentDigest?: string;
  readonly place?: string;
}

/**
 * Names the cause that keeps a row back that {@link weighRow} and these rules do not show. The order is that of the
 * decision: dates, labels, Consents, conditions of the rules.
 *
 * @param rules that grant the interaction with the row's type.
 */
export function whyWithheld(
  policy: CompiledPolicy,
  given: Weighing,
  row: Facts,
  base: FhirBase,
  rules: readonly CompiledRule[],
  action: "read" | "write" = "read",
): WithheldBy {
  if (action === "read" && !isInDataPeriod(policy.dataPeriod, row, given.at))
    return { by: "policy", place: "/dataPeriod" };
  const lacking = needsOf(policy, given, row, base, false);
  // Conditions hide the row, so no Consent of it was asked for.
  if (lacking !== undefined && lacking.referred.length === 0)
    return { by: "policy", place: rules[0]?.place ?? "/rules" };
  // The row by itself is hidden, so no label of a referred resource was asked for.
  const access = lacking === undefined ? given : { ...given, referred: noLabelReferred };
  const permits = weighRow(policy, access, row, base, action);
  const covering = rules.filter((rule) => isRowOf(rule, row));
  const rowConsents = consentsOf(policy, access, row, base, action);
  const denial = rowConsents?.denial(policy.consentFor(access.purpose, covering[0]));
  if (denial === "target") return { by: "scope", place: "target" };
  if (denial === "unidentified") return { by: "consent", place: "unidentified patient" };
  if (denial !== undefined && (permits === undefined || !covering.some(permits)))
    return { by: "consent", consentDigest: denial.digest, place: denial.path };
  if (permits === undefined) {
    const labels = labelsFor(policy, access, row, base);
    return { by: "label", place: labels === undefined ? "codes" : labelName(labels) };
  }
  const [first] = covering;
  if (first === undefined) return { by: "policy", place: rules[0]?.place ?? "/rules" };
  if (!covering.some(permits))
    return { by: "policy", place: first.consent === undefined ? "/consent" : `${first.place}/consent` };
  return { by: "policy", place: `${first.place}/referredBy` };
}

/** The label that a record names of several: first the kinds that no level opens. */
function labelName({ isPart2, isSelfPaid, sensitivities, unknown, level, hasHandling }: RowLabels): string {
  if (isPart2) return part2Law;
  if (isSelfPaid) return "HIPAASelfPay";
  const [kind] = sensitivities.has(psychotherapyNotes) ? [psychotherapyNotes] : sensitivities;
  const [strange] = unknown;
  if (kind !== undefined) return kind;
  if (strange !== undefined) return strange === unreadableLabel ? "unreadable" : strange;
  return hasHandling && level <= normal ? "handling" : (confidentialityCodes[level] ?? "");
}

/** The Consents that judge a row with all its labels; undefined: no request runs, so no Consent is known. */
function consentsOf(
  policy: CompiledPolicy,
  { consents, referred }: Pick<Access, "consents" | "referred">,
  row: Facts,
  base: FhirBase,
  action: "read" | "write",
): RowConsents | undefined {
  if (typeof consents !== "object") return undefined;
  const found = consents.of(row, base, action);
  return policy.labels.throughReferences
    ? found.relabelled(withReferredLabels(policy, { referred }, row, base))
    : found;
}

/** The labels by which a policy judges a row; undefined: the facts are too few to know them. */
function labelsFor(
  policy: CompiledPolicy,
  access: Pick<Access, "referred">,
  row: Facts,
  base: FhirBase,
): RowLabels | undefined {
  const labels = policy.labels.fromCodes ? labelsWithCodes(row, base) : labelsOf(row);
  return labels && withReferredLabels(policy, access, row, base)(labels);
}

/** Adds the labels of the resources that a row refers to, if the policy asks for them. */
function withReferredLabels(
  { labels: { throughReferences } }: CompiledPolicy,
  { referred = new ReferredLabels() }: Pick<Access, "referred">,
  row: Facts,
  base: FhirBase,
): (labels: RowLabels) => RowLabels {
  if (!throughReferences) return (labels) => labels;
  const whole = Facts.wholeOf(row);
  // without the whole row each reference counts as labelled
  return (labels) =>
    whole === undefined ? joinLabels(labels, unresolved) : referred.withReferred(labels, whole, base);
}

/** The labels of a row, also by its codes; undefined: the facts are too few to know them. */
function labelsWithCodes(row: Facts, base: FhirBase): RowLabels | undefined {
  const whole = Facts.wholeOf(row);
  if (whole !== undefined) return rowFactsOf(whole, base).labels;
  return Facts.absentIn(row)?.labels === true ? labelsOf(row) : undefined;
}

/** See `Grant.needsWhole`. */
export function needsWhole(
  { labels }: CompiledPolicy,
  { consents }: Pick<Access, "consents">,
  row: Facts,
  base: FhirBase,
): "plain" | "whole" | undefined {
  if (labels.part2 && labelsOf(row).isPart2) return "plain";
  if (labels.throughReferences && Facts.wholeOf(row) === undefined) return "plain";
  const isOpened = labels.generalOpens !== undefined && typeof consents === "object";
  if (
    (labels.fromCodes || (isOpened && !isHarmless(labelsOf(row)))) &&
    labelsWithCodes(row, base) === undefined
  )
    return "whole";
  // A row that its own facts hide needs nothing.
  const isAsked = typeof consents === "object" && consents.lacking(row, base).length === 0;
  return isAsked ? consents.of(row, base).needsWhole : undefined;
}

/**
 * Answers whether an element with labels of its own may leave with its row (DS4P inline labels): policy and
 * Consents judge it as they would judge a row with the labels of both.
 */
export function weighElement(
  policy: CompiledPolicy,
  access: Weighing,
  row: Facts,
  base: FhirBase,
  elementLabels: readonly Json[],
): boolean {
  const { purpose, consents } = access;
  if (isHarmless(rowLabels(elementLabels))) return true;
  // Type, owner, scope or conditions hide the row: its Consents were not asked for.
  if (typeof consents === "object" && consents.lacking(row, base).length > 0) return false;
  const labels = labelsOfElement(row, elementLabels);
  const rowConsents =
    typeof consents === "object"
      ? consents.of(row, base).relabelled(() => joinLabels(labels, labelsOfCodes(policy, row, base)))
      : undefined;
  if (!leavesByLabels(policy, access, labels, rowConsents)) return false;
  if (rowConsents === undefined) return true;
  const rules = policy.rulesFor(textAt(row, "resourceType") ?? "");
  return [undefined, ...rules].every((rule) => rowConsents.permit(policy.consentFor(purpose, rule)));
}

/** The labels that the codes of a row add to those of its elements. They decide what a Consent without labels opens. */
function labelsOfCodes({ labels }: CompiledPolicy, row: Facts, base: FhirBase): RowLabels {
  if (labels.generalOpens === undefined || Facts.absentIn(row)?.labels === true) return noLabels;
  const whole = Facts.wholeOf(row);
  return whole === undefined ? unresolved : rowLabels([], sensitivitiesIn(whole, base));
}

function leavesByLabels(
  policy: CompiledPolicy,
  access: Weighing,
  labels: RowLabels,
  rowConsents: RowConsents | undefined,
): boolean {
  const { purpose } = access;
  if (isHarmless(labels)) return true;
  if (rowConsents?.isIndividuals === true && leavesToIndividual(labels)) return true;
  if (neverLeaves(labels, access) || (labels.isPart2 && !policy.labels.part2)) return false;
  if (leavesByPolicy(policy.labels.leaveFor(purpose), labels)) return true;
  // 42 CFR 2.31(d): legal proceedings need a consent of their own, which no Consent here can state
  if (labels.isPart2 && (purpose === undefined || coversPurpose("HLEGAL", purpose))) return false;
  return rowConsents?.permitLabels(policy.consentFor(purpose)) === true;
}

/** See `Grant.part2Scope`. */
export function scopeOfPart2(
  policy: CompiledPolicy,
  access: Weighing,
  row: Facts,
  base: FhirBase,
): string | undefined {
  const { purpose } = access;
  const labels = withReferredLabels(policy, access, row, base)(labelsOf(row));
  if (!labels.isPart2) return undefined;
  if (leavesByPolicy(policy.labels.leaveFor(purpose), labels)) return part2Scope(purpose, undefined);
  const rowConsents = consentsOf(policy, access, row, base, "read");
  if (rowConsents?.isIndividuals === true) return part2Scope(purpose, undefined);
  return part2Scope(purpose, rowConsents?.labelPermits(policy.consentFor(purpose)) ?? []);
}
