import { r4Elements, r4ElementTypes, r4OpenTypes } from "./elements.gen.ts";
import type { ResourceType } from "./types.gen.ts";

export type { ResourceType } from "./types.gen.ts";

/** Every resource type of R4: the types whose base is Resource or DomainResource. */
export const r4ResourceTypes = Array.from(
  r4Elements.matchAll(/\n(\w+) (?!<(?!Resource ))/gu),
  ([, type]) => type as ResourceType, // the union is made of the same definitions
);

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
  /** The number of the list that a required binding names; undefined without one. */
  readonly list: number | undefined;
  /** Its Quantity has no comparator (profile SimpleQuantity). */
  readonly isSimple: boolean;
}

const resourceTypes: ReadonlySet<string> = new Set(r4ResourceTypes);
export const isResourceType = (text: string): text is ResourceType => resourceTypes.has(text);

/**
 * Only primitive types begin with a small letter (FHIR R4 §2.24.0). The type of a backbone is its path.
 */
export const isPrimitive = (type: string): boolean => /^[a-z]/u.test(type);

type Elements = ReadonlyMap<string, R4Element>;

const known = new Map<string, Elements>();
const none: Elements = new Map();

/**
 * The elements of an R4 type or backbone path (`Patient`, `HumanName`, `Patient.contact`) by name; empty
 * for an unknown type. The first use of a type reads its line, with its backbones.
 */
export function elementsOf(path: string): Elements {
  const settled = known.get(path);
  if (settled !== undefined) return settled;
  const dot = path.indexOf(".");
  const type = dot < 0 ? path : path.slice(0, dot);
  if (!known.has(type)) {
    const start = /^[A-Za-z]+$/u.test(type) ? r4Elements.indexOf(`\n${type} `) : -1;
    if (start < 0) return none;
    readLine(type, r4Elements.slice(start + type.length + 2, r4Elements.indexOf("\n", start + 1)));
  }
  return known.get(path) ?? none;
}

/** Reads the elements of a type and of its backbones. */
function readLine(type: string, line: string): void {
  const outer: { readonly path: string; readonly elements: Map<string, R4Element> }[] = [];
  let at = { path: type, elements: new Map<string, R4Element>() };
  let [last, isFirst] = ["", true];
  known.set(type, at.elements);
  for (const [word] of line.matchAll(/[()]|[^ ()]+/gu)) {
    if (word === "(") {
      outer.push(at);
      at = { path: `${at.path}.${last}`, elements: new Map() };
      known.set(at.path, at.elements);
      isFirst = true;
    } else if (word === ")") {
      at = outer.pop() ?? at;
    } else {
      const namesBase = word.startsWith("<");
      if (isFirst) {
        const base = namesBase ? word.slice(1) : outer.length === 0 ? "DomainResource" : "BackboneElement";
        for (const [name, element] of elementsOf(base)) at.elements.set(name, element);
        isFirst = false;
      }
      if (namesBase) continue;
      const element = readElement(at.path, word);
      last = element.name;
      at.elements.set(last, element);
    }
  }
}

function readElement(parent: string, text: string): R4Element {
  const [, name = "", types = ".", cardinality = "", modifier, list] =
    /^(\w+?(?:\[x\])?)(?::?([A-T]|(?<=:).+?))?([1*+]?)(!?)(?:=(\w+))?$/u.exec(text) ?? [];
  const named = typesOf(types);
  return {
    name,
    forms: formsOf(parent, name, named.map(plainType)),
    required: cardinality === "1" || cardinality === "+",
    repeats: cardinality === "*" || cardinality === "+",
    isModifier: modifier === "!",
    list: list === undefined ? undefined : Number.parseInt(list, 36),
    isSimple: named.includes(simple),
  };
}

const simple = "SimpleQuantity";
const plainType = (type: string): string => (type === simple ? "Quantity" : type);

function formsOf(parent: string, name: string, types: readonly string[]): R4Element["forms"] {
  if (!name.endsWith("[x]"))
    return types.map((type) => ({ name, type: type === "." ? `${parent}.${name}` : type }));
  const stem = name.slice(0, -"[x]".length);
  return types.map((type) => ({ name: stem + type.charAt(0).toUpperCase() + type.slice(1), type }));
}

/** The types that a word of the table stands for: `*`, a capital letter, or their names. */
function typesOf(text: string): readonly string[] {
  if (text === "*") return r4OpenTypes;
  const letter = text.length === 1 ? r4ElementTypes[text.charCodeAt(0) - 65] : undefined;
  return (letter ?? text).replace("#", "").split("|");
}

/** The types of the elements at a path; empty if R4 has no such path. */
export function typesAt(type: string, [step, ...below]: readonly string[]): readonly string[] {
  if (step === undefined) return [type];
  const elements = elementsOf(type);
  const forms =
    elements.get(step)?.forms ??
    [...elements.values()].flatMap((element) => element.forms.filter(({ name }) => name === step));
  return forms.flatMap((form) => typesAt(form.type, below));
}
