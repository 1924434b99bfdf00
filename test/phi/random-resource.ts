import { type R4Element, elementsOf, isPrimitive, isResourceType, r4ResourceTypes } from "#fhir/r4/elements";
import type { Json, JsonObject } from "#fhir/json/json";
import { number } from "./branding.ts";

/** Bundle and Parameters are containers: their content is decided resource by resource, in separate tests. */
export const plainTypes = r4ResourceTypes.filter((type) => type !== "Bundle" && type !== "Parameters");

/** Numbers ≥ 0 and < 1 from a seed (mulberry32), so that a failure can be run again. */
export function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * A resource with the structure of R4 and meaningless values: always with required elements, sometimes with
 * optional elements and extensions.
 */
export function randomResource(type: string, roll: () => number): JsonObject {
  return { resourceType: type, id: "r1", ...members(type, roll, 0) };
}

const left = new Set(["resourceType", "contained", "modifierExtension", "implicitRules"]);

function members(type: string, roll: () => number, depth: number): Record<string, Json> {
  const out: Record<string, Json> = {};
  for (const element of elementsOf(type).values()) {
    if (left.has(element.name) || (element.name === "id" && isResourceType(type))) continue;
    const wanted =
      element.required || roll() < (element.name === "extension" ? 0.15 : depth === 0 ? 0.5 : 0.4 / depth);
    const [{ name, type: form } = { name: "", type: "" }] = [
      element.forms[Math.floor(roll() * element.forms.length)],
    ];
    if (!wanted || form === "Resource" || (depth > 5 && !element.required)) continue;
    const value = list(
      element,
      () => (isPrimitive(form) ? scalar(form) : members(form, roll, depth + 1)),
      roll,
    );
    if (isPrimitive(form) || hasValue(value)) out[name] = value;
    if (isPrimitive(form) && name !== "id" && roll() < 0.15)
      out[`_${name}`] = list(
        element,
        () => ({ id: "x", extension: [{ url: "urn:x", valueString: "x" }] }),
        () => 0,
      );
  }
  return out;
}

const list = (element: R4Element, make: () => Json, roll: () => number): Json =>
  element.repeats ? Array.from({ length: 1 + Math.floor(roll() * 2) }, make) : make();

const hasValue = (value: Json): boolean =>
  JSON.stringify(value) !== "{}" && !JSON.stringify(value).includes("[{}");

function scalar(type: string): Json {
  if (type === "boolean") return true;
  return /^(?:decimal|integer|positiveInt|unsignedInt)$/u.test(type) ? number("1.0") : "x";
}
