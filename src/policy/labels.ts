import { isSameSystem } from "#fhir/code-system";
import { isArray, isObject, property, type Json, type JsonObject } from "#fhir/json/json";

// HL7 Healthcare Privacy and Security Classification System: the codes of v3-Confidentiality up to normal.
const confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
const normalOrLess: ReadonlySet<string> = new Set(["U", "L", "M", "N"]);

// Labels about the purpose of data (HTEST) or about its certainty and completeness (SUBSETTED). They say
// nothing about sensitivity.
const otherLabels: ReadonlySet<string> = new Set([
  "http://terminology.hl7.org/CodeSystem/v3-ActReason",
  "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
]);

// DS4P: the label of one element, which only a labelling service can weigh.
export const inlineLabel =
  "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label";

/**
 * Answers whether a resource has a security label above N (normal) or labels inside (FHIR R4 security-labels,
 * DS4P). Until a labelling service weighs the labels, the whole resource is withheld. An unknown label
 * counts, since it may be above normal.
 */
export function isLabelled(resource: JsonObject): boolean {
  const meta = property(resource, "meta");
  const labels = isObject(meta) ? (property(meta, "security") ?? null) : null;
  if (labels !== null && !(isArray(labels) && labels.every(isHarmless))) return true;
  return hasInlineLabel(resource);
}

/**
 * Answers whether a Binary has a `securityContext`, whose labels and rules apply to it (FHIR R4 binary
 * §2.42.3).
 */
export const hasContext = (resource: JsonObject): boolean =>
  property(resource, "resourceType") === "Binary" &&
  (property(resource, "securityContext") !== undefined ||
    property(resource, "_securityContext") !== undefined);

function isHarmless(label: Json): boolean {
  if (!isObject(label)) return false;
  const [system, code] = [property(label, "system"), property(label, "code")];
  if (typeof system !== "string" || typeof code !== "string") return false;
  return isSameSystem(system, confidentiality) ? normalOrLess.has(code) : otherLabels.has(system);
}

/** Every element may have an inline label, in its extensions or in the extensions of a primitive. */
function hasInlineLabel(value: Json): boolean {
  if (isArray(value)) return value.some(hasInlineLabel);
  if (!isObject(value)) return false;
  for (const name in value) {
    const member = value[name];
    if (member === undefined || typeof member !== "object" || member === null) {
      if (name === "url" && member === inlineLabel) return true;
    } else if (hasInlineLabel(member)) return true;
  }
  return false;
}
