import { elementsOf } from "#fhir/r4/elements";
import { isArray, isObject, property, type Json, type JsonObject } from "#fhir/json/json";
import { applyPatch, type PatchOperation, type PatchRefusal } from "#fhir/json/patch";
import { validateResource } from "#fhir/validate/validate";
import { err, ok, type Result } from "#kernel/result";
import type { ResourceView } from "#policy/compile";
import type { ObjectView } from "#policy/view/view";
import type { MergeIssue } from "./merge-issue.ts";
import { mergeResource, type MergeContext, type Merged, type StoredResource } from "./merge.ts";

export type BodyRefusal =
  /** The faults of the body, place by place. Hidden elements have no influence on them. */
  | { readonly reason: "body_invalid"; readonly issues: readonly MergeIssue[] }
  /**
   * Together with the hidden elements of the stored resource the result would not be valid R4. The place
   * stays secret.
   */
  | { readonly reason: "result_invalid" };

/**
 * The resource that a body means. R4's structure is checked for the body as sent and for the result as
 * stored.
 */
export function mergeBody(
  body: JsonObject,
  storedResource: StoredResource | undefined,
  view: ResourceView,
  context: MergeContext,
): Result<Merged, BodyRefusal> {
  // The body need not have elements that R4 requires and the view hides: they are stored, or masked.
  const issues = validateResource(body).filter(
    ({ code, expression }) => code !== "required" || !isHidden(body, view.object, expression),
  );
  if (issues.length > 0) return err({ reason: "body_invalid", issues });
  const merged = mergeResource(body, storedResource, view, context);
  if (!merged.ok) return err({ reason: "body_invalid", issues: merged.error });
  const faults = validateResource(merged.value.resource);
  if (storedResource === undefined)
    return faults.length === 0 ? merged : err({ reason: "body_invalid", issues: faults });
  // Faults of the stored resource are not held against this write.
  const before = new Set(validateResource(storedResource.stored).map(kindOf));
  return faults.every((fault) => before.has(kindOf(fault))) ? merged : err({ reason: "result_invalid" });
}

const kindOf = ({ code, expression, text }: MergeIssue) =>
  `${code} ${expression.replaceAll(/\[\d+\]/gu, "")} ${text}`;

/** Answers whether the view hides the element at a path that the validator wrote. */
function isHidden(resource: JsonObject, view: ObjectView, expression: string): boolean {
  const steps = [...expression.matchAll(/\.(?<name>[^.[\]]+)(?:\[(?<index>\d+)\])?/gu)].map(
    ({ groups }) => groups,
  );
  let [object, at]: [JsonObject, ObjectView] = [resource, view];
  for (const [position, step] of steps.entries()) {
    const element = [...elementsOf(at.type).values()].find(
      ({ name }) => name.replace("[x]", "") === step?.["name"],
    );
    if (element === undefined) return false;
    if (position === steps.length - 1) return element.forms.every(({ name }) => !at.elements.has(name));
    const form = element.forms.find(({ name }) => property(object, name) !== undefined)?.name ?? "";
    const [below, value] = [at.elements.get(form), property(object, form)];
    const item = isArray(value) ? value[Number(step?.["index"] ?? 0)] : value;
    const inside = below?.kind === "object" && isObject(item) ? below.viewOf(item) : undefined;
    if (!isObject(item) || inside === undefined) return false;
    [object, at] = [item, inside];
  }
  return false;
}

/**
 * The faults of the values that a patch writes into a resource of this type, whatever else the resource has: of
 * its elements, and of the items that it appends.
 */
export function faultsOfPatch(type: string, operations: readonly PatchOperation[]): readonly MergeIssue[] {
  const added = operations.flatMap((operation) =>
    "value" in operation && (operation.path.length === 1 || operation.path.at(-1) === "-")
      ? [{ ...operation, op: "add" as const }]
      : [],
  );
  const patched = applyPatch({ resourceType: type }, added, undefined, true);
  return patched.ok && isObject(patched.value)
    ? validateResource(patched.value).filter(({ code }) => code !== "required")
    : [];
}

/**
 * Applies a JSON Patch to a resource as its writer sees it, so that the result can be merged like a body.
 * `sources`: the sources of the merge. `isUnread`: the writer may not read the resource.
 */
export function patchShown(
  shown: JsonObject,
  operations: readonly PatchOperation[],
  sources: WeakMap<JsonObject, JsonObject>,
  isUnread = false,
): Result<JsonObject, PatchRefusal | { readonly reason: "patch_not_a_resource" }> {
  const keepSource = (object: JsonObject, original: JsonObject) => {
    const source = sources.get(original);
    // a moved object keeps its source
    if (source !== undefined && !sources.has(object)) sources.set(object, source);
  };
  const patched = applyPatch(shown, operations, keepSource, isUnread);
  if (!patched.ok) return patched;
  const left = withoutEmpty(patched.value, keepSource);
  return isObject(left) ? ok(left) : err({ reason: "patch_not_a_resource" });
}

/**
 * Removes a list after its last item was removed: FHIR JSON knows no empty list, and a patch cannot remove
 * both in a single step.
 */
function withoutEmpty(
  value: Json,
  keepSource: (object: JsonObject, of: JsonObject) => void,
): Json | undefined {
  if (isArray(value)) {
    const items = value.map((item) => withoutEmpty(item, keepSource)).filter((item) => item !== undefined);
    // only places of siblings remain
    if (items.every((item) => item === null)) return undefined;
    return items.every((item, index) => item === value[index]) ? value : items;
  }
  if (!isObject(value)) return value;
  const members = Object.entries(value).map(
    ([name, member]) => [name, member, withoutEmpty(member, keepSource)] as const,
  );
  if (members.length === 0) return undefined;
  if (members.every(([, before, left]) => before === left)) return value;
  const object = Object.fromEntries(
    members.flatMap(([name, , left]) => (left === undefined ? [] : [[name, left] as const])),
  );
  keepSource(object, value);
  return Object.keys(object).length === 0 ? undefined : object;
}
