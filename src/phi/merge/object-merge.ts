import type { R4Element } from "#fhir/r4/elements";
import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { isSameJson } from "#fhir/json/same";
import type { ElementView, ExtensionList, ObjectView } from "#policy/view/view";
import { isShown, isStatement } from "#phi/extension";
import { isOfType } from "#phi/primitive";
import { extensionView } from "#phi/redact";

export type Members = Record<string, Json>;
export type ObjectElement = Pick<Extract<ElementView, { kind: "object" }>, "viewOf">;

/** Three versions of an object. `shown` is missing if all of the stored object is hidden. */
export interface ObjectVersions {
  readonly body: JsonObject;
  readonly shown: JsonObject | undefined;
  readonly stored: JsonObject | undefined;
}

/** The versions of an object, the view of its writable members, and the result. */
export interface ObjectMerge extends ObjectVersions {
  readonly view: ObjectView;
  readonly out: Members;
  readonly at: string;
}

/** Answers whether the body repeats an element as it was shown: then the whole stored element stays. */
export function isAsShown({ forms }: R4Element, { body, shown }: ObjectMerge): boolean {
  return forms.every(({ name }) =>
    [name, `_${name}`].every((member) =>
      isSameJson(property(body, member), shown === undefined ? undefined : property(shown, member)),
    ),
  );
}

/**
 * Answers whether an element of the body has its JSON form (FHIR R4 json §2.6.2). A malformed element has no
 * meaning at all.
 */
export function isFormed(name: string, view: ElementView, body: JsonObject): boolean {
  const [value, sibling] = [property(body, name), property(body, `_${name}`)];
  if (view.kind === "deceased") return true;
  const each = (part: Json | undefined, isValid: (item: Json) => boolean): boolean => {
    if (part === undefined) return true;
    return view.repeats
      ? isArray(part) && part.every((item) => isValid(item) || (view.kind === "primitive" && item === null))
      : isValid(part);
  };
  if (view.kind !== "primitive") return sibling === undefined && each(value, isObject);
  return each(value, (item) => isOfType(item, view.type)) && each(sibling, isObject);
}

/**
 * Answers whether the view shows every element that R4 requires. If not, the object can be changed but not
 * created.
 */
export const isCreatable = ({ required, elements }: ObjectView): boolean =>
  required.every(({ names }) => names.some((name) => elements.has(name)));

/** Answers whether the hidden remainder, once the visible part is removed, may lack a required element. */
export const mayLeaveUnwhole = ({ required, everything, extensions }: ObjectView): boolean =>
  required.length > 0 && !(everything && extensions.all);

/** Answers whether the `Patient.link.other` of a link is shown as masked. `shown` is free of marks. */
export const masksOther = ({ type }: ObjectView, shown: JsonObject): boolean =>
  type === "Patient.link" && property(shown, "other") === undefined;

/** Undefined: no write changes it. An origin may store an extension of the URL of a statement. */
export const shownExtension = (item: JsonObject, shown: ExtensionList): ObjectView | undefined =>
  isShown(item, shown) && !isStatement(item) ? extensionView : undefined;

export const pathOf = ({ at }: ObjectMerge, name: string): string => `${at}.${name.replace("[x]", "")}`;
export const idOf = (object: JsonObject | undefined): string | undefined => object && textAt(object, "id");

export function withMeta(resource: JsonObject, meta: JsonObject | undefined): JsonObject {
  const { meta: _meta, ...others } = resource;
  return meta === undefined ? others : { ...others, meta };
}

export function objectsIn(object: JsonObject | undefined, name: string): readonly JsonObject[] {
  const list = object && property(object, name);
  return isArray(list) ? list.filter(isObject) : [];
}

/** A primitive and its `_` sibling. */
export type Pair = readonly [value: Json, sibling: Json];
export const noPair: Pair = [null, null];

export function primitivePairs(object: JsonObject | undefined, name: string): readonly Pair[] {
  const [values, siblings] = [object && property(object, name), object && property(object, `_${name}`)].map(
    (list) => (isArray(list) ? list : []),
  );
  return Array.from({ length: Math.max(values?.length ?? 0, siblings?.length ?? 0) }, (_, at): Pair => [
    values?.[at] ?? null,
    siblings?.[at] ?? null,
  ]);
}

/** Answers whether the sibling of a primitive has a shown extension when the primitive is absent. */
export function showsSome(sibling: JsonObject, shown: ExtensionList): boolean {
  return objectsIn(sibling, "extension").some((item) => shownExtension(item, shown) !== undefined);
}
