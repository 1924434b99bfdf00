import { purposesAbove } from "#fhir/r4/purpose-of-use";

/** Codes of v3-ActReason in plain words; a code below them without its own words takes theirs. */
const words: Readonly<Record<string, string>> = {
  TREAT: "treatment",
  ETREAT: "emergency treatment",
  BTG: "emergency treatment (break the glass)",
  HPAYMT: "payment",
  HOPERAT: "health care operations",
  HDIRECT: "a facility's directory",
  DONAT: "donation of organs, eyes or tissue",
  GOV: "work of the government",
  HDECD: "information about someone who died",
  HLEGAL: "legal proceedings",
  MILCDM: "military command",
  MILDCRG: "military discharge",
  MLTRAINING: "training of machine learning",
  HMARKT: "marketing",
  PATRQT: "request of the individual",
  PWATRNY: "request of a personal representative",
  FAMRQT: "request of the family",
  SUPNWK: "request of persons involved in the care",
  PUBHLTH: "public health",
  DISASTER: "help in a disaster",
  THREAT: "a threat to health or safety",
  HRESCH: "research",
  CLINTRCH: "clinical trial",
};

/** The purpose in words, or in the words of its parent code; undefined for an unknown code. */
export function purposeWords(purpose: string): string | undefined {
  for (const code of purposesAbove(purpose)) if (Object.hasOwn(words, code)) return words[code];
  return undefined;
}

/**
 * A brief statement of the purpose (45 CFR 164.528(b)(2)(iv)), with the code; an unknown code stands alone.
 */
export function purposeInWords(purpose: string): string {
  const inWords = purposeWords(purpose);
  return inWords === undefined ? purpose : `${inWords} (${purpose})`;
}
