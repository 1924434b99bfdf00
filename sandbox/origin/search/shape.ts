import { err, ok, type Result } from "#kernel/result";
import type { CriterionRefusal } from "./criterion.ts";
import { field, items } from "../values.ts";
import type { Stored } from "../stored.ts";
import { structureOf } from "../validate.ts";

/** The part of each resource that is returned (R4 search.html#summary and #elements). */
export type Shape =
  | { readonly kind: "whole" }
  | { readonly kind: "summary" | "text" | "data" }
  /** Elements by name, or by type and name: `Patient.name`. */
  | { readonly kind: "elements"; readonly names: readonly string[] };

/** Reads `_summary` (but `count`) or `_elements`. */
export function readShape(name: "_summary" | "_elements", written: string): Result<Shape, CriterionRefusal> {
  if (name === "_elements")
    return ok({ kind: "elements", names: written.split(",").map((one) => one.trim()) });
  switch (written) {
    case "false":
      return ok({ kind: "whole" });
    case "true":
      return ok({ kind: "summary" });
    case "text":
    case "data":
      return ok({ kind: written });
    default:
      return err({ reason: "bad_value", text: "_summary can be true, text, data, count or false." });
  }
}

const always = ["resourceType", "id", "meta"];
const subsetted = { system: "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", code: "SUBSETTED" };

/**
 * A resource reduced to a shape and marked SUBSETTED; elements that R4 requires stay. `included`: the
 * resource is not a match, so `_elements` applies only with the name of its type.
 */
export function shaped(resource: Stored, shape: Shape, included = false): object {
  if (shape.kind === "whole") return resource;
  const wanted = keysOf(resource.resourceType, shape, included);
  if (wanted === undefined) return resource;
  const kept = Object.entries(resource).filter(([key]) => wanted(key.replace(/^_/u, "")));
  const { meta } = resource;
  return { ...Object.fromEntries(kept), meta: { ...meta, tag: [...items(field(meta, "tag")), subsetted] } };
}

/** Undefined: all keys. */
function keysOf(
  type: string,
  shape: Exclude<Shape, { kind: "whole" }>,
  included: boolean,
): ((key: string) => boolean) | undefined {
  const { elements, mandatoryProperties, summaryProperties } = structureOf(type);
  const inJson = (name: string) =>
    elements[`${name}[x]`]?.type.map(({ code }) => inChoice(name, code)) ?? [name];
  const keys = (names: Iterable<string>) => {
    const all = new Set([...always, ...[...names].flatMap(inJson)]);
    return (key: string) => all.has(key);
  };
  const required = mandatoryProperties ?? [];
  switch (shape.kind) {
    case "data":
      return (key) => key !== "text";
    case "text":
      return keys(["text", ...required]);
    case "summary":
      return keys([...(summaryProperties ?? []), ...required]);
    case "elements": {
      const own = shape.names
        .filter((name) => name.startsWith(`${type}.`))
        .map((name) => name.slice(type.length + 1));
      const shared = shape.names.filter((name) => !name.includes("."));
      if (included && own.length === 0) return undefined;
      return keys([...own, ...(included ? [] : shared), ...required]);
    }
  }
  return shape satisfies never;
}

const inChoice = (name: string, type: string): string =>
  `${name}${type.charAt(0).toUpperCase()}${type.slice(1)}`;
