import type { Nesting } from "#fhir/r4/compartment";
import { Facts } from "#fhir/json/facts";
import { property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import { isSameJson } from "#fhir/json/same";
import { isRowOf, type CompiledPolicy, type CompiledRule } from "./compile.ts";
import { canCover, rowAccessOf, coversRowOrShared, coversNested, type Access } from "./row-access.ts";
import type { UserRelation } from "./schema.ts";
import { coversLabels } from "./sensitivity/labelled-elements.ts";
import { statedLabels } from "./sensitivity/row-labels.ts";
import { diffViews } from "#policy/view/view-diff";

/** The elements that a relation is read from (gateway/facts/relations-at-origin), by type. */
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
 * Answers whether a write changes an element that relations are read from. A user who has access to patients
 * by a relation could otherwise grant it to themselves, or keep it after its end.
 *
 * @param stored `undefined` for a create.
 */
export function changesRelation(
  users: ReadonlySet<UserRelation>,
  stored: JsonObject | undefined,
  result: JsonObject,
): boolean {
  return changesOneOf(relationMembers(users, textAt(result, "resourceType") ?? ""), stored, result);
}

/** The members of a type by which users find their patients. */
export const relationMembers = (users: ReadonlySet<UserRelation>, type: string): readonly string[] =>
  [...users].flatMap((relation) =>
    Object.hasOwn(relationElements[relation], type) ? (relationElements[relation][type] ?? []) : [],
  );

/** The elements by which a resource says who is meant by the actor of a Consent (consent/who-is-meant), by type. */
const actorElements: Readonly<Record<string, readonly string[]>> = {
  Organization: ["identifier", "partOf"],
  Device: ["identifier", "patient"],
  PractitionerRole: ["practitioner", "organization", "active", "period"],
  Group: ["member", "quantity", "active", "actual"],
  CareTeam: ["participant", "subject", "status", "period"],
};

/**
 * The members by which a type says who is meant by Consents, if the writer may not change them: a member who joins or
 * leaves changes what a Consent on file permits and denies. Undefined: none has a meaning to Consents, or the writer is
 * a consent registrar.
 */
export function actorMembers(
  { isConsentRegistrar }: Pick<CompiledPolicy, "isConsentRegistrar">,
  { actorsAreRead }: Pick<Access, "actorsAreRead">,
  type: string,
): readonly string[] | undefined {
  if (actorsAreRead !== true || isConsentRegistrar || !Object.hasOwn(actorElements, type)) return undefined;
  return [...(actorElements[type] ?? []), "modifierExtension", "implicitRules"];
}

/** Answers whether a write changes one of these members of a stored resource. */
export const changesOneOf = (
  members: readonly string[] = [],
  stored: JsonObject | undefined,
  result: JsonObject,
): boolean => members.some((name) => !isSameJson(stored && property(stored, name), property(result, name)));

/**
 * Answers whether a write takes a label away: from `meta.security`, from the element by which a document states
 * labels, or from an element inside. A writer who may see the labelled row could otherwise open it to clients who
 * may not. A level may rise. The last element with an inline label stays: without it the label would be absent.
 * Labels of the row and labels of elements are compared apart: one takes no other's place.
 */
export const labelsLess = (stored: Facts, result: Facts): boolean =>
  !coversLabels(statedLabels(result), statedLabels(stored)) ||
  !coversLabels(labelsOfElements(result), labelsOfElements(stored));

const labelsOfElements = (row: Facts): readonly Json[] =>
  Facts.inlineLabelsOf(row).map((extension) => property(extension, "valueCoding") ?? null);

/** A resource that a write changes: its type and its container. */
export interface WrittenRow {
  readonly type: string;
  /** `undefined`: it is a row of its own. */
  readonly container: { readonly type: string; readonly nesting: Nesting } | undefined;
}

/**
 * Answers whether the policy shows more of the result than of the stored resource. A writer who may change
 * the row's category could otherwise read elements that are hidden now. Every rule counts, whatever the
 * scopes of this token: a second token may have more scopes.
 */
export function showsMore(policy: CompiledPolicy, row: WrittenRow, stored: Facts, result: Facts): boolean {
  const rules = policy.rulesFor(row.type).filter((rule) => isShowing(rule, row));
  return isMore(
    policy,
    row.type,
    (candidate) => rules.filter((rule) => isRowOf(rule, candidate)),
    stored,
    result,
  );
}

/**
 * Like {@link showsMore}, limited to the rows that the scopes of this token cover: rows of certain
 * categories, or rows of the token's patient.
 */
export function widensAccess(
  policy: CompiledPolicy,
  access: Access,
  row: WrittenRow,
  stored: Facts,
  result: Facts,
  base: FhirBase,
): boolean {
  const ways =
    row.container === undefined ? waysToRow(access, row.type) : waysInside(access, row.type, row.container);
  const rules = policy.rulesFor(row.type).filter((rule) => isShowing(rule, row));
  const rulesShowing = (candidate: Facts) => {
    const open = ways.filter(({ covers }) => covers(candidate, base));
    return rules.filter(
      (rule) => isRowOf(rule, candidate) && open.some(({ by }) => rule.interactions.has(by)),
    );
  };
  return isMore(policy, row.type, rulesShowing, stored, result);
}

/** A row of its own is shown by a read or a search; a nested resource always by the rules to read it. */
const isShowing = ({ interactions }: CompiledRule, { container }: WrittenRow): boolean =>
  interactions.has("read") || (container === undefined && interactions.has("search"));

/** The interaction that shows a resource, and the rows that it covers. */
interface AccessWay {
  readonly by: "read" | "search";
  readonly covers: (row: Facts, base: FhirBase) => boolean;
}

function waysToRow(access: Access, type: string): readonly AccessWay[] {
  return (["read", "search"] as const).flatMap((by) => {
    const rowAccess = rowAccessOf(access, type, by === "read" ? "r" : "s");
    return rowAccess === undefined
      ? []
      : [{ by, covers: (row: Facts, base: FhirBase) => coversRowOrShared(rowAccess, row, type, base) }];
  });
}

/** The ways to a nested resource: its container was read or found. */
function waysInside(
  access: Access,
  type: string,
  container: NonNullable<WrittenRow["container"]>,
): readonly AccessWay[] {
  const nestedAccess = rowAccessOf(access, type, "r");
  return (["r", "s"] as const).flatMap((permission) => {
    const containerAccess = rowAccessOf(access, container.type, permission);
    if (
      nestedAccess === undefined ||
      containerAccess === undefined ||
      !canCover(containerAccess, container.type)
    )
      return [];
    const covers = (nested: Facts, base: FhirBase) =>
      coversNested(nestedAccess, containerAccess, nested, base, container.nesting);
    return [{ by: "read" as const, covers }];
  });
}

function isMore(
  policy: CompiledPolicy,
  type: string,
  rulesOf: (row: Facts) => readonly CompiledRule[],
  stored: Facts,
  result: Facts,
): boolean {
  const [before, after] = [
    policy.viewOf(type, rulesOf(stored)).object,
    policy.viewOf(type, rulesOf(result)).object,
  ];
  return before !== after && diffViews(before, after).more.length > 0;
}
