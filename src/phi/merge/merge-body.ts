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
  /** What is wrong with the body, place by place: nothing of it depends on what is hidden. */
  | { readonly reason: "body_invalid"; readonly issues: readonly MergeIssue[] }
  /** With what is hidden of the stored one it would be no valid R4, and where is not to be told. */
  | { readonly reason: "result_invalid" };

/** The resource that a body means, checked against R4's structure as it is sent and as it would be stored. */
export function mergeBody(
  submitted: JsonObject,
  standing: StoredResource | undefined,
  view: ResourceView,
  context: MergeContext,
): Result<Merged, BodyRefusal> {
  // What R4 requires and the view hides need not be said: it is there, or stands masked.
  const issues = validateResource(submitted).filter(
    ({ code, expression }) => code !== "required" || !isHidden(submitted, view.object, expression),
  );
  if (issues.length > 0) return err({ reason: "body_invalid", issues });
  const merged = mergeResource(submitted, standing, view, context);
  if (!merged.ok) return err({ reason: "body_invalid", issues: merged.error });
  const faults = validateResource(merged.value.resource);
  if (standing === undefined)
    return faults.length === 0 ? merged : err({ reason: "body_invalid", issues: faults });
  // What was wrong before is nobody's doing now.
  const before = new Set(validateResource(standing.stored).map(kindOf));
  return faults.every((fault) => before.has(kindOf(fault))) ? merged : err({ reason: "result_invalid" });
}

const kindOf = ({ code, expression, text }: MergeIssue) =>
  `${code} ${expression.replaceAll(/\[\d+\]/gu, "")} ${text}`;

/** Whether the view hides the element at a path that the validator wrote. */
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
 * What a JSON Patch makes of a resource as its writer sees it, ready to be merged like a body. `sources` are
 * the merge's.
 */
export function patchShown(
  shown: JsonObject,
  operations: readonly PatchOperation[],
  sources: WeakMap<JsonObject, JsonObject>,
): Result<JsonObject, PatchRefusal | { readonly reason: "patch_not_a_resource" }> {
  const carry = (object: JsonObject, of: JsonObject) => {
    const source = sources.get(of);
    // what was moved here stays what it was
    if (source !== undefined && !sources.has(object)) sources.set(object, source);
  };
  const patched = applyPatch(shown, operations, carry);
  if (!patched.ok) return patched;
  const left = withoutEmpty(patched.value, carry);
  return isObject(left) ? ok(left) : err({ reason: "patch_not_a_resource" });
}

/**
 * A list from which the last item is taken is gone: FHIR JSON knows none that is empty, and no patch can say
 * so in one step.
 */
function withoutEmpty(value: Json, carry: (object: JsonObject, of: JsonObject) => void): Json | undefined {
  if (isArray(value)) {
    const items = value.map((item) => withoutEmpty(item, carry)).filter((item) => item !== undefined);
    if (items.every((item) => item === null)) return undefined; // places of siblings, of which none is left
    return items.every((item, index) => item === value[index]) ? value : items;
  }
  if (!isObject(value)) return value;
  const members = Object.entries(value).map(
    ([name, member]) => [name, member, withoutEmpty(member, carry)] as const,
  );
  if (members.length === 0) return undefined;
  if (members.every(([, before, left]) => before === left)) return value;
  const object = Object.fromEntries(
    members.flatMap(([name, , left]) => (left === undefined ? [] : [[name, left] as const])),
  );
  carry(object, value);
  return Object.keys(object).length === 0 ? undefined : object;
}
