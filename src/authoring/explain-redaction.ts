import type { Nesting } from "#fhir/r4/compartment";
import { elementsOf } from "#fhir/r4/elements";
import { isArray, isObject, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { err, ok, type Result } from "#kernel/result";
import type { ResourceView } from "#policy/compile";
import type { ElementView, ObjectView } from "#policy/view/view";
import {
  redactResource,
  extensionViewOf,
  siblingView,
  type RedactContext,
  type RedactRefusal,
} from "#phi/redact";

/** A place where the released resource differs from the stored resource. */
export interface RedactionChange {
  readonly kind: "removed" | "changed" | "added";
  /** With the indices of the original resource, also for an added element. */
  readonly path: string;
  readonly why: string;
}

/**
 * Redacts a resource and explains each change, coarsest first: for an element that was removed as a whole,
 * only its top.
 */
export function explainRedaction(
  resource: JsonObject,
  view: ResourceView,
  context: RedactContext,
): Result<{ readonly after: JsonObject; readonly changes: readonly RedactionChange[] }, RedactRefusal> {
  const redacted = new Map<JsonObject, JsonObject>();
  const released = redactResource(resource, view, {
    ...context,
    note: (after, from) => void redacted.set(from, after),
  });
  if (!released.ok) return err(released.error);
  const after = released.value.resource;
  return ok({ after, changes: new Walk(redacted, context).resource(resource, after, view, "") });
}

class Walk {
  readonly #redacted: ReadonlyMap<JsonObject, JsonObject>;
  readonly #context: RedactContext;

  constructor(redacted: ReadonlyMap<JsonObject, JsonObject>, context: RedactContext) {
    this.#redacted = redacted;
    this.#context = context;
  }

  resource(
    before: JsonObject,
    after: JsonObject,
    view: ResourceView,
    at: string,
  ): readonly RedactionChange[] {
    const subsetted: RedactionChange = {
      kind: "added",
      path: `${at}meta.tag`,
      why: "SUBSETTED: the view does not show everything, whatever the resource has",
    };
    return [...this.#members(before, after, view.object, at), ...(view.subsetted ? [subsetted] : [])];
  }

  #members(before: JsonObject, after: JsonObject, view: ObjectView, at: string): readonly RedactionChange[] {
    const remaining = Object.entries(before).flatMap(([name, value]) =>
      this.#member(name, value, after[name], view, at),
    );
    const added = Object.keys(after).flatMap((name) =>
      Object.hasOwn(before, name) ? [] : this.#added(name, view, at),
    );
    return [...remaining, ...added];
  }

  #added(name: string, view: ObjectView, at: string): readonly RedactionChange[] {
    // SUBSETTED, which is listed once
    if (name === "meta" || (name === "tag" && view.type === "Meta")) return [];
    if (name === "deceasedBoolean")
      return [{ kind: "added", path: at + name, why: "only the fact of death is shown, not its time" }];
    return [maskedAt(at + name)];
  }

  #member(
    name: string,
    before: Json,
    after: Json | undefined,
    view: ObjectView,
    at: string,
  ): readonly RedactionChange[] {
    const path = at + name;
    const element = view.elements.get(name.replace(/^_/u, ""));
    if (after === undefined && !(isArray(before) && element?.kind === "resource")) {
      const isOfNoSlice = isArray(before) && before.every((item) => isInNoSlice(item, element));
      return [{ kind: "removed", path, why: isOfNoSlice ? inNoSlice : whyHidden(name, view) }];
    }
    if (isArray(before)) return this.#items(name, before, isArray(after) ? after : [], view, path);
    if (after === undefined) return [];
    if (name === "meta" && isObject(before) && !this.#redacted.has(before))
      return [{ kind: "removed", path, why: whyHidden(name, view) }];
    // A placeholder for an element that R4 requires is not a redaction of it.
    const replaced = isObject(before) && name !== "meta" && this.#redacted.get(before) !== after;
    return replaced
      ? [{ kind: "removed", path, why: whyHidden(name, view) }, maskedAt(path)]
      : this.#value(name, before, after, element, view, path);
  }

  #items(
    name: string,
    before: readonly Json[],
    after: readonly Json[],
    view: ObjectView,
    path: string,
  ): readonly RedactionChange[] {
    const element = view.elements.get(name.replace(/^_/u, ""));
    const changes: RedactionChange[] = [];
    let remaining = 0;
    for (const [index, item] of before.entries()) {
      const here = `${path}[${index}]`;
      const released = isObject(item) ? this.#redacted.get(item) : after.find((value) => value === item);
      if (released === undefined || !after.includes(released))
        changes.push({ kind: "removed", path: here, why: this.#whyItem(name, item, element, view) });
      else {
        remaining += 1;
        for (const change of this.#value(name, item, released, element, view, here)) changes.push(change);
      }
    }
    return remaining === 0 && after.length > 0 ? [...changes, maskedAt(path)] : changes;
  }

  #value(
    name: string,
    before: Json,
    after: Json,
    element: ElementView | undefined,
    view: ObjectView,
    path: string,
  ): readonly RedactionChange[] {
    if (!isObject(before) || !isObject(after)) {
      return JSON.stringify(before) === JSON.stringify(after)
        ? []
        : [{ kind: "changed", path, why: "an address of the origin is not shown" }];
    }
    if (element?.kind === "resource") {
      const inside = this.#context.viewInside(before, nestingOf(name));
      return inside === undefined ? [] : this.resource(before, after, inside, `${path}.`);
    }
    const below = viewBelow(name, before, element, view);
    return below === undefined ? [] : this.#members(before, after, below, `${path}.`);
  }

  #whyItem(name: string, item: Json, element: ElementView | undefined, view: ObjectView): string {
    if (name === "extension") return "no rule that covers this row lists its URL";
    if (element?.kind === "resource" && isObject(item)) {
      const type = textAt(item, "resourceType") ?? "";
      return this.#context.viewInside(item, nestingOf(name)) === undefined
        ? `no rule and scope to read ${type} covers it`
        : "no remaining element refers to it";
    }
    if (isInNoSlice(item, element)) return inNoSlice;
    return element === undefined ? whyHidden(name, view) : "no part of it is shown";
  }
}

const inNoSlice = "it is in none of the shown slices";
const isInNoSlice = (item: Json, element: ElementView | undefined): boolean =>
  element?.kind === "object" && isObject(item) && element.viewOf(item) === undefined;

const nestingOf = (name: string): Nesting => (name === "contained" ? "contained" : "entry");

const maskedAt = (path: string): RedactionChange => ({
  kind: "added",
  path,
  why: "masked: R4 requires it, and its value is hidden",
});

function viewBelow(
  name: string,
  item: JsonObject,
  element: ElementView | undefined,
  view: ObjectView,
): ObjectView | undefined {
  if (name === "extension" || name === "modifierExtension") return extensionViewOf(view.extensions);
  if (name.startsWith("_")) return siblingView(view.extensions);
  return element?.kind === "object" ? element.viewOf(item) : undefined;
}

function whyHidden(name: string, view: ObjectView): string {
  const bare = name.replace(/^_/u, "");
  const element = view.elements.get(bare);
  if (name === "extension") return "no rule that covers this row lists its URL";
  if (element?.kind === "deceased") return "only the fact of death is shown, not its time";
  if (element?.kind === "resource") return "no rule and scope to read it covers it";
  if (element !== undefined)
    return name === bare
      ? "no part of it is shown, or it refers to a withheld resource"
      : "no rule that covers this row lists its extensions";
  if (view.type === "Bundle" && name === "total") return "it counts dropped entries";
  const known = [...elementsOf(view.type).values()].some(({ forms }) =>
    forms.some((form) => form.name === bare),
  );
  return known ? "no rule that covers this row shows it" : "R4 does not define it";
}
