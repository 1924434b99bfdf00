import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { dataAbsentReason } from "#policy/view/masked";
import { isSubsetted } from "#phi/contained";
import { isStatement } from "#phi/extension";

/**
 * Removes the extensions that only the gateway adds, statements and `masked`, and the objects that they leave empty. A
 * modifier extension or a link of such a URL is data. A list of primitives keeps its positions.
 *
 * @param carry called for every object that replaces an object.
 */
export function unmasked(
  resource: JsonObject,
  carry: (object: JsonObject, of: JsonObject) => void,
): JsonObject {
  const strip = (value: Json, name: string): Json | undefined => {
    if (isArray(value)) {
      const items = value.map((item) => strip(item, name));
      if (items.every((item, index) => item === value[index])) return value;
      const left = name.startsWith("_")
        ? items.map((item) => item ?? null)
        : items.filter((item) => item !== undefined);
      return left.every((item) => item === null) ? undefined : left;
    }
    if (!isObject(value)) return value;
    if (name === "extension" && (isMasked(value) || isStatement(value))) return undefined;
    const stripped = members(value);
    return stripped !== value && Object.keys(stripped).length === 0 ? undefined : stripped;
  };
  const members = (object: JsonObject): JsonObject => {
    const entries = Object.entries(object).map(([name, value]) => [name, value, strip(value, name)] as const);
    if (entries.every(([, value, left]) => value === left)) return object;
    const stripped = Object.fromEntries(
      entries.flatMap(([name, , left]) => (left === undefined ? [] : [[name, left] as const])),
    );
    carry(stripped, object);
    return stripped;
  };
  return members(resource);
}

const isMasked = (extension: JsonObject): boolean =>
  extension["url"] === dataAbsentReason && textAt(extension, "valueCode") === "masked";

/** The part of `meta` that a body can set: versions belong to the server, and SUBSETTED to the gateway. */
export function metaOf(resource: JsonObject): JsonObject | undefined {
  const meta = property(resource, "meta");
  if (!isObject(meta)) return undefined;
  const { versionId: _version, lastUpdated: _updated, tag, ...others } = meta;
  const tags = isArray(tag) ? tag.filter((item) => !isSubsetted(item)) : [];
  const settable: JsonObject = tags.length === 0 ? others : { ...others, tag: tags };
  return Object.keys(settable).length === 0 ? undefined : settable;
}
