import type { Nesting } from "#fhir/r4/compartment";
import type { ResourceType } from "#fhir/r4/elements";
import type { JsonObject } from "#fhir/json/json";
import type { CompiledPolicy } from "#policy/compile";
import { evaluateWrite, type ResultFault } from "#policy/evaluate-write";
import { factsFor } from "#policy/facts";
import type { Access } from "#policy/row-access";
import { mergeBody } from "#phi/merge/merge-body";
import type { Bases } from "#phi/origin-urls";

const words: Readonly<Record<ResultFault, string>> = {
  result_outside_access: "it, or a nested resource, would not be a row that may be created",
  result_changes_patient: "it would be moved to a different patient",
  result_widens_access: "it would change the writer's own access to patients",
};

/**
 * The reasons why a resource may not be created as it is sent, place by place; empty: it may. The engine that
 * serves requests decides, and no server is contacted.
 */
export function createProblems(
  { policy, access }: { readonly policy: CompiledPolicy; readonly access: Access },
  type: ResourceType,
  sent: JsonObject,
  bases: Bases,
): readonly string[] {
  const granted = evaluateWrite(policy, access, { kind: "create", type });
  if (!granted.ok) return [granted.error.reason];
  const { writable, writableInside, mayLinkTo, faultOf } = granted.value;
  const { id: _given, ...submitted } = sent; // the server assigns it (FHIR R4 http §3.1.0.8)
  const view = writable(factsFor(granted.value, submitted), bases.origin);
  if (view === undefined) return ["it is not a row that may be created"];
  const viewInside = (inside: JsonObject, nesting: Nesting) =>
    writableInside(factsFor(granted.value, inside), bases.origin, nesting);
  const linked = (other: JsonObject) => mayLinkTo(other, bases.origin);
  const merged = mergeBody(submitted, undefined, view, {
    bases,
    sources: new WeakMap(),
    viewInside,
    mayLinkTo: linked,
  });
  if (merged.ok) {
    const faults = merged.value.changes.map((change) => faultOf(change, bases.origin));
    return [...new Set(faults.filter((fault) => fault !== undefined).map((fault) => words[fault]))];
  }
  const refusal = merged.error;
  return refusal.reason === "body_invalid"
    ? refusal.issues.map(({ expression, text }) => `${expression}: ${text}`)
    : [refusal.reason];
}
