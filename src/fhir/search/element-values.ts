import { isArray, isObject, property, type Json, type JsonObject } from "#fhir/json/json";

/**
 * The values that a search parameter reads at one of its paths. A step with `[x]` is every form of the choice:
 * `effective[x]` reads `effectiveDateTime` and `effectivePeriod`.
 */
export function elementValues(value: Json | undefined, path: readonly string[]): readonly Json[] {
  if (value === undefined || value === null) return [];
  if (isArray(value)) return value.flatMap((item) => elementValues(item, path));
  const [first, ...below] = path;
  if (first === undefined) return [value];
  if (!isObject(value)) return [];
  return namesOf(value, first).flatMap((name) => elementValues(property(value, name), below));
}

function namesOf(parent: JsonObject, step: string): readonly string[] {
  if (!step.endsWith("[x]")) return [step];
  const choice = step.slice(0, -"[x]".length);
  return Object.keys(parent).filter(
    (name) => name.startsWith(choice) && /^[A-Z]/u.test(name.slice(choice.length)),
  );
}
