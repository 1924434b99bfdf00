import { Facts } from "#fhir/json/facts";
import { isArray, isObject, property, type Json } from "#fhir/json/json";
import { normal, securityLabelOf } from "./sensitivity/row-labels.ts";

/**
 * Answers whether a resource has a security label above N (normal) or labels inside (FHIR R4 security-labels,
 * DS4P). Until a labelling service weighs the labels, the whole resource is withheld. An unknown label
 * counts, since it may be above normal.
 */
export function isLabelled(facts: Facts): boolean {
  const meta = property(facts, "meta");
  const labels = isObject(meta) ? (property(meta, "security") ?? null) : null;
  if (labels !== null && !(isArray(labels) && labels.every(isHarmless))) return true;
  return Facts.inlineLabelsOf(facts).length > 0;
}

/**
 * Answers whether a Binary has a `securityContext`, whose labels and rules apply to it (FHIR R4 binary
 * §2.42.3).
 */
export const hasContext = (facts: Facts): boolean =>
  property(facts, "resourceType") === "Binary" &&
  (property(facts, "securityContext") !== undefined || property(facts, "_securityContext") !== undefined);

function isHarmless(coding: Json): boolean {
  const label = securityLabelOf(coding);
  return label.kind === "context" || (label.kind === "level" && label.level <= normal);
}
