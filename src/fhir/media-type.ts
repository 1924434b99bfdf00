/**
 * True for a parameter of a media type that this FHIR version and UTF-8 meet (FHIR R4 §3.1.0.1.10), in lower case. It
 * may be empty (RFC 9110 §5.6.6), and `utf8` is a name of UTF-8 (WHATWG Encoding §4.2).
 */
export const isMet = (parameter: string): boolean =>
  /^(?:charset\s*=\s*"?utf-?8"?|fhirversion\s*=\s*"?4\.0(?:\.\d)?"?)?$/u.test(parameter.trim());

// RFC 9110 §8.3.1. Another text is no media type, and a browser would guess.
const mediaType = /^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}(?:; ?[\w.+=-]{1,99})?$/u;

/** True for a media type with one parameter at most. */
export const isMediaType = (text: string): boolean => mediaType.test(text);
