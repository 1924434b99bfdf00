import type { Nesting } from "#fhir/r4/compartment";
import { property, textAt, type JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import { isSame } from "#fhir/json/same";
import { isRowOf, type CompiledPolicy, type CompiledRule } from "./compile.ts";
import { canCover, rowAccessOf, coversRowOrShared, coversNested, type Access } from "./row-access.ts";
import type { UserRelation } from "./schema.ts";
import { diffViews } from "#policy/view/view-diff";

/** What a relation is read from (gateway/relate): type → elements. */
const relationElements: Readonly<Record<UserRelation, Readonly<Record<string, readonly string[]>>>> = {
  practitioner: { Patient: ["generalPractitioner"], PractitionerRole: ["practitioner", "active", "period"] },
  organization: {
    Patient: ["managingOrganization", "generalPractitioner"],
    PractitionerRole: ["practitioner", "organization", "active", "period"],
  },
  panel: { Group: ["managingEntity", "member", "active", "actual", "type"] },
  "related-person": { RelatedPerson: ["patient", "active", "period"] },
};

/**
 * Whether a write changes by what users are somebody to a patient: who reaches patients by such a relation
 * could give it to themselves, or keep it when it ends.
 *
 * @param stored nothing for a create.
 */
export function changesRelation(
  users: ReadonlySet<UserRelation>,
  stored: JsonObject | undefined,
  result: JsonObject,
): boolean {
  const type = textAt(result, "resourceType") ?? "";
  return [...users].some((relation) => {
    const elements = Object.hasOwn(relationElements[relation], type)
      ? (relationElements[relation][type] ?? [])
      : [];
    return elements.some((name) => !isSame(stored && property(stored, name), property(result, name)));
  });
}

/** A resource that a write changes: of which type, and inside of what. */
export interface WrittenRow {
  readonly type: string;
  /** `undefined`: it is a row of its own. */
  readonly container: { readonly type: string; readonly nesting: Nesting } | undefined;
}

/**
 * Whether what becomes of a resource is of rows of which the policy shows more than of what it was: who may
 * say of which rows it is (a category) would read by that what is hidden of it now. By all that the policy
 * shows, whatever the scopes of this token: there may be others.
 */
export function showsMore(
  policy: CompiledPolicy,
  row: WrittenRow,
  stored: JsonObject,
  result: JsonObject,
): boolean {
  const rules = policy.rulesFor(row.type).filter((rule) => isShowing(rule, row));
  return isMore(policy, row.type, (of) => rules.filter((rule) => isRowOf(rule, of)), stored, result);
}

/**
 * As {@link showsMore}, by what the scopes of this token reach: of rows of another category, of the token's
 * patient alone.
 */
export function widensSight(
  policy: CompiledPolicy,
  access: Access,
  row: WrittenRow,
  stored: JsonObject,
  result: JsonObject,
  base: FhirBase,
): boolean {
  const ways =
    row.container === undefined ? waysToRow(access, row.type) : waysInside(access, row.type, row.container);
  const rules = policy.rulesFor(row.type).filter((rule) => isShowing(rule, row));
  const shownOf = (of: JsonObject) => {
    const open = ways.filter(({ reaches }) => reaches(of, base));
    return rules.filter((rule) => isRowOf(rule, of) && open.some(({ by }) => rule.interactions.has(by)));
  };
  return isMore(policy, row.type, shownOf, stored, result);
}

/** A row is read or found; what is inside another one is always shown by the rules to read it. */
const isShowing = ({ interactions }: CompiledRule, { container }: WrittenRow): boolean =>
  interactions.has("read") || (container === undefined && interactions.has("search"));

/** By what a resource is shown, and to whom. */
interface Way {
  readonly by: "read" | "search";
  readonly reaches: (row: JsonObject, base: FhirBase) => boolean;
}

function waysToRow(access: Access, type: string): readonly Way[] {
  return (["read", "search"] as const).flatMap((by) => {
    const hold = rowAccessOf(access, type, by === "read" ? "r" : "s");
    return hold === undefined
      ? []
      : [{ by, reaches: (row: JsonObject, base: FhirBase) => coversRowOrShared(hold, row, type, base) }];
  });
}

/** Inside of a container that was read, or found. */
function waysInside(
  access: Access,
  type: string,
  container: NonNullable<WrittenRow["container"]>,
): readonly Way[] {
  const held = rowAccessOf(access, type, "r");
  return (["r", "s"] as const).flatMap((permission) => {
    const around = rowAccessOf(access, container.type, permission);
    if (held === undefined || around === undefined || !canCover(around, container.type)) return [];
    const reaches = (inside: JsonObject, base: FhirBase) =>
      coversNested(held, around, inside, type, base, container.nesting);
    return [{ by: "read" as const, reaches }];
  });
}

function isMore(
  policy: CompiledPolicy,
  type: string,
  rulesOf: (row: JsonObject) => readonly CompiledRule[],
  stored: JsonObject,
  result: JsonObject,
): boolean {
  const [before, after] = [
    policy.viewOf(type, rulesOf(stored)).object,
    policy.viewOf(type, rulesOf(result)).object,
  ];
  return before !== after && diffViews(before, after).more.length > 0;
}
