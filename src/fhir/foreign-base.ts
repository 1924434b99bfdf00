import { isObject, property, textAt, valuesAt, type Json } from "#fhir/json/json";
import { linkBelow } from "./origin-link.ts";
import type { FhirBase } from "#fhir/r4/reference";

/**
 * True if a CapabilityStatement (`implementation.url`) or a page of a list (`link`) names a FHIR base
 * outside this list.
 */
export function namesForeignBase(answer: Json, base: FhirBase): boolean {
  if (!isObject(answer)) return false;
  const implementation = property(answer, "implementation");
  const named = isObject(implementation)
    ? [textAt(implementation, "url")]
    : valuesAt(answer, ["link", "url"]);
  return named.some(
    (url) => typeof url === "string" && /^https?:\/\//iu.test(url) && linkBelow(base, url) === undefined,
  );
}
