import { elementsOf, isPrimitive, type R4Element } from "#fhir/r4/elements";
import type { Json, JsonObject } from "#fhir/json/json";
import { oneOf } from "./invariants.ts";

export const dataAbsentReason = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/**
 * The only permitted placeholder for a hidden element (FHIR R4 extension-data-absent-reason, code `masked`).
 */
export const masked: JsonObject = { extension: [{ url: dataAbsentReason, valueCode: "masked" }] };

/**
 * An element that R4 requires: if none of `names` is left, `value` is put at `at`, so that the result stays
 * valid.
 */
export interface RequiredElement {
  readonly names: readonly string[];
  readonly at: string;
  readonly value: Json;
}

/**
 * The required elements of a type (or backbone path). They are equal for every instance, so that a
 * placeholder reveals nothing about an instance.
 */
export function requiredOf(type: string): readonly RequiredElement[] {
  const elements = elementsOf(type);
  const groups = Object.hasOwn(oneOf, type) ? (oneOf[type] ?? []) : [];
  const alone = [...elements.values()].filter((element) => element.required).map((element) => [element.name]);
  return [...alone, ...groups].flatMap((names) => {
    const members = names.map((name) => elements.get(name)).filter((element) => element !== undefined);
    const [first] = members;
    if (first === undefined) return [];
    return [{ names: members.flatMap(({ forms }) => forms.map(({ name }) => name)), ...placeholder(first) }];
  });
}

function placeholder({ forms, repeats }: R4Element): { at: string; value: Json } {
  const [{ name, type } = { name: "", type: "" }] = forms;
  const below = isPrimitive(type) ? [] : requiredOf(type);
  const value =
    below.length === 0 ? masked : Object.fromEntries(below.map((required) => [required.at, required.value]));
  return { at: isPrimitive(type) ? `_${name}` : name, value: repeats ? [value] : value };
}
