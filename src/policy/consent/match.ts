/**
 * Whether a part of a Consent applies to a request or a row. `unknown`: the part, or the fact that it asks
 * for, is not understood. A permit needs `yes`; a deny takes effect unless the answer is `no`.
 */
export type Match = "yes" | "no" | "unknown";

/** Every part must apply (FHIR R4 Consent: different elements of a provision). */
export function allOf(matches: Iterable<Match>): Match {
  let all: Match = "yes";
  for (const match of matches) {
    if (match === "no") return "no";
    if (match === "unknown") all = "unknown";
  }
  return all;
}

/** A single part suffices (FHIR R4 Consent: repetitions of an element). */
export function anyOf(matches: Iterable<Match>): Match {
  let any: Match = "no";
  for (const match of matches) {
    if (match === "yes") return "yes";
    if (match === "unknown") any = "unknown";
  }
  return any;
}
