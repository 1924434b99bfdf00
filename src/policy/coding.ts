import { isArray, isObject, property, type Json } from "#fhir/json";
import type { Slice } from "./path.ts";

/** Whether a coded value (CodeableConcept, Coding, code, boolean, or a list of them) is one of `system|code`, or of bare `code` for a plain code. */
export function isCodedAs(value: Json | undefined, codes: readonly string[]): boolean {
  return codesOf(value).some((code) => codes.includes(code));
}

function codesOf(value: Json | undefined): readonly string[] {
  if (value === undefined) return [];
  if (isArray(value)) return value.flatMap(codesOf);
  if (typeof value === "string" || typeof value === "boolean") return [String(value)];
  if (!isObject(value)) return [];
  const coding = property(value, "coding");
  if (coding !== undefined) return codesOf(coding);
  const [system, code] = [property(value, "system"), property(value, "code")];
  return typeof system === "string" && typeof code === "string" ? [`${system}|${code}`] : [];
}

/** Whether an item belongs to a slice. One without a system or code belongs to none. */
export function isInSlice(item: Json, { by, values }: Slice): boolean {
  const carried = isObject(item) ? property(item, by) : undefined;
  return by === "system" ? typeof carried === "string" && values.includes(carried) : isCodedAs(carried, values);
}
