import { elementsOf, isPrimitive, isResourceType, type R4Element } from "#fhir/r4/elements";
import type { JsonObject } from "#fhir/json/json";
import { isInSlice } from "./coding.ts";
import { dataAbsentReason, requiredOf, type RequiredElement } from "./masked.ts";
import type { Slice } from "./element-path.ts";
import { showsAll, isNothing, showsNothing, shownBy, union, type Shown } from "./shown.ts";

/** The view of an object of one R4 type, compiled on first use, for one pass over the object. */
export interface ObjectView {
  /** R4 type, or path of a backbone element. */
  readonly type: string;
  /** R4 knows no element below that is hidden, extensions aside. */
  readonly everything: boolean;
  /**
   * By JSON name; a missing name is hidden. Extensions, `implicitRules` and `resourceType` are not in the
   * map.
   */
  readonly elements: ReadonlyMap<string, ElementView>;
  readonly extensions: ExtensionList;
  readonly required: readonly RequiredElement[];
}

export type ElementView =
  | ({ readonly kind: "primitive"; readonly type: string } & Occurrence)
  /** `deceasedDateTime`, if only its presence may be shown: as `deceasedBoolean: true`. */
  | { readonly kind: "deceased" }
  | ({ readonly kind: "object"; readonly type: string } & Occurrence & SlicedView)
  /**
   * A whole nested resource (contained, Bundle.entry.resource, Parameters.parameter.resource): redacted by
   * the rules of its own type.
   */
  | { readonly kind: "resource"; readonly repeats: boolean };

interface Occurrence {
  readonly repeats: boolean;
  /** A modifier before a form: a value of which no part is shown is masked, so that no modifier is lost in silence. */
  readonly isMarked: boolean;
}

export interface SlicedView {
  /** The view of an item in no slice; `undefined`: the item is dropped. */
  readonly others: ObjectView | undefined;
  readonly slices: readonly { readonly slice: Slice; readonly view: ObjectView }[];
  /** The view of this item. */
  readonly viewOf: (item: JsonObject) => ObjectView | undefined;
}

/** The extensions that are shown wherever their parent is shown. */
export interface ExtensionList {
  readonly all: boolean;
  /** By URL; a modifier extension is understood only if it is listed here. */
  readonly urls: ReadonlySet<string>;
  /**
   * A form (45 CFR 164.514) follows: no modifier extension is understood, even one of `urls`, and the form puts the
   * placeholders, where anything leaves beside them.
   */
  readonly beforeForm?: boolean;
}

export const showsExtension = ({ all, urls }: ExtensionList, url: string): boolean =>
  all || urls.has(url) || url === dataAbsentReason;

/**
 * The view of a type that shows the elements of the policy and the modifier elements of every visible parent
 * (FHIR R4 §2.1.0.11).
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
    // R4 types are recursive (Extension, Questionnaire.item): the views below are compiled on first use.
    const compile = () => this.#elements(type, shown);
    let elements: ReadonlyMap<string, ElementView> | undefined;
    return {
      type,
      everything: shown.everything,
      extensions: this.#extensions,
      required: this.#extensions.beforeForm === true ? [] : requiredOf(type),
      get elements() {
        elements ??= compile();
        return elements;
      },
    };
  }

  #elements(type: string, shown: Shown): ReadonlyMap<string, ElementView> {
    const views = new Map<string, ElementView>();
    for (const element of elementsOf(type).values()) {
      if (ruledApart.has(element.name)) continue;
      for (const form of element.forms) {
        const shownForm = shownOf(type, element, form.name, shown);
        const view =
          shownForm === "deceased"
            ? ({ kind: "deceased" } as const)
            : this.#element(form.type, element, shownForm);
        if (view !== undefined) views.set(form.name, view);
      }
    }
    return views;
  }

  #element(type: string, { repeats, isModifier }: R4Element, shown: Shown): ElementView | undefined {
    const isMarked = isModifier && this.#extensions.beforeForm === true;
    if (isNothing(shown) && shown.slices.length === 0) return undefined;
    if (type === "Resource") return { kind: "resource", repeats };
    if (isPrimitive(type))
      return shown.everything ? { kind: "primitive", type, repeats, isMarked } : undefined;
    return { kind: "object", type, repeats, isMarked, ...this.#sliced(type, shown) };
  }

  #sliced(type: string, shown: Shown): SlicedView {
    const base: Shown = { ...shown, slices: [] };
    const others = isNothing(base) ? undefined : this.of(type, base);
    const slices = shown.slices.map(({ slice, shown: sliceShown }) => ({
      slice,
      view: this.of(type, union([base, sliceShown])),
    }));
    if (slices.length === 0) return { others, slices, viewOf: () => others };
    const settled = new Map<string, ObjectView | undefined>([["", others]]);
    const viewOf = (item: JsonObject) => {
      const matched = shown.slices.filter(({ slice }) => isInSlice(item, slice));
      const key = matched.map((match) => shown.slices.indexOf(match)).join();
      if (!settled.has(key))
        settled.set(key, this.of(type, union([base, ...matched.map((match) => match.shown)])));
      return settled.get(key);
    };
    return { others, slices, viewOf };
  }
}

// Elements that separate rules decide about, not a view.
const ruledApart: ReadonlySet<string> = new Set(["extension", "modifierExtension", "implicitRules"]);

/** The shown part of one form of an element: by the policy, and by R4's implicit rules. */
function shownOf(type: string, element: R4Element, form: string, shown: Shown): Shown | "deceased" {
  if (shown.everything || (element.name === "id" && isResourceType(type))) return showsAll;
  const byPolicy = union([
    shown.elements.get(element.name) ?? showsNothing,
    form === element.name ? showsNothing : (shown.elements.get(form) ?? showsNothing),
  ]);
  if (!element.isModifier) return byPolicy;
  if (type === "Patient" && form === "deceasedDateTime") return byPolicy.everything ? byPolicy : "deceased";
  // The type of a link says whether this record was replaced; the linked patient is shown only if a view
  // names it.
  if (type === "Patient" && element.name === "link")
    return union([byPolicy, shownBy([{ name: "type", slice: undefined }])]);
  return showsAll;
}
