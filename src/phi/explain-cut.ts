import { elementsOf } from "#fhir/elements";
import { isArray, isObject, textAt, type Json, type JsonObject } from "#fhir/json";
import { err, ok, type Result } from "#kernel/result";
import type { ResourceView } from "#policy/compile";
import type { ElementView, ObjectView } from "#policy/view";
import { cutResource, extensionView, siblingView, type CutContext, type CutRefusal } from "./redact.ts";

/** One place at which what leaves is not what was there. */
export interface CutChange {
  readonly kind: "removed" | "changed" | "added";
  /** With the positions of the resource before the cut; of what was added, after it. */
  readonly path: string;
  readonly why: string;
}

/** Cuts a resource and says of each place that the cut touched why: coarsest first, so of what left whole only the top. */
export function explainCut(
  resource: JsonObject,
  view: ResourceView,
  context: CutContext,
): Result<{ readonly after: JsonObject; readonly changes: readonly CutChange[] }, CutRefusal> {
  const cuts = new Map<JsonObject, JsonObject>();
  const cut = cutResource(resource, view, { ...context, note: (after, from) => void cuts.set(from, after) });
  if (!cut.ok) return err(cut.error);
  const after = cut.value.resource;
  return ok({ after, changes: new Walk(cuts, context).resource(resource, after, view, "") });
}

class Walk {
  readonly #cuts: ReadonlyMap<JsonObject, JsonObject>;
  readonly #context: CutContext;

  constructor(cuts: ReadonlyMap<JsonObject, JsonObject>, context: CutContext) {
    this.#cuts = cuts;
    this.#context = context;
  }

  resource(before: JsonObject, after: JsonObject, view: ResourceView, at: string): readonly CutChange[] {
    const subsetted: CutChange = {
      kind: "added",
      path: `${at}meta.tag`,
      why: "SUBSETTED: the view is not everything, whatever the resource held",
    };
    return [...this.#members(before, after, view.object, at), ...(view.subsetted ? [subsetted] : [])];
  }

  #members(before: JsonObject, after: JsonObject, view: ObjectView, at: string): readonly CutChange[] {
    const left = Object.entries(before).flatMap(([name, value]) => this.#member(name, value, after[name], view, at));
    const added = Object.keys(after).flatMap((name) => (Object.hasOwn(before, name) ? [] : this.#added(name, view, at)));
    return [...left, ...added];
  }

  #added(name: string, view: ObjectView, at: string): readonly CutChange[] {
    if (name === "meta" || (name === "tag" && view.type === "Meta")) return []; // SUBSETTED, which is told once
    const why = name === "deceasedBoolean" ? "the death is told, its time is not" : "masked: R4 requires it, and what is there is hidden";
    return [{ kind: "added", path: at + name, why }];
  }

  #member(name: string, before: Json, after: Json | undefined, view: ObjectView, at: string): readonly CutChange[] {
    const path = at + name;
    if (after === undefined) return [{ kind: "removed", path, why: whyHidden(name, view) }];
    const element = view.elements.get(name.replace(/^_/u, ""));
    if (!isArray(before)) return this.#value(name, before, after, element, view, path);
    const kept = isArray(after) ? after : [];
    return before.flatMap((item, index) => {
      const here = `${path}[${index}]`;
      const cut = isObject(item) ? this.#cuts.get(item) : kept.find((one) => one === item);
      const leaves = cut !== undefined && kept.includes(cut);
      return leaves
        ? this.#value(name, item, cut, element, view, here)
        : [{ kind: "removed", path: here, why: this.#whyItem(name, item, element, view) }];
    });
  }

  #value(name: string, before: Json, after: Json, element: ElementView | undefined, view: ObjectView, path: string): readonly CutChange[] {
    if (!isObject(before) || !isObject(after)) {
      return JSON.stringify(before) === JSON.stringify(after)
        ? []
        : [{ kind: "changed", path, why: "an address of the origin is not shown" }];
    }
    if (element?.kind === "resource") {
      const inside = this.#context.viewInside(before);
      return inside === undefined ? [] : this.resource(before, after, inside, `${path}.`);
    }
    const below = viewBelow(name, before, element, view);
    return below === undefined ? [] : this.#members(before, after, below, `${path}.`);
  }

  #whyItem(name: string, item: Json, element: ElementView | undefined, view: ObjectView): string {
    if (name === "extension") return "no rule that reaches this row lists its URL";
    if (element?.kind === "resource" && isObject(item)) {
      const type = textAt(item, "resourceType") ?? "";
      return this.#context.viewInside(item) === undefined
        ? `no rule and scope to read ${type} reaches it`
        : "nothing that is left refers to it";
    }
    if (element?.kind === "object" && isObject(item) && element.viewOf(item) === undefined)
      return "it is in none of the slices that are shown";
    return element === undefined ? whyHidden(name, view) : "nothing of it is shown";
  }
}

function viewBelow(name: string, item: JsonObject, element: ElementView | undefined, view: ObjectView): ObjectView | undefined {
  if (name === "extension" || name === "modifierExtension") return extensionView;
  if (name.startsWith("_")) return siblingView(view.extensions);
  return element?.kind === "object" ? element.viewOf(item) : undefined;
}

function whyHidden(name: string, view: ObjectView): string {
  const bare = name.replace(/^_/u, "");
  const element = view.elements.get(bare);
  if (name === "extension") return "no rule that reaches this row lists its URL";
  if (element?.kind === "deceased") return "the death is told, its time is not";
  if (element?.kind === "resource") return "no rule and scope to read it reaches it";
  if (element !== undefined)
    return name === bare ? "nothing of it is shown, or it means what does not leave" : "no rule that reaches this row lists its extensions";
  if (view.type === "Bundle" && name === "total") return "it counts what was dropped";
  const known = [...elementsOf(view.type).values()].some(({ forms }) => forms.some((form) => form.name === bare));
  return known ? "no rule that reaches this row shows it" : "R4 does not know it";
}
