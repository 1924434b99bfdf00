import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";

const subsetted: JsonObject = {
  system: "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
  code: "SUBSETTED",
  display: "Subsetted",
};

/**
 * Says that elements were removed (FHIR R4 §2.1.0.4, `meta.tag`). The origin's own mark is the same fact and
 * is not doubled.
 */
export function markSubsetted(resource: JsonObject): JsonObject {
  const meta = property(resource, "meta");
  const [members, tags] = isObject(meta) ? [meta, property(meta, "tag")] : [{}, undefined];
  const others = isArray(tags) ? tags.filter((tag) => !isSubsetted(tag)) : [];
  return { ...resource, meta: { ...members, tag: [...others, subsetted] } };
}

export const isSubsetted = (tag: Json): boolean =>
  isObject(tag) && tag["system"] === subsetted["system"] && tag["code"] === subsetted["code"];

/** How the resources around it refer to a contained one; nothing can refer to one without an id. */
export const fragmentOf = (contained: JsonObject): string => {
  const id = textAt(contained, "id");
  return id === undefined ? "" : `#${id}`;
};

/** A contained resource that may leave, and the contained resources that it refers to itself. */
export interface Inside {
  readonly resource: JsonObject;
  readonly refersTo: ReadonlySet<string>;
  /** It and the resources inside it that leave, at any depth. */
  readonly records: number;
}

/**
 * Those that something left refers to, or that refer to the container (dom-3): a cut may have taken the
 * reference away. Linear.
 */
export function keepReferred<T extends Inside>(
  refersTo: ReadonlySet<string>,
  contained: readonly T[],
): readonly T[] {
  const byFragment = Map.groupBy(contained, ({ resource }) => fragmentOf(resource));
  const reached = new Set(refersTo);
  for (const inside of contained.filter(refersToContainer))
    for (const fragment of inside.refersTo) reached.add(fragment);
  // What is added to a set while it is walked is walked too.
  for (const fragment of reached)
    for (const inside of byFragment.get(fragment) ?? [])
      for (const next of inside.refersTo) reached.add(next);
  return contained.filter((inside) => reached.has(fragmentOf(inside.resource)) || refersToContainer(inside));
}

const refersToContainer = ({ refersTo }: Inside) => refersTo.has("#");
