import { elementsOf, isPrimitive } from "#fhir/r4/elements";
import type { Json, JsonObject } from "#fhir/json/json";
import type { Slice } from "./element-path.ts";
import type { ElementView, ExtensionList, ObjectView, SlicedView } from "./view.ts";

/** The difference between two views, as element paths, coarsest first; extensions as `extension URL`. */
export interface ViewDiff {
  readonly more: readonly string[];
  readonly less: readonly string[];
}

/**
 * The paths that the second view shows in addition, and the paths that it no longer shows. If both are empty,
 * the two views redact every resource alike.
 */
export function diffViews(before: ObjectView, after: ObjectView): ViewDiff {
  return {
    more: [...beyond(after, before, ""), ...extensionsBeyond(after.extensions, before.extensions)],
    less: [...beyond(before, after, ""), ...extensionsBeyond(before.extensions, after.extensions)],
  };
}

/** The paths that a view shows. */
export function shownPaths(view: ObjectView): readonly string[] {
  if (view.everything) return ["everything"];
  return [
    ...beyond(view, undefined, ""),
    ...extensionsBeyond(view.extensions, { all: false, urls: new Set() }),
  ];
}

function beyond(view: ObjectView, other: ObjectView | undefined, prefix: string): readonly string[] {
  // Both views show everything below: R4 types are recursive, so the walk would not end.
  if (view === other || (view.everything && other?.everything === true)) return [];
  return [...elementsOf(view.type).values()].flatMap(({ name, forms }) => {
    const each = forms.flatMap((form) => {
      const shown = view.elements.get(form.name);
      return shown === undefined
        ? []
        : [ofElement(shown, other?.elements.get(form.name), prefix + form.name)];
    });
    const whole =
      each.length === forms.length &&
      forms.length > 1 &&
      each.every((paths, index) => paths.join() === prefix + forms[index]?.name);
    return whole ? [prefix + name] : each.flat();
  });
}

function ofElement(shown: ElementView, other: ElementView | undefined, path: string): readonly string[] {
  switch (shown.kind) {
    case "primitive":
    case "resource":
      return other?.kind === shown.kind ? [] : [path];
    case "deceased":
      return other === undefined ? [`${path} (that it is there)`] : [];
    case "object":
      return ofObject(shown, other?.kind === "object" ? other : undefined, path);
  }
}

type Items = SlicedView & { readonly type: string };

function ofObject(shown: Items, other: Items | undefined, path: string): readonly string[] {
  if (shown.others?.everything === true && other === undefined) return [path];
  const common = shown.others === undefined ? [] : beyond(shown.others, other?.others, `${path}.`);
  const tails = new Set(common.map((known) => known.slice(path.length)));
  const sliced = [...values(shown), ...values(other)]
    .filter(
      ({ by, value }, index, all) =>
        all.findIndex((known) => known.by === by && known.value === value) === index,
    )
    .flatMap(({ by, value }) => {
      const item = itemOf(shown.type, by, value);
      const [left, right] = [shown.viewOf(item), other?.viewOf(item)];
      const at = `${path}[${by}=${value}]`;
      if (left === undefined) return [];
      if (left.everything && right === undefined) return [at];
      return beyond(left, right, `${at}.`).filter((known) => !tails.has(known.slice(at.length)));
    });
  return [...common, ...sliced];
}

const values = (items: Items | undefined) =>
  (items?.slices ?? []).flatMap(({ slice }) => slice.values.map((value) => ({ by: slice.by, value })));

/** An item of this slice and of no further slice. */
function itemOf(type: string, by: Slice["by"], value: string): JsonObject {
  const code = elementsOf(type).get("code")?.forms[0]?.type ?? "";
  if (by === "system" || isPrimitive(code)) return { [by]: value };
  const [system = "", bare = ""] = value.split("|");
  const coding: Json = { system, code: bare };
  return { code: code === "Coding" ? coding : { coding: [coding] } };
}

function extensionsBeyond(shown: ExtensionList, other: ExtensionList): readonly string[] {
  const urls = [...shown.urls].filter((url) => !other.urls.has(url)).map((url) => `extension ${url}`);
  return shown.all && !other.all ? ["extension of any URL", ...urls] : urls;
}
