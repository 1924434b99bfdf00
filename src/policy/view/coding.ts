import { isSameSystem } from "#fhir/code-system";
import { isArray, isObject, property, type Json, type JsonObject } from "#fhir/json/json";
import type { Slice } from "./element-path.ts";

/**
 * Answers whether a coded value (CodeableConcept, Coding, code, boolean, or a list of them) is one of the
 * codes: `system|code`, or a bare `code` for a plain code.
 */
export function isCodedAs(value: Json | undefined, codes: readonly string[]): boolean {
  return codesOf(value).some((code) => codes.includes(code));
}

/**
 * The keys that a token search finds coded values by: each `system|code`, and each bare `code` of any system
 * (FHIR R4 §3.1.1.4.10).
 */
export function findersOf(values: readonly Json[]): ReadonlySet<string> {
  return new Set(values.flatMap(codesOf).flatMap((code) => [code, code.slice(code.lastIndexOf("|") + 1)]));
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

/**
 * Answers whether a value of this R4 type, or a list of them, may be one of these codes: a row that must not
 * have a code is kept out in doubt. Beyond {@link isCodedAs} it counts a code without a system, a code under
 * an alias of its system or in different case, a Coding without a code, and a value of the wrong form. A
 * CodeableConcept of text alone has no code.
 */
export function mayBeCodedAs(value: Json, type: string, codes: readonly string[]): boolean {
  if (isArray(value)) return value.some((item) => mayBeCodedAs(item, type, codes));
  if (type !== "CodeableConcept" && type !== "Coding") {
    return (
      (typeof value !== "string" && typeof value !== "boolean") ||
      codes.some((code) => isSameCode(String(value), code))
    );
  }
  if (!isObject(value)) return true;
  if (type === "CodeableConcept") {
    const coding = property(value, "coding");
    return coding === undefined ? holdsCoding(value) : mayBeCodedAs(coding, "Coding", codes);
  }
  const [system, code] = [property(value, "system"), property(value, "code")];
  if (
    (system !== undefined && typeof system !== "string") ||
    (code !== undefined && typeof code !== "string")
  )
    return true;
  return codes.some((listed) => {
    const [listedSystem = "", listedCode = ""] = listed.split("|");
    return (
      (system === undefined || isSameSystem(system, listedSystem)) &&
      (code === undefined || isSameCode(code, listedCode))
    );
  });
}

const holdsCoding = (concept: JsonObject): boolean =>
  ["system", "code", "_coding"].some((name) => property(concept, name) !== undefined);
const isSameCode = (a: string, b: string): boolean => a.trim().toLowerCase() === b.toLowerCase();

/** Answers whether an item belongs to a slice. An item without a system or code belongs to no slice. */
export function isInSlice(item: Json, { by, values }: Slice): boolean {
  const code = isObject(item) ? property(item, by) : undefined;
  return by === "system" ? typeof code === "string" && values.includes(code) : isCodedAs(code, values);
}
