import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";

export const subsetted: JsonObject = {
  system: "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
  code: "SUBSETTED",
  display: "Subsetted",
};

/**
 * Marks that elements were removed (FHIR R4 §2.1.0.4, `meta.tag`). The origin's own mark states the same fact
 * and is not doubled.
 */
export function markSubsetted(resource: JsonObject): JsonObject {
  const meta = property(resource, "meta");
  const [members, tags] = isObject(meta) ? [meta, property(meta, "tag")] : [{}, undefined];
  const others = isArray(tags) ? tags.filter((tag) => !isSubsetted(tag)) : [];
  return { ...resource, meta: { ...members, tag: [...others, subsetted] } };
}

export const isSubsetted = (tag: Json): boolean =>
  isObject(tag) && tag["system"] === subsetted["system"] && tag["code"] === subsetted["code"];

/** The reference to a contained resource; a contained resource without an id has none. */
export const fragmentOf = (contained: JsonObject): string => {
  const id = textAt(contained, "id");
  return id === undefined ? "" : `#${id}`;
};

/** A contained resource that may leave, and the contained resources that it refers to. */
export interface Inside {
  readonly resource: JsonObject;
  readonly refersTo: ReadonlySet<string>;
  /** The resource and the resources nested in it that leave, at any depth. */
  readonly records: number;
}

/**
 * Keeps the contained resources that a released element refers to, or that refer to the container (dom-3): a
 * redaction may have removed the reference. Linear.
 */
export function keepReferred<T extends Inside>(
  refersTo: ReadonlySet<string>,
  contained: readonly T[],
): readonly T[] {
  const byFragment = Map.groupBy(contained, ({ resource }) => fragmentOf(resource));
  const reached = new Set(refersTo);
  for (const inside of contained.filter(refersToContainer))
    for (const fragment of inside.refersTo) reached.add(fragment);
  // A set walk also visits the elements that are added during the walk.
  for (const fragment of reached)
    for (const inside of byFragment.get(fragment) ?? [])
      for (const next of inside.refersTo) reached.add(next);
  return contained.filter((inside) => reached.has(fragmentOf(inside.resource)) || refersToContainer(inside));
}

const refersToContainer = ({ refersTo }: Inside) => refersTo.has("#");
