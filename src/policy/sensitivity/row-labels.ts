import { isSameSystem } from "#fhir/code-system";
import { isObject, property, type Json } from "#fhir/json/json";
import { handlingCodes, sensitivityParents } from "./sensitivity.gen.ts";

/** The labels of a row, weighed: the most protective label of the row counts. */
export interface RowLabels {
  /** Index in {@link confidentialityCodes}. A row without a label is normal; a sensitivity makes it R. */
  readonly level: number;
  /** Codes of v3-ActCode InformationSensitivityPolicy. */
  readonly sensitivities: ReadonlySet<string>;
  /** A label of the row is in no table here, so it may mean any sensitivity. */
  readonly hasUnknown: boolean;
}

/** v3-Confidentiality, least protective first (HL7 THO). */
export const confidentialityCodes = ["U", "L", "M", "N", "R", "V"] as const;
export const normal = confidentialityCodes.indexOf("N");
export const restricted = confidentialityCodes.indexOf("R");

const confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
const actCode = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const privacyLaw = "http://terminology.hl7.org/CodeSystem/v3-ActUSPrivacyLaw";
// Compared as they are written: a further spelling is an unknown label, which counts as sensitive.
const contextSystems: ReadonlySet<string> = new Set([
  "http://terminology.hl7.org/CodeSystem/v3-ActReason",
  "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
]);
const handlingNames: ReadonlySet<string> = new Set(handlingCodes.split(" "));

// Laws that protect a kind of information are labels of that kind (42 CFR 2.11, 45 CFR 164.501). Self-pay
// (45 CFR 164.522(a)(1)(vi)) concerns a recipient, not a kind of information; Title 38 §7332 protects several
// kinds without telling which, so it counts as unknown.
const kindsOfLaws: Readonly<Record<string, string | undefined>> = {
  "42CFRPart2": "SUD",
  HIPAAPsyNotes: "PSYTHPN",
  HIPAASelfPay: undefined,
};

/** A security label (FHIR R4 security-labels): a place in the order of confidentiality, or a sensitivity. */
export type SecurityLabel =
  | { readonly kind: "level"; readonly level: number }
  | { readonly kind: "sensitivity"; readonly code: string }
  /** An obligation, a refrain, or a law about a recipient: it says nothing about the kind of information. */
  | { readonly kind: "handling" }
  /** The purpose of the data (HTEST), or their certainty and completeness (SUBSETTED). */
  | { readonly kind: "context" }
  | { readonly kind: "unknown" };

const unknown: SecurityLabel = { kind: "unknown" };
const handling: SecurityLabel = { kind: "handling" };

export function securityLabelOf(coding: Json): SecurityLabel {
  if (!isObject(coding)) return unknown;
  const [system, code] = [property(coding, "system"), property(coding, "code")];
  if (typeof system !== "string" || typeof code !== "string") return unknown;
  if (isSameSystem(system, confidentiality)) {
    const level = confidentialityCodes.findIndex((known) => known === code);
    if (level >= 0) return { kind: "level", level };
    // v3-Confidentiality ETH, HIV, PSY and SDV are retired, and still written
    return isSensitivity(code) ? { kind: "sensitivity", code } : unknown;
  }
  if (isSameSystem(system, actCode) || isSameSystem(system, privacyLaw)) {
    if (Object.hasOwn(kindsOfLaws, code)) {
      const kind = kindsOfLaws[code];
      return kind === undefined ? handling : { kind: "sensitivity", code: kind };
    }
    if (isSensitivity(code)) return { kind: "sensitivity", code };
    return handlingNames.has(code) ? handling : unknown;
  }
  return contextSystems.has(system) ? { kind: "context" } : unknown;
}

const isSensitivity = (code: string): boolean => Object.hasOwn(sensitivityParents, code);

/** The labels of a row: from `meta.security` and from inside the row, with the sensitivities of its codes. */
export function rowLabels(labels: Iterable<Json>, derived: Iterable<string> = []): RowLabels {
  let level = -1;
  let hasUnknown = false;
  const sensitivities = new Set(derived);
  for (const coding of labels) {
    const label = securityLabelOf(coding);
    if (label.kind === "level") level = Math.max(level, label.level);
    if (label.kind === "sensitivity") sensitivities.add(label.code);
    if (label.kind === "unknown") hasUnknown = true;
  }
  if (level < 0) level = normal;
  if (sensitivities.size > 0) level = Math.max(level, restricted);
  return { level, sensitivities, hasUnknown };
}

/** Answers whether a sensitivity is another or below it (HL7 THO: SPI is above SUD, SUD above ETHUD). */
export function coversSensitivity(wide: string, narrow: string): boolean {
  for (
    let code: string | undefined = narrow;
    code;
    code = isSensitivity(code) ? sensitivityParents[code] : undefined
  )
    if (code === wide) return true;
  return false;
}
