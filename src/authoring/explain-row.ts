import type { FhirBase } from "#fhir/r4/reference";
import { textAt, type JsonObject } from "#fhir/json/json";
import type { Permission } from "#identity/scopes";
import { isRowOf } from "#policy/compile";
import { rulesNamed, type Explained } from "./explain-step.ts";
import { rowAccessOf, coversRowOrShared } from "#policy/row-access";
import { isLabelled } from "#policy/labels";
import { conditionText } from "./row-kinds.ts";
import type { RuleInteraction } from "#policy/schema";

/**
 * What keeps a resource from being one of the rows that an interaction reaches: whose it is, its labels, the
 * rules' conditions. Empty: it is one. `base`: FHIR base of the origin.
 */
export function explainRow(
  about: Explained,
  resource: JsonObject,
  { interaction, permission }: { readonly interaction: RuleInteraction; readonly permission: Permission },
  base: FhirBase,
): readonly string[] {
  const type = textAt(resource, "resourceType") ?? "";
  const hold = rowAccessOf(about.access, type, permission);
  const rules = rulesNamed(about, type).filter(({ rule }) => rule.interactions.has(interaction));
  const kept: string[] = [];
  if (hold === undefined) kept.push(`no scope permits "${permission}" of ${type}`);
  else if (!coversRowOrShared(hold, resource, type, base))
    kept.push("it is not, or not provably, within the scopes: another patient's, or of another category");
  if (isLabelled(resource))
    kept.push(
      "it carries a sensitivity label beyond N (normal), or labels inside: withheld from everybody until labels are weighed",
    );
  if (rules.length === 0) kept.push(`no rule grants ${interaction} of ${type}`);
  const unmet = rules.map(({ name, rule }) => ({
    name,
    conditions: rule.conditions.filter(
      (condition) => !isRowOf({ ...rule, conditions: [condition] }, resource),
    ),
  }));
  if (unmet.length > 0 && unmet.every(({ conditions }) => conditions.length > 0)) {
    for (const { name, conditions } of unmet)
      kept.push(`${name} is about other rows: ${conditions.map(conditionText).join("; ")}`);
  }
  return kept;
}

/** The rules that reach a row, by their places. */
export const rulesOf = (
  about: Explained,
  resource: JsonObject,
  interaction: RuleInteraction,
): readonly string[] =>
  rulesNamed(about, textAt(resource, "resourceType") ?? "")
    .filter(({ rule }) => rule.interactions.has(interaction) && isRowOf(rule, resource))
    .map(({ name }) => name);
