import { isSameSystem } from "#fhir/code-system";
import { Facts } from "#fhir/json/facts";
import { isArray, isObject, property, type Json } from "#fhir/json/json";

// HL7 Healthcare Privacy and Security Classification System: the codes of v3-Confidentiality up to normal.
const confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
const normalOrLess: ReadonlySet<string> = new Set(["U", "L", "M", "N"]);

// Labels about the purpose of data (HTEST) or about its certainty and completeness (SUBSETTED). They say
// nothing about sensitivity.
const otherLabels: ReadonlySet<string> = new Set([
  "http://terminology.hl7.org/CodeSystem/v3-ActReason",
  "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
]);

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

function isHarmless(label: Json): boolean {
  if (!isObject(label)) return false;
  const [system, code] = [property(label, "system"), property(label, "code")];
  if (typeof system !== "string" || typeof code !== "string") return false;
  return isSameSystem(system, confidentiality) ? normalOrLess.has(code) : otherLabels.has(system);
}
