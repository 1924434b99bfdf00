import type { DecidedBy } from "./event.ts";

/**
 * The cause of a refusal, as a sentence for an auditor. It reveals a row, so it is for readers of
 * opened records alone.
 */
export function decidedByText({ by, consentDigest, place }: DecidedBy): string {
  const at = place === undefined ? "" : ` ${place}`;
  switch (by) {
    case "consent":
      if (consentDigest === undefined)
        return "the row concerns a patient whom no reference identifies, so that patient's Consents cannot be known";
      return `the Consent ${consentDigest} decided, by${at === "" ? " its base" : at}`;
    case "label":
      return `the security label${at} decided: no policy and no Consent lets it leave`;
    case "policy":
      return `the policy decided, at${at === "" ? " its base" : at}`;
    case "scope":
      return place === undefined
        ? "the token's scopes, patient or user decided: they do not cover the data"
        : `the rights to a referred resource (${place}) decided`;
    case undefined:
    default:
      return `${by ?? "an unknown part"} decided${at}`; // a word of a later version
  }
}
