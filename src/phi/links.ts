import { isObject, textAt, valuesAt, type JsonObject } from "#fhir/json/json";
import { parseReference, type FhirBase } from "#fhir/r4/reference";

/**
 * The local resources that a resource refers to at these paths, as `Type/id`. `base`: the FHIR base for which
 * the resource was written.
 */
export function referredAt(
  resource: JsonObject,
  paths: readonly (readonly string[])[],
  base: FhirBase,
): ReadonlySet<string> {
  const references = paths
    .flatMap((path) => valuesAt(resource, path))
    .flatMap((value) => (isObject(value) ? (textAt(value, "reference") ?? []) : value))
    .flatMap((text) => (typeof text === "string" ? parseReference(text, base) : []));
  return new Set(
    references.flatMap((reference) =>
      reference.kind === "local" ? [`${reference.type}/${reference.id}`] : [],
    ),
  );
}
