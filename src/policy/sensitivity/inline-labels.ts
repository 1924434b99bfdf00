import { inlineLabel } from "#fhir/json/facts";
import { isArray, isObject, property, type Json } from "#fhir/json/json";
import { isResourceType } from "#fhir/r4/elements";

/** Answers whether a part of a resource is an inline label (DS4P `extension-inline-sec-label`). */
export const isInlineLabel = (value: Json): boolean =>
  isObject(value) && property(value, "url") === inlineLabel;

/** The labels inside a part of a resource, at any depth; null for an unreadable label. */
export function labelsInside(value: Json): readonly Json[] {
  if (isArray(value)) return value.flatMap(labelsInside);
  if (!isObject(value)) return [];
  if (isInlineLabel(value)) return [property(value, "valueCoding") ?? null];
  return Object.keys(value).flatMap((name) => labelsInside(value[name] ?? null));
}

/** The labels that an element has itself, by its extensions. */
export const labelsOn = (extensions: Json | undefined): readonly Json[] =>
  extensions !== undefined && isArray(extensions)
    ? extensions.filter(isInlineLabel).flatMap(labelsInside)
    : [];

/**
 * Types with elements that leave one by one: a resource and a backbone element are made of elements of their own.
 * Each further datatype leaves whole or not at all.
 */
export const isDivisible = (type: string): boolean =>
  type === "HumanName" || type === "Address" || type.includes(".") || isResourceType(type);
