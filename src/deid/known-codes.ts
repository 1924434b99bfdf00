import type { AskedCode } from "./asked-values.ts";
import { unitSystem, unitOf } from "./units.ts";

// A code of HL7: short words and digits. Five digits in a row, a telephone number, a social security number or a date is
// no code of HL7, and may be of a person.
const hl7 = /^(?!.*\d{5})(?!.*\d{3}[-.]\d{2,3}[-.]\d{4})(?!.*\d{4}-\d{2})[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$/u;
const icd10 = /^[A-Z]\d[0-9A-Z](?:\.?[0-9A-Z]{1,4})?$/u;

const snomed = "http://snomed.info/sct";

/**
 * The public code systems, each with the grammar of its codes. A code of a further system does not leave: the
 * codes of a hospital's own system may be numbers of its patients.
 */
const grammars: ReadonlyMap<string, RegExp> = new Map([
  [snomed, /^\d{6,18}$/u],
  ["http://loinc.org", /^(?:L[A-Z])?\d{1,7}-\d$/u],
  ["http://www.nlm.nih.gov/research/umls/rxnorm", /^\d{1,8}$/u],
  ["http://hl7.org/fhir/sid/icd-9-cm", /^(?:\d{3}|V\d{2}|E\d{3})(?:\.\d{1,2})?$/u],
  ["http://hl7.org/fhir/sid/icd-10", icd10],
  ["http://hl7.org/fhir/sid/icd-10-cm", icd10],
  ["http://www.cms.gov/Medicare/Coding/ICD10", /^[0-9A-HJ-NP-Z]{7}$/u],
  ["http://hl7.org/fhir/sid/cvx", /^\d{1,3}$/u],
  ["http://hl7.org/fhir/sid/mvx", /^[A-Z]{2,3}$/u],
  ["http://hl7.org/fhir/sid/ndc", /^\d{4,5}-\d{3,4}-\d{1,2}$/u],
  ["http://www.ama-assn.org/go/cpt", /^\d{4}[0-9A-Z]$/u],
  ["https://bluebutton.cms.gov/resources/codesystem/hcpcs", /^[A-Z]\d{4}$/u],
  ["http://www.nlm.nih.gov/research/umls/hcpcs", /^[A-Z]\d{4}$/u],
  ["http://www.ada.org/cdt", /^D\d{4}$/u],
  ["http://www.whocc.no/atc", /^[A-Z](?:\d{2}(?:[A-Z](?:[A-Z](?:\d{2})?)?)?)?$/u],
  ["http://nucc.org/provider-taxonomy", /^[0-9A-Z]{9}X$/u],
  ["http://dicom.nema.org/resources/ontology/DCM", /^[A-Z]{2,4}$|^1\d{5}$/u],
  ["urn:oid:2.16.840.1.113883.6.238", /^\d{4}-\d$/u], // race and ethnicity, CDC
  ["urn:iso:std:iso:3166", /^[A-Z]{2,3}$/u],
  ["urn:iso:std:iso:4217", /^[A-Z]{3}$/u],
  ["urn:ietf:bcp:13", /^[a-z]+\/[a-z0-9.+-]{1,40}$/u],
  ["urn:ietf:bcp:47", /^[a-z]{2,3}(?:-[A-Za-z]{2,4}){0,2}$/u],
]);

const ofHl7 =
  /^http:\/\/(?:terminology\.hl7\.org\/(?:CodeSystem\/[A-Za-z0-9.-]+)|hl7\.org\/fhir\/(?!sid\/)[A-Za-z0-9/-]+)$/u;

/** Answers whether a code has the grammar of its public code system. */
export function isKnownCode(system: string, code: string): boolean {
  if (system === snomed && !hasCheckDigit(code)) return false;
  if (system === unitSystem) return unitOf(code) === code;
  return (grammars.get(system) ?? (ofHl7.test(system) ? hl7 : undefined))?.test(code) === true;
}

// An age from 90 on, as in the ISO 8601 durations of IHE's age ranges (`P90Y--P9999Y`), or a word for it.
const oldAge =
  /^(?=.*(?:age|years?|yrs?|over|older|plus|\dy))(?=.*(?<!\d)(?:9\d|1[0-2]\d)(?!\d))|nonagenarian|centenarian/iu;

/** Answers whether a code of HL7 is spelled as an age over 89, which does not leave under Safe Harbor. */
export const spellsOldAge = (system: string, code: string): boolean =>
  ofHl7.test(system) && oldAge.test(code);

/** The parameter of the first code that no row in a form shows; undefined: there is none. */
export const unknownAmong = (codes: readonly AskedCode[]): string | undefined =>
  codes.find(({ system, code }) => !isKnownCode(system, code) || spellsOldAge(system, code))?.parameter;

// The dihedral check of SNOMED CT identifiers (Verhoeff): nine of ten numbers of other kinds fail.
const rows =
  "0123456789 1234067895 2340178956 3401289567 4012395678 5987604321 6598710432 7659821043 8765932104 9876543210".split(
    " ",
  );
const turn = "1576283094";

/** Answers whether the last digit of a number is the check digit of a SNOMED CT identifier. */
function hasCheckDigit(code: string): boolean {
  let sum = 0;
  for (const [at, digit] of Array.from(code).toReversed().entries()) {
    let turned = Number(digit);
    for (let step = at % 8; step > 0; step--) turned = Number(turn[turned]);
    sum = Number(rows[sum]?.[turned]);
  }
  return sum === 0;
}
