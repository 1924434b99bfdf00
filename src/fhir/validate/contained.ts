import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { below, type Findings, type Position } from "./findings.ts";

/** A resource that may contain resources, or a contained resource. */
export interface Scope {
  /** The ids in `contained` of the outermost resource. */
  readonly contained: ReadonlySet<string>;
  /** The `#…` references that it has. */
  readonly fragments: Set<string>;
}

/** The contained resources of a resource, before they are checked; the check reports a missing id. */
export function scopeOf(resource: JsonObject): Scope {
  const inside = property(resource, "contained");
  const ids = (isArray(inside) ? inside : []).flatMap((resource) =>
    isObject(resource) ? [textAt(resource, "id") ?? ""] : [],
  );
  return { contained: new Set(ids), fragments: new Set() };
}

/**
 * A `#…` must name a contained resource that exists (ref-1). R4's own examples refer to types that the
 * element does not allow, so the type is not checked.
 */
export function checkReference(reference: JsonObject, at: Position, found: Findings, scope: Scope): void {
  const text = textAt(reference, "reference") ?? "";
  if (!text.startsWith("#")) return;
  scope.fragments.add(text);
  if (text !== "#" && !scope.contained.has(text.slice(1)))
    found.add("invariant", below(at, "reference"), "No contained resource has this id (ref-1).");
}

/**
 * dom-3 to dom-5 for the contained resources of a container. `scopes` has the container's own scope first,
 * then the contained resources' scopes in order.
 */
export function checkContained(
  inside: readonly Json[],
  at: Position,
  found: Findings,
  scopes: readonly Scope[],
): void {
  const referred = new Set(scopes.flatMap(({ fragments }) => [...fragments]));
  const ids = new Set<string>();
  for (const [index, resource] of inside.entries()) {
    if (!isObject(resource)) continue;
    const place = below(at, "contained", index);
    const id = textAt(resource, "id") ?? "";
    if (ids.has(id)) found.add("invariant", below(place, "id"), "Another contained resource has this id.");
    ids.add(id);
    const isReferred = id !== "" && referred.has(`#${id}`);
    if (!isReferred && scopes[index + 1]?.fragments.has("#") !== true)
      found.add(
        "invariant",
        place,
        "Nothing refers to this contained resource, and it does not refer to its container (dom-3).",
      );
    checkMeta(resource, place, found);
  }
}

function checkMeta(contained: JsonObject, place: Position, found: Findings): void {
  const meta = property(contained, "meta");
  if (!isObject(meta)) return;
  for (const [name, rule] of [
    ["versionId", "dom-4"],
    ["lastUpdated", "dom-4"],
    ["security", "dom-5"],
  ] as const)
    if (property(meta, name) !== undefined)
      found.add(
        "invariant",
        below(below(place, "meta"), name),
        `A contained resource must not have this element (${rule}).`,
      );
}
