/**
 * True for a parameter of a media type that this FHIR version and UTF-8 meet (FHIR R4 §3.1.0.1.10), in lower case. It
 * may be empty (RFC 9110 §5.6.6), and `utf8` is a name of UTF-8 (WHATWG Encoding §4.2).
 */
export const isMet = (parameter: string): boolean =>
  /^(?:charset\s*=\s*"?utf-?8"?|fhirversion\s*=\s*"?4\.0(?:\.\d)?"?)?$/u.test(parameter.trim());
