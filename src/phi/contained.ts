import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json";

const subsetted: JsonObject = {
  system: "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
  code: "SUBSETTED",
  display: "Subsetted",
};

/** Says that elements were removed (FHIR R4 §2.1.0.4, `meta.tag`). The origin's own mark is the same fact and is not doubled. */
export function markSubsetted(resource: JsonObject): JsonObject {
  const meta = property(resource, "meta");
  const [members, tags] = isObject(meta) ? [meta, property(meta, "tag")] : [{}, undefined];
  const others = isArray(tags) ? tags.filter((tag) => !isSubsetted(tag)) : [];
  return { ...resource, meta: { ...members, tag: [...others, subsetted] } };
}

const isSubsetted = (tag: Json): boolean => isObject(tag) && tag["system"] === subsetted["system"] && tag["code"] === subsetted["code"];

/** How the resources around it refer to a contained one; nothing can refer to one without an id. */
export const fragmentOf = (contained: JsonObject): string => {
  const id = textAt(contained, "id");
  return id === undefined ? "" : `#${id}`;
};

/** Drops contained resources that nothing left refers to (dom-3): a cut may have taken the reference away. */
export function keepReferred(resource: JsonObject): JsonObject {
  const { contained, ...rest } = resource;
  if (!isArray(contained ?? null) || contained === undefined) return resource;
  const all = isArray(contained) ? contained.filter(isObject) : [];
  const referred = new Set(fragmentsIn(rest));
  for (let before = -1; before !== referred.size;) {
    before = referred.size;
    const reached = all.filter((inside) => referred.has(fragmentOf(inside)));
    for (const fragment of fragmentsIn(reached)) referred.add(fragment);
  }
  const kept = all.filter((inside) => referred.has(fragmentOf(inside)) || fragmentsIn(inside).includes("#"));
  return kept.length === 0 ? rest : { ...resource, contained: kept };
}

function fragmentsIn(value: Json): readonly string[] {
  if (typeof value === "string") return value.startsWith("#") ? [value] : [];
  if (isArray(value)) return value.flatMap(fragmentsIn);
  return isObject(value) ? Object.values(value).flatMap(fragmentsIn) : [];
}
