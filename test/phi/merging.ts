import { isArray, isObject, type Json, type JsonObject } from "#fhir/json/json";
import { nestedResources } from "#fhir/json/nested-resources";
import { mergeResource, type MergeContext, type Merged } from "#phi/merge/merge";
import type { MergeIssue } from "#phi/merge/merge-issue";
import { redactResource } from "#phi/redact";
import type { ResourceView } from "#policy/compile";
import { readPath } from "#policy/view/element-path";
import { showsNothing, shownBy, union } from "#policy/view/shown";
import { compileView } from "#policy/view/view";

export const bases = { origin: "https://origin.example/fhir", public: "https://api.example/v1/fhir/main" };
const urls = {
  inText: (text: string) => text,
  address: (text: string) => text,
  name: (text: string) => text,
};

/** The view of these paths and extensions; `all`: of every extension. */
export function viewOf(
  type: string,
  paths: readonly string[],
  extensions: readonly string[] | "all" = [],
): ResourceView {
  const shown = paths.length === 0 ? showsNothing : union(paths.map((path) => shownBy(readPath(path))));
  const list =
    extensions === "all" ? { all: true, urls: new Set<string>() } : { all: false, urls: new Set(extensions) };
  return { object: compileView(type, shown, list), subsetted: true, hidden: [] };
}

/**
 * The parts of a look besides its view: by default no nested resource leaves, and no linked Patient is
 * accessible.
 */
type Beside = Pick<MergeContext, "viewInside" | "mayLinkTo">;

/** The shown part of a resource, with its sources; `undefined`: it does not leave. */
export function look(stored: JsonObject, view: ResourceView, beside: Partial<Beside> = {}) {
  const { viewInside, mayLinkTo }: Beside = {
    viewInside: () => undefined,
    mayLinkTo: () => false,
    ...beside,
  };
  const sources = new WeakMap<JsonObject, JsonObject>();
  const note = (cut: JsonObject, from: JsonObject) => void sources.set(cut, from);
  const cut = redactResource(stored, view, { bases, urls, viewInside, mayLinkTo, note });
  return cut.ok ? { stored, shown: cut.value.resource, sources, view, viewInside, mayLinkTo } : undefined;
}
export type Look = NonNullable<ReturnType<typeof look>>;

/** The stored resource after a body was merged; or the reason of a refusal. */
export function merge(
  seen: Look,
  submitted: JsonObject,
  patched = false,
): JsonObject | readonly MergeIssue[] {
  const { sources, view, viewInside, mayLinkTo } = seen;
  const merged = mergeResource(submitted, seen, view, { bases, sources, viewInside, mayLinkTo, patched });
  if (merged.ok) everyResourceIsTold(seen.stored, merged.value);
  return merged.ok ? merged.value.resource : merged.error;
}

/** Each nested resource of the result is the stored object itself, or is listed among the changes. */
function everyResourceIsTold(stored: JsonObject, { resource, changes }: Merged): void {
  const known = new Set(
    [...nestedResources(stored), ...changes.map(({ result }) => ({ resource: result }))].map(
      (one) => one.resource,
    ),
  );
  for (const inside of nestedResources(resource))
    if (!known.has(inside.resource)) throw new Error("a resource inside is judged by nobody");
}

export const isRefused = (merged: JsonObject | readonly MergeIssue[]): merged is readonly MergeIssue[] =>
  Array.isArray(merged);

/** The tree as its reader has it: equal text, and no object in common with the redacted tree. */
export function asRead(value: Json): Json {
  if (isArray(value)) return value.map(asRead);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, asRead(member)]));
}
