import { isArray, isObject, property, type Json, type JsonObject } from "./json.ts";

/** A resource, or a resource inside a resource. */
export interface NestedResource {
  readonly resource: JsonObject;
  /** Inside `contained`: it has no address of its own, so its id names no patient. */
  readonly isContained: boolean;
}

/**
 * A resource and every resource inside it, at any depth: contained, in a Bundle's entry, in Parameters.
 * Generous: every object below that states a resource type counts, in any element. Linear.
 */
export function* nestedResources(resource: JsonObject): Generator<NestedResource> {
  yield { resource, isContained: false };
  yield* below(resource);
}

function* below(object: JsonObject): Generator<NestedResource> {
  for (const [name, member] of Object.entries(object)) yield* at(member, name === "contained");
}

function* at(value: Json, isContained: boolean): Generator<NestedResource> {
  if (isArray(value)) for (const item of value) yield* at(item, isContained);
  else if (isObject(value)) {
    if (property(value, "resourceType") !== undefined) yield { resource: value, isContained };
    yield* below(value);
  }
}
