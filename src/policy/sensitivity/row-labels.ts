import { isSameSystem, systemName } from "#fhir/code-system";
import { isArray, isObject, property, textAt, valuesAt, type Json, type JsonObject } from "#fhir/json/json";
import { handlingCodes, sensitivityParents } from "./sensitivity.gen.ts";

/** The labels of a row, weighed: the most protective label of the row counts. */
export interface RowLabels {
  /** Index in {@link confidentialityCodes}. A row without a label is normal; a sensitivity makes it R. */
  readonly level: number;
  /** Codes of v3-ActCode InformationSensitivityPolicy. */
  readonly sensitivities: ReadonlySet<string>;
  /** A label of the row is in no table here, so it may mean any sensitivity. */
  readonly hasUnknown: boolean;
  /** The unknown labels by `system|code`: a Consent may name one. A label without both is unreadable. */
  readonly unknown: ReadonlySet<string>;
  /** An obligation, a refrain, or a law about a recipient: nothing about the kind of information. */
  readonly hasHandling: boolean;
  /** The label of 42 CFR Part 2: a record of a program for substance use disorders. */
  readonly isPart2: boolean;
  /** The label of 45 CFR 164.522(a)(1)(vi): the individual paid for the service in full. */
  readonly isSelfPaid: boolean;
}

/** v3-Confidentiality, least protective first (HL7 THO). */
export const confidentialityCodes = ["U", "L", "M", "N", "R", "V"] as const;
export const normal = confidentialityCodes.indexOf("N");
export const restricted = confidentialityCodes.indexOf("R");

/** 45 CFR 164.501; LOINC and SNOMED CT do not distinguish them from further notes, so an origin has to label them. */
export const psychotherapyNotes = "PSYTHPN";

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
  | { readonly kind: "sensitivity"; readonly code: string; readonly law?: "42CFRPart2" }
  /** An obligation, a refrain, or a law about a recipient: it says nothing about the kind of information. */
  | { readonly kind: "handling"; readonly law?: "HIPAASelfPay" }
  /** The purpose of the data (HTEST), or their certainty and completeness (SUBSETTED). */
  | { readonly kind: "context" }
  /**
   * `name`: `system|code`, if the label has both. `perhaps`: the label of a law that has this code, which is
   * written in a different case, or with a system that is not known.
   */
  | { readonly kind: "unknown"; readonly name?: string; readonly perhaps?: SecurityLabel };

const handling: SecurityLabel = { kind: "handling" };
const selfPaid: SecurityLabel = { kind: "handling", law: "HIPAASelfPay" };

// No level and no purpose opens a row with such a label, so a wrong spelling must not take it for a further code.
const strictest: ReadonlyMap<string, string> = new Map(
  [...Object.keys(kindsOfLaws), psychotherapyNotes].map((code) => [code.toLowerCase(), code]),
);

function unknownLabel(system: Json | undefined, code: Json | undefined): SecurityLabel {
  const law = typeof code === "string" ? strictest.get(code.trim().toLowerCase()) : undefined;
  return {
    kind: "unknown",
    ...(typeof system === "string" && typeof code === "string" && { name: `${systemName(system)}|${code}` }),
    ...(law !== undefined && { perhaps: securityLabelOf({ system: actCode, code: law }) }),
  };
}

export function securityLabelOf(coding: Json): SecurityLabel {
  const [system, code] = isObject(coding) ? [property(coding, "system"), property(coding, "code")] : [];
  if (typeof system !== "string" || typeof code !== "string") return unknownLabel(system, code);
  if (isSameSystem(system, confidentiality)) {
    const level = confidentialityCodes.findIndex((known) => known === code);
    if (level >= 0) return { kind: "level", level };
    // v3-Confidentiality ETH, HIV, PSY and SDV are retired, and still written
    return isSensitivity(code) ? { kind: "sensitivity", code } : unknownLabel(system, code);
  }
  if (isSameSystem(system, actCode) || isSameSystem(system, privacyLaw)) {
    if (Object.hasOwn(kindsOfLaws, code)) {
      const kind = kindsOfLaws[code];
      if (kind === undefined) return selfPaid;
      return { kind: "sensitivity", code: kind, ...(code === "42CFRPart2" ? { law: code } : {}) };
    }
    if (isSensitivity(code)) return { kind: "sensitivity", code };
    return handlingNames.has(code) ? handling : unknownLabel(system, code);
  }
  return contextSystems.has(system) ? { kind: "context" } : unknownLabel(system, code);
}

export const isSensitivity = (code: string): boolean => Object.hasOwn(sensitivityParents, code);

/** No Consent can name it: the name of a label has a bar. */
export const unreadableLabel = "";

/** Value sets label mental health by any of these; a denial of one denies all of them. */
export const mentalHealth: readonly string[] = ["PSY", "BH", "MH"];

/** The labels of a row: from `meta.security` and from inside the row, with the sensitivities of its codes. */
export function rowLabels(labels: Iterable<Json>, derived: Iterable<string> = []): RowLabels {
  let level = -1;
  let [hasUnknown, hasHandling, isPart2, isSelfPaid] = [false, false, false, false];
  const [sensitivities, unknown] = [new Set<string>(), new Set<string>()];
  for (const coding of labels)
    for (let label = securityLabelOf(coding), next: SecurityLabel | undefined; ; label = next) {
      if (label.kind === "level") level = Math.max(level, label.level);
      if (label.kind === "sensitivity") sensitivities.add(label.code);
      if (label.kind === "unknown") {
        hasUnknown = true;
        unknown.add(label.name ?? unreadableLabel);
      }
      if (label.kind === "handling") hasHandling = true;
      if (label.kind === "sensitivity" && label.law !== undefined) isPart2 = true;
      if (label.kind === "handling" && label.law !== undefined) isSelfPaid = true;
      next = label.kind === "unknown" ? label.perhaps : undefined;
      if (next === undefined) break;
    }
  // A value set's word for mental health adds nothing to the origin's, and a Consent would have to name both.
  const isSaid = mentalHealth.some((code) => sensitivities.has(code));
  for (const code of derived) if (!isSaid || !mentalHealth.includes(code)) sensitivities.add(code);
  if (level < 0) level = normal;
  if (sensitivities.size > 0) level = Math.max(level, restricted);
  return { level, sensitivities, hasUnknown, unknown, hasHandling, isPart2, isSelfPaid };
}

const documentLabels: ReadonlyMap<string, string> = new Map([
  ["DocumentReference", "securityLabel"],
  ["Composition", "confidentiality"],
]);

/** The element by which a document states labels of its own, beside `meta.security` (FHIR R4). */
export const labelMembersOf = (type: string): readonly string[] => {
  const name = documentLabels.get(type);
  return name === undefined ? [] : [name, `_${name}`];
};

/**
 * The labels that a row states for the whole of it: in `meta.security`, and in the element of
 * {@link labelMembersOf}; null for a label that cannot be read.
 */
export function statedLabels(row: JsonObject): readonly Json[] {
  const meta = property(row, "meta");
  const security = isObject(meta) ? (property(meta, "security") ?? null) : null;
  // a label in place of the list may be any label
  const inMeta = security === null ? [] : isArray(security) ? security : [unreadable];
  const [name, sibling] = labelMembersOf(textAt(row, "resourceType") ?? "");
  const stated = name === undefined ? undefined : property(row, name);
  if (stated === undefined)
    return sibling === undefined || property(row, sibling) === undefined ? inMeta : [...inMeta, unreadable];
  if (name === "confidentiality") return [...inMeta, { system: confidentiality, code: stated }];
  const concepts = isArray(stated) ? stated : [unreadable];
  return [
    ...inMeta,
    ...concepts.flatMap((concept) => {
      const codings = isObject(concept) ? valuesAt(concept, ["coding"]) : [];
      return codings.length === 0 ? [unreadable] : codings; // a text names no label
    }),
  ];
}

const unreadable: Json = null;

/** Answers whether a label says that elements inside have labels of their own (DS4P). */
export const saysInside = (label: Json): boolean =>
  isObject(label) &&
  property(label, "code") === "PROCESSINLINELABEL" &&
  securityLabelOf(label).kind === "handling";

/**
 * The labels of a row together with the labels of the elements inside: PROCESSINLINELABEL says that there are
 * labels inside, and they are read.
 */
export const withInside = (stated: readonly Json[], inside: readonly Json[]): readonly Json[] =>
  inside.length === 0 ? stated : [...stated.filter((label) => !saysInside(label)), ...inside];

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
