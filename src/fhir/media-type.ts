/**
 * True for a parameter of a media type that this FHIR version and UTF-8 meet (FHIR R4 §3.1.0.1.10), in lower case.
 */
export const isMet = (parameter: string): boolean =>
  /^\s*(?:charset\s*=\s*"?utf-8"?|fhirversion\s*=\s*"?4\.0(?:\.\d)?"?)\s*$/u.test(parameter);
