import { elementsOf, isPrimitive, isResourceType, type R4Element } from "#fhir/r4/elements";
import type { JsonObject } from "#fhir/json/json";
import { isInSlice } from "./coding.ts";
import { dataAbsentReason, requiredOf, type RequiredElement } from "./masked.ts";
import type { Slice } from "./element-path.ts";
import { showsAll, isNothing, showsNothing, shownBy, union, type Shown } from "./shown.ts";

/** What is shown of an object of one R4 type, ready for one pass over it. Compiled when first met. */
export interface ObjectView {
  /** R4 type, or path of a backbone element. */
  readonly type: string;
  /** Nothing that R4 knows is hidden below it, extensions aside. */
  readonly everything: boolean;
  /**
   * By JSON name; what is missing is hidden. Extensions, `implicitRules` and `resourceType` are not among
   * them.
   */
  readonly elements: ReadonlyMap<string, ElementView>;
  readonly extensions: ExtensionList;
  readonly required: readonly RequiredElement[];
}

export type ElementView =
  | { readonly kind: "primitive"; readonly type: string; readonly repeats: boolean }
  /** `deceasedDateTime`, of which only that it is there may be told: as `deceasedBoolean: true`. */
  | { readonly kind: "deceased" }
  | ({ readonly kind: "object"; readonly type: string; readonly repeats: boolean } & SlicedView)
  /**
   * A whole resource inside (contained, Bundle.entry.resource, Parameters.parameter.resource): cut by the
   * rule of its own type.
   */
  | { readonly kind: "resource"; readonly repeats: boolean };

export interface SlicedView {
  /** Of an item in no slice; `undefined`: such an item is dropped. */
  readonly others: ObjectView | undefined;
  readonly slices: readonly { readonly slice: Slice; readonly view: ObjectView }[];
  /** Of this item. */
  readonly viewOf: (item: JsonObject) => ObjectView | undefined;
}

/** The extensions that are shown, wherever their parent is. */
export interface ExtensionList {
  readonly all: boolean;
  /** By URL; a modifier extension is understood only when it is named here. */
  readonly urls: ReadonlySet<string>;
}

export const showsExtension = ({ all, urls }: ExtensionList, url: string): boolean =>
  all || urls.has(url) || url === dataAbsentReason;

/**
 * The view of a type that shows what a policy says, and the modifier elements of every visible parent (FHIR
 * R4 §2.1.0.11).
 */
export function compileView(type: string, shown: Shown, extensions: ExtensionList): ObjectView {
  return new Views(extensions).of(type, shown);
}

class Views {
  readonly #extensions: ExtensionList;
  readonly #whole = new Map<string, ObjectView>();

  constructor(extensions: ExtensionList) {
    this.#extensions = extensions;
  }

  of(type: string, shown: Shown): ObjectView {
    if (!shown.everything) return this.#make(type, shown);
    const settled = this.#whole.get(type) ?? this.#make(type, showsAll);
    this.#whole.set(type, settled);
    return settled;
  }

  #make(type: string, shown: Shown): ObjectView {
    // R4 types hold themselves (Extension, Questionnaire.item): what is below is compiled when it is met.
    const compile = () => this.#elements(type, shown);
    let elements: ReadonlyMap<string, ElementView> | undefined;
    return {
      type,
      everything: shown.everything,
      extensions: this.#extensions,
      required: requiredOf(type),
      get elements() {
        elements ??= compile();
        return elements;
      },
    };
  }

  #elements(type: string, shown: Shown): ReadonlyMap<string, ElementView> {
    const views = new Map<string, ElementView>();
    for (const element of elementsOf(type).values()) {
      if (apart.has(element.name)) continue;
      for (const form of element.forms) {
        const told = shownOf(type, element, form.name, shown);
        const view =
          told === "deceased"
            ? ({ kind: "deceased" } as const)
            : this.#element(form.type, element.repeats, told);
        if (view !== undefined) views.set(form.name, view);
      }
    }
    return views;
  }

  #element(type: string, repeats: boolean, shown: Shown): ElementView | undefined {
    if (isNothing(shown) && shown.slices.length === 0) return undefined;
    if (type === "Resource") return { kind: "resource", repeats };
    if (isPrimitive(type)) return shown.everything ? { kind: "primitive", type, repeats } : undefined;
    return { kind: "object", type, repeats, ...this.#sliced(type, shown) };
  }

  #sliced(type: string, shown: Shown): SlicedView {
    const base: Shown = { ...shown, slices: [] };
    const others = isNothing(base) ? undefined : this.of(type, base);
    const slices = shown.slices.map(({ slice, shown: own }) => ({
      slice,
      view: this.of(type, union(base, own)),
    }));
    if (slices.length === 0) return { others, slices, viewOf: () => others };
    const settled = new Map<string, ObjectView | undefined>([["", others]]);
    const viewOf = (item: JsonObject) => {
      const matched = shown.slices.filter(({ slice }) => isInSlice(item, slice));
      const key = matched.map((match) => shown.slices.indexOf(match)).join();
      if (!settled.has(key))
        settled.set(key, this.of(type, union(base, ...matched.map((match) => match.shown))));
      return settled.get(key);
    };
    return { others, slices, viewOf };
  }
}

// Decided by rules of their own, not by a view.
const apart: ReadonlySet<string> = new Set(["extension", "modifierExtension", "implicitRules"]);

/** What is shown of one form of an element: what the policy says, and what R4 makes implicit. */
function shownOf(type: string, element: R4Element, form: string, shown: Shown): Shown | "deceased" {
  if (shown.everything || (element.name === "id" && isResourceType(type))) return showsAll;
  const said = union(
    shown.elements.get(element.name) ?? showsNothing,
    form === element.name ? showsNothing : (shown.elements.get(form) ?? showsNothing),
  );
  if (!element.isModifier) return said;
  if (type === "Patient" && form === "deceasedDateTime") return said.everything ? said : "deceased";
  // The type of a link says whether this record was replaced; the other patient is shown only where a view
  // names it.
  if (type === "Patient" && element.name === "link")
    return union(said, shownBy([{ name: "type", slice: undefined }]));
  return showsAll;
}
