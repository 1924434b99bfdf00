import { isSameSystem } from "#fhir/code-system";
import { isArray, isObject, property, type Json, type JsonObject } from "#fhir/json/json";
import type { Slice } from "./element-path.ts";

/**
 * Whether a coded value (CodeableConcept, Coding, code, boolean, or a list of them) is one of `system|code`,
 * or of bare `code` for a plain code.
 */
export function isCodedAs(value: Json | undefined, codes: readonly string[]): boolean {
  return codesOf(value).some((code) => codes.includes(code));
}

/**
 * By what coded values are found: each `system|code`, and each bare `code` whatever its system is, as a token
 * search takes it (FHIR R4 §3.1.1.4.10).
 */
export function findersOf(values: readonly Json[]): ReadonlySet<string> {
  return new Set(
    values.flatMap(codesOf).flatMap((carried) => [carried, carried.slice(carried.lastIndexOf("|") + 1)]),
  );
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
 * Whether a value of this R4 type, or a list of them, may be one of these codes: so that a row that must not
 * be one is kept out when nobody can tell. Beyond {@link isCodedAs} it counts a code without a system, under
 * another name of its system or in another case, a Coding without a code, and what has not the type's form. A
 * CodeableConcept of text alone is none of them.
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

/** Whether an item belongs to a slice. One without a system or code belongs to none. */
export function isInSlice(item: Json, { by, values }: Slice): boolean {
  const carried = isObject(item) ? property(item, by) : undefined;
  return by === "system"
    ? typeof carried === "string" && values.includes(carried)
    : isCodedAs(carried, values);
}
