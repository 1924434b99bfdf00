import type { R4Element } from "#fhir/r4/elements";
import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { isSame } from "#fhir/json/same";
import type { ElementView, ExtensionList, ObjectView } from "#policy/view/view";
import { isShown } from "#phi/extension";
import { isOfType } from "#phi/primitive";
import { extensionView } from "#phi/redact";

export type Members = Record<string, Json>;
export type ObjectElement = Pick<Extract<ElementView, { kind: "object" }>, "viewOf">;

/** One object, three times over. `shown` is missing where all that is stored of it is hidden. */
export interface ObjectVersions {
  readonly body: JsonObject;
  readonly shown: JsonObject | undefined;
  readonly stored: JsonObject | undefined;
}

/**
 * Members of the same object, the view that says what may be written of them, and the object that becomes of
 * them.
 */
export interface ObjectMerge extends ObjectVersions {
  readonly view: ObjectView;
  readonly out: Members;
  readonly at: string;
}

/** Whether the body says of an element what is shown of it: then all that is stored of it stays. */
export function isAsShown({ forms }: R4Element, { body, shown }: ObjectMerge): boolean {
  return forms.every(({ name }) =>
    [name, `_${name}`].every((member) =>
      isSame(property(body, member), shown === undefined ? undefined : property(shown, member)),
    ),
  );
}

/**
 * Whether what a body says of an element has its JSON form (FHIR R4 json §2.6.2): what has not is no value of
 * it, and nothing else either.
 */
export function isFormed(name: string, view: ElementView, body: JsonObject): boolean {
  const [value, beside] = [property(body, name), property(body, `_${name}`)];
  if (view.kind === "deceased") return true;
  const each = (part: Json | undefined, isOne: (item: Json) => boolean): boolean => {
    if (part === undefined) return true;
    return view.repeats
      ? isArray(part) && part.every((item) => isOne(item) || (view.kind === "primitive" && item === null))
      : isOne(part);
  };
  if (view.kind !== "primitive") return beside === undefined && each(value, isObject);
  return each(value, (item) => isOfType(item, view.type)) && each(beside, isObject);
}

/** Whether R4 may require in it what is hidden: then it can be changed, and not made. */
export const isCreatable = ({ required, elements }: ObjectView): boolean =>
  required.every(({ names }) => names.some((name) => elements.has(name)));

/** Whether what stays hidden of it, when its visible part goes, may lack what R4 requires. */
export const mayLeaveUnwhole = ({ required, everything, extensions }: ObjectView): boolean =>
  required.length > 0 && !(everything && extensions.all);

/** Whether R4's `Patient.link.other` of a link is shown as masked. `shown` has been cleared of marks. */
export const masksOther = ({ type }: ObjectView, shown: JsonObject): boolean =>
  type === "Patient.link" && property(shown, "other") === undefined;

export const shownExtension = (item: JsonObject, shown: ExtensionList): ObjectView | undefined =>
  isShown(item, shown) ? extensionView : undefined;

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
export type Pair = readonly [value: Json, beside: Json];
export const noPair: Pair = [null, null];

export function primitivePairs(object: JsonObject | undefined, name: string): readonly Pair[] {
  const [values, besides] = [object && property(object, name), object && property(object, `_${name}`)].map(
    (list) => (isArray(list) ? list : []),
  );
  return Array.from({ length: Math.max(values?.length ?? 0, besides?.length ?? 0) }, (_, at): Pair => [
    values?.[at] ?? null,
    besides?.[at] ?? null,
  ]);
}

/** Whether anything of an element beside a primitive is shown when the primitive is not there. */
export function showsSome(beside: JsonObject, shown: ExtensionList): boolean {
  return objectsIn(beside, "extension").some((item) => isShown(item, shown));
}
