import { ownerPathsOf } from "#fhir/r4/compartment-tables";
import { isObject, property, textAt, valuesAt, type JsonObject } from "#fhir/json/json";
import { plainTypeOf } from "#fhir/r4/reference";
import type { ResourceView } from "#policy/compile";
import type { ObjectView } from "#policy/view/view";

/*
 * The shown part of a reference may settle which patient the record names. If it does not, the record reserves room
 * for a patient in the hidden part.
 */

/** Answers whether the released part of a reference identifies its target. */
export const identifiesTarget = ({ elements }: ObjectView): boolean =>
  ["reference", "type", "identifier"].every((name) => elements.has(name));

/** The members of a reference, besides an identifying whole, that decide what its `reference` may mean. */
export interface ShownTarget {
  /** The view shows `reference`. */
  readonly isText: boolean;
  /** It shows neither `type` nor `display` beside it. */
  readonly isAlone: boolean;
}

export const shownTarget = ({ elements }: ObjectView): ShownTarget => ({
  isText: elements.has("reference"),
  isAlone: !elements.has("type") && !elements.has("display"),
});

/**
 * Answers whether the shown text of a reference settles which patient the record names, whatever the view
 * hides of the reference: a text `Patient/id` names that patient, and any other `Type/id` names none, unless a
 * shown `type` or `display` beside it may mean a person.
 */
export function isFinalReference(text: string | undefined, { isText, isAlone }: ShownTarget): boolean {
  const type = isText && text !== undefined ? plainTypeOf(text) : undefined;
  return type !== undefined && (isAlone || type === "Patient");
}

/**
 * Answers whether a view may hide the owner of a resource. The view decides, and the owner elements that the
 * view shows.
 */
export function hidesOwner(resource: JsonObject, { object }: ResourceView): boolean {
  if (object.everything) return false;
  const { owners, participants } = ownerPathsOf(textAt(resource, "resourceType") ?? "");
  const isHidden = (path: readonly string[]) => !showsReference(object, path);
  if (owners.some((path) => isHidden(path) && !statesOwner(resource, object, path))) return true;
  return participants.some(isHidden) && owners.every((path) => valuesAt(resource, path).length === 0);
}

/** The record's owner follows from the text of `reference` alone, so a shown `Type/id` leaves nothing open. */
function statesOwner(resource: JsonObject, view: ObjectView, [first = "", ...below]: readonly string[]) {
  const element = view.elements.get(first);
  const isSingle = below.length === 0 && element?.kind === "object" && !element.repeats;
  if (!isSingle || element.slices.length > 0 || element.others?.elements.has("reference") !== true)
    return false;
  const value = property(resource, first);
  return isObject(value) && plainTypeOf(textAt(value, "reference") ?? "") !== undefined;
}

function showsReference(view: ObjectView, [first, ...below]: readonly string[]): boolean {
  if (view.everything) return true;
  if (first === undefined) return identifiesTarget(view);
  const element = view.elements.get(first);
  return element?.kind === "object" && element.others !== undefined && showsReference(element.others, below);
}
