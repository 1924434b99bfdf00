import { r4Elements, r4OpenTypes } from "./elements.gen.ts";
import { r4ResourceTypes } from "./types.gen.ts";

/** A resource type of FHIR R4 (4.0.1), the concrete types only. */
export type ResourceType = (typeof r4ResourceTypes)[number];

/** An element of an R4 type, as in its StructureDefinition. */
export interface R4Element {
  /** `birthDate`; a choice keeps its `[x]`. */
  readonly name: string;
  /**
   * Its names in JSON with the type of each: a single name, or a name per type of a choice (`valueQuantity`
   * → `Quantity`).
   */
  readonly forms: readonly { readonly name: string; readonly type: string }[];
  readonly required: boolean;
  readonly repeats: boolean;
  /** Changes the meaning of its parent (FHIR R4 §2.1.0.11): never lost silently. */
  readonly isModifier: boolean;
}

const resourceTypes: ReadonlySet<string> = new Set(r4ResourceTypes);
export const isResourceType = (text: string): text is ResourceType => resourceTypes.has(text);

/**
 * Only primitive types begin with a small letter (FHIR R4 §2.24.0). The type of a backbone is its path.
 */
export const isPrimitive = (type: string): boolean => /^[a-z]/u.test(type);

const known = new Map<string, ReadonlyMap<string, R4Element>>();

/**
 * The elements of an R4 type or backbone path (`Patient`, `HumanName`, `Patient.contact`) by name; empty
 * for an unknown type.
 */
export function elementsOf(path: string): ReadonlyMap<string, R4Element> {
  const settled = known.get(path);
  if (settled !== undefined) return settled;
  const text = Object.hasOwn(r4Elements, path) ? r4Elements[path] : undefined;
  const elements = new Map<string, R4Element>();
  for (const part of text?.split(" ") ?? []) {
    if (part.startsWith("<"))
      for (const [name, element] of elementsOf(part.slice(1))) elements.set(name, element);
    else elements.set(nameOf(part), readElement(path, part));
  }
  known.set(path, elements);
  return elements;
}

const nameOf = (text: string) => text.slice(0, text.indexOf(":"));

function readElement(parent: string, text: string): R4Element {
  const {
    name = "",
    types = "",
    cardinality = "",
    modifier,
  } = /^(?<name>[^:]+):(?<types>.+?)(?<cardinality>[1*+]?)(?<modifier>!?)$/u.exec(text)?.groups ?? {};
  return {
    name,
    forms: formsOf(parent, name, types),
    required: cardinality === "1" || cardinality === "+",
    repeats: cardinality === "*" || cardinality === "+",
    isModifier: modifier === "!",
  };
}

function formsOf(parent: string, name: string, types: string): R4Element["forms"] {
  if (!name.endsWith("[x]")) {
    const type = types === "." ? `${parent}.${name}` : types.replace("#", "");
    return [{ name, type }];
  }
  const stem = name.slice(0, -"[x]".length);
  const list = types === "*" ? r4OpenTypes : types.split("|");
  return list.map((type) => ({ name: stem + type.charAt(0).toUpperCase() + type.slice(1), type }));
}
