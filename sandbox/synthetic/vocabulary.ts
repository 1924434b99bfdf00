import type { CodeableConcept, Coding, Meta } from "@medplum/fhirtypes";

export const loinc = "http://loinc.org";
export const snomed = "http://snomed.info/sct";
export const rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm";
export const icd10 = "http://hl7.org/fhir/sid/icd-10-cm";
export const ucum = "http://unitsofmeasure.org";

const terminology = "http://terminology.hl7.org/CodeSystem";

export function conceptOf(system: string, code: string, display: string): CodeableConcept {
  return { coding: [{ system, code, display }], text: display };
}

/** A concept of HL7's own code systems. */
export function hl7(system: string, code: string, display?: string): CodeableConcept {
  return { coding: [codingOf(system, code, display)] };
}

export function codingOf(system: string, code: string, display?: string): Coding {
  return { system: `${terminology}/${system}`, code, ...(display !== undefined && { display }) };
}

/** Why a record is sensitive: a code of v3-ActCode's InformationSensitivityPolicy. */
export type Sensitivity = "ETH" | "ETHUD" | "PSY" | "PSYTHPN" | "HIV" | "SDV" | "STD" | "GDIS";

/** The labels of a record: restricted, the reason, and for Part 2 records the law (HL7 DS4P). */
export function sensitivityLabel(sensitivity: Sensitivity): Meta {
  const part2 = sensitivity === "ETH" || sensitivity === "ETHUD";
  return {
    security: [
      codingOf("v3-Confidentiality", "R", "restricted"),
      codingOf("v3-ActCode", sensitivity),
      ...(part2 ? [codingOf("v3-ActUSPrivacyLaw", "42CFRPart2")] : []),
    ],
  };
}

/** Generated narrative: the record in words. */
export function narrative(...sentences: readonly string[]): { status: "generated"; div: string } {
  const escaped = sentences.map(
    (sentence) => `<p>${sentence.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</p>`,
  );
  return { status: "generated", div: `<div xmlns="http://www.w3.org/1999/xhtml">${escaped.join("")}</div>` };
}
