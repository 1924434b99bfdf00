import type { PatchOperation } from "#fhir/json/patch";
import { elementsOf, isPrimitive } from "#fhir/r4/elements";
import { isTied } from "#policy/view/ties";
import type { ObjectView } from "#policy/view/view";

/**
 * Answers whether each row of a type takes a patch, whatever the row holds: a writer who may not read the row learns
 * nothing from the answer. The patch only adds, or replaces elements that R4 demands. It changes no element that
 * decides about the row or that servers check against another element, and no form of a choice.
 *
 * @param deciding the members by which rules, scopes, Consents and relations judge a row.
 */
export const isTakenByEachRow = (
  operations: readonly PatchOperation[],
  type: string,
  deciding: ReadonlySet<string>,
): boolean => operations.every(({ op, path }) => !deciding.has(path[0] ?? "") && isTaken(op, type, path));

function isTaken(op: PatchOperation["op"], type: string, [name = "", ...below]: readonly string[]): boolean {
  const element = elementsOf(type).get(name);
  const [form, other] = element?.forms ?? [];
  if (element === undefined || form === undefined || other !== undefined) return false;
  if (inEachResource.has(name) || isTied(type, name)) return false;
  // A reference that its writer does not see gets no new target (phi/merge).
  if (form.type === "Reference" && !element.repeats) return false;
  if (below.length === 0) return op === "add" || (op === "replace" && element.required);
  if (element.repeats) return op === "add" && below.join("/") === "-";
  return element.required && !isPrimitive(form.type) && isTaken(op, form.type, below);
}

const inEachResource: ReadonlySet<string> = new Set(elementsOf("DomainResource").keys());

/** Answers whether the view shows all of the elements that such a patch changes: the merge then meets no hidden part. */
export const showsAllPatched = (operations: readonly PatchOperation[], view: ObjectView): boolean =>
  operations.every(({ path: [name = "", below] }) => {
    const element = view.elements.get(name);
    if (element?.kind !== "object" || below === "-") return element !== undefined;
    return element.slices.length === 0 && element.others?.everything === true && view.extensions.all;
  });
