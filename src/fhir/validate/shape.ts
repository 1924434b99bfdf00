import { type R4Element, elementsOf, isPrimitive, isResourceType, r4ResourceTypes } from "#fhir/r4/elements";
import { r4OpenTypes } from "#fhir/r4/elements.gen";
import { r4Codes } from "#fhir/r4/structure.gen";

/** The permitted value under a name of a JSON object, by R4's definition of its type. */
export interface Slot {
  readonly element: R4Element;
  /** The element's name in FHIRPath: for a choice, without `[x]` and without its type. */
  readonly step: string;
  /** An R4 type or a backbone's path. */
  readonly type: string;
  readonly isPrimitive: boolean;
  /**
   * True if a sibling `_name` may have its id and extensions: false for XML attributes (`id`,
   * `Extension.url`) and XHTML.
   */
  readonly hasSibling: boolean;
  readonly binding: ValueSetBinding | undefined;
  /** A Quantity without a comparator. */
  readonly isSimple: boolean;
}

/** The codes of a required binding. */
export interface ValueSetBinding {
  /** The name of the list: `observation-status`. */
  readonly list: string;
  /** A code, or `system|code` if the bound element is a CodeableConcept. */
  readonly codes: ReadonlySet<string>;
}

/** The members of an R4 type or backbone as a JSON object. */
export interface TypeShape {
  readonly slots: ReadonlyMap<string, Slot>;
  readonly required: readonly R4Element[];
  readonly hasChoices: boolean;
}

// Filled type by type as bodies need them: a worker that never sees a body spends no time on it. Its keys
// are R4's own names.
const known = new Map<string, TypeShape>();

/** The shape of a type that R4 defines. */
export function typeShapeOf(type: string): TypeShape {
  const settled = known.get(type);
  if (settled !== undefined) return settled;
  const shape = compile(type);
  known.set(type, shape);
  return shape;
}

function compile(type: string): TypeShape {
  const elements = [...elementsOf(type).values()];
  const slots = elements.flatMap((element) => {
    const shared = {
      element,
      step: element.name.replace("[x]", ""),
      binding: element.list === undefined ? undefined : bindingOf(element.list),
      isSimple: element.isSimple,
    };
    return element.forms.map((form): [string, Slot] => {
      const slotType = typeOf(type, element.name, form.type);
      const isPlain = isPrimitive(slotType);
      return [
        form.name,
        {
          ...shared,
          type: slotType,
          isPrimitive: isPlain,
          hasSibling: isPlain && !isAttribute(type, element.name),
        },
      ];
    });
  });
  return {
    slots: new Map(slots),
    required: elements.filter((element) => element.required),
    hasChoices: elements.some((element) => element.forms.length > 1),
  };
}

/**
 * R4's definitions call these types System.String; the pages of Resource and Extension state the real
 * types.
 */
function typeOf(parent: string, name: string, type: string): string {
  if (name === "id" && isResourceType(parent)) return "id";
  return parent === "Extension" && name === "url" ? "uri" : type;
}

const isAttribute = (parent: string, name: string) =>
  name === "id" || (parent === "Extension" && name === "url") || (parent === "Narrative" && name === "div");

let texts: readonly string[] | undefined; // of the lists, by number
const lists = new Map<number, ValueSetBinding>();

function bindingOf(number: number): ValueSetBinding {
  const settled = lists.get(number);
  if (settled !== undefined) return settled;
  texts ??= r4Codes.split("\n");
  const [list = "", ...words] = (texts[number] ?? "").split(" ");
  const codes = new Set<string>();
  let system = "";
  for (const word of words) {
    const types = word === "*" ? r4ResourceTypes : word === "+" ? r4OpenTypes : undefined;
    if (types !== undefined) for (const type of types) codes.add(type);
    else if (word.includes(":")) system = `${word}|`; // a system's URL; no code in R4's lists has a colon
    else codes.add(system + word);
  }
  const binding = { list, codes };
  lists.set(number, binding);
  return binding;
}
