import type { FhirBase } from "#fhir/r4/reference";
import { textAt, type JsonObject } from "#fhir/json/json";
import type { Facts } from "#fhir/json/facts";
import type { ScopePermission } from "#identity/scopes";
import { isRowOf } from "#policy/compile";
import { factListsOf, factsFor } from "#policy/facts";
import { rulesNamed, type Explained } from "./explain-step.ts";
import { isInDataPeriod } from "#policy/consent/data-period";
import { labellingCodes } from "#policy/consent/row-facts";
import { sensitiveCodesVersion } from "#policy/sensitivity/sensitivity.gen";
import { rowAccessOf, coversRowOrShared } from "#policy/row-access";
import { weighRow, whyWithheld } from "#policy/row-weight";
import { conditionText } from "./row-kinds.ts";
import type { RuleInteraction } from "#policy/schema";

/**
 * The reasons why an interaction does not cover a resource: its owner, its labels, the conditions of the
 * rules. Empty: it is covered. `base`: FHIR base of the origin.
 */
export function explainRow(
  about: Explained,
  resource: JsonObject,
  {
    interaction,
    permission,
  }: { readonly interaction: RuleInteraction; readonly permission: ScopePermission },
  base: FhirBase,
): readonly string[] {
  const type = textAt(resource, "resourceType") ?? "";
  const facts = factsToExplain(about, resource);
  const rowAccess = rowAccessOf(about.access, type, permission);
  const rules = rulesNamed(about, type).filter(({ rule }) => rule.interactions.has(interaction));
  const reasons: string[] = [];
  if (rowAccess === undefined) reasons.push(`no scope permits "${permission}" of ${type}`);
  else if (!coversRowOrShared(rowAccess, facts, type, base))
    reasons.push("the scopes do not cover it, or not provably: its patient or its category differs");
  const permits = weighRow(about.policy, about.access, facts, base);
  const granting = rules.map(({ rule }) => rule);
  const action = interaction === "read" || interaction === "search" ? "read" : "write";
  const decided = whyWithheld(about.policy, about.access, facts, base, granting, action);
  const isInPeriod = isInDataPeriod(about.policy.dataPeriod, facts, about.access.at);
  if (!isInPeriod) reasons.push("its dates are outside of the policy's dataPeriod, or it states none");
  if (permits === undefined && isInPeriod && about.policy.labels.throughReferences)
    reasons.push(
      "a resource that it refers to may have a label, or be hidden from the client: only the origin's answer tells",
    );
  if (permits === undefined && isInPeriod)
    reasons.push(
      `it has a security label above N (normal), or labels inside, that the policy does not let leave for this purpose: it leaves only if a Consent names the label${about.policy.labels.generalOpens === undefined ? "" : ", or if a Consent that names none opens it (generalConsentOpens)"}${decided.by === "label" ? ` (${decided.place})` : ""}`,
    );
  const codes = about.policy.labels.fromCodes && permits === undefined ? labellingCodes(resource, base) : [];
  const isByConsent = decided.by === "consent" && !granting.some((rule) => permits?.(rule) === true);
  if (isByConsent)
    reasons.push(
      decided.consentDigest === undefined
        ? "it concerns a patient whom no reference identifies: the Consents of that patient are not known"
        : `the Consent ${decided.consentDigest} denies it, by ${decided.place}: its record names both`,
    );
  if (codes.length > 0) reasons.push(`its codes label it, by ${sensitiveCodesVersion}: ${codes.join("; ")}`);
  if (!isByConsent && permits !== undefined && rules.length > 0 && !rules.some(({ rule }) => permits(rule)))
    reasons.push("it leaves only if a Consent of its patient permits it: the policy requires one");
  if (rules.length === 0) reasons.push(`no rule grants ${interaction} of ${type}`);
  const unmet = rules.map(({ name, rule }) => ({
    name,
    conditions: rule.conditions.filter((condition) => !isRowOf({ ...rule, conditions: [condition] }, facts)),
  }));
  if (unmet.length > 0 && unmet.every(({ conditions }) => conditions.length > 0)) {
    for (const { name, conditions } of unmet)
      reasons.push(`${name} covers only rows where ${conditions.map(conditionText).join("; ")}`);
  }
  return reasons;
}

const factsToExplain = ({ policy, access }: Explained, resource: JsonObject): Facts =>
  factsFor(factListsOf(policy, access, textAt(resource, "resourceType") ?? ""), resource);

/** The rules that cover a row, by their places. */
export function rulesOf(
  about: Explained,
  resource: JsonObject,
  interaction: RuleInteraction,
): readonly string[] {
  const facts = factsToExplain(about, resource);
  return rulesNamed(about, textAt(resource, "resourceType") ?? "")
    .filter(({ rule }) => rule.interactions.has(interaction) && isRowOf(rule, facts))
    .map(({ name }) => name);
}
