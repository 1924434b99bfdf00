import { isArray, isObject, property, type Json } from "#fhir/json/json";
import type { Slice } from "./element-path.ts";

/**
 * The keys that a token search finds coded values by: each `system|code`, and each bare `code` of any system
 * (FHIR R4 §3.1.1.4.10).
 */
export function findersOf(values: readonly Json[]): ReadonlySet<string> {
  return new Set(values.flatMap(codesOf).flatMap((code) => [code, code.slice(code.lastIndexOf("|") + 1)]));
}

/** The codes of a coded value (CodeableConcept, Coding, code, boolean, or a list of them): `system|code`, or a plain code. */
export function codesOf(value: Json | undefined): readonly string[] {
  if (value === undefined) return [];
  if (isArray(value)) return value.flatMap(codesOf);
  if (typeof value === "string" || typeof value === "boolean") return [String(value)];
  if (!isObject(value)) return [];
  const coding = property(value, "coding");
  if (coding !== undefined) return codesOf(coding);
  const [system, code] = [property(value, "system"), property(value, "code")];
  return typeof system === "string" && typeof code === "string" ? [`${system}|${code}`] : [];
}

/** Answers whether an item belongs to a slice. An item without a system or code belongs to no slice. */
export function isInSlice(item: Json, { by, values }: Slice): boolean {
  const code = isObject(item) ? property(item, by) : undefined;
  return by === "system"
    ? typeof code === "string" && values.includes(code)
    : codesOf(code).some((each) => values.includes(each));
}
