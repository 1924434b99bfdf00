import { property, textAt, type JsonObject } from "#fhir/json";
import { isSame } from "#fhir/same";
import { isRowOf, type CompiledPolicy } from "./compile.ts";
import type { UserRelation } from "./schema.ts";
import { diffViews } from "./view-diff.ts";

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
 * Whether a write changes by what users are somebody to a patient: who reaches patients by such a relation could give it to themselves, or
 * keep it when it ends.
 *
 * @param stored nothing for a create.
 */
export function changesRelation(users: ReadonlySet<UserRelation>, stored: JsonObject | undefined, result: JsonObject): boolean {
  const type = textAt(result, "resourceType") ?? "";
  return [...users].some((relation) => {
    const elements = Object.hasOwn(relationElements[relation], type) ? (relationElements[relation][type] ?? []) : [];
    return elements.some((name) => !isSame(stored && property(stored, name), property(result, name)));
  });
}

/**
 * Whether what becomes of a resource is of rows of which the policy shows more than of what it was: who may say of which rows it is (a
 * category) would read by that what is hidden of it now.
 */
export function showsMore(policy: CompiledPolicy, type: string, stored: JsonObject, result: JsonObject): boolean {
  const rules = policy.rulesFor(type).filter(({ interactions }) => interactions.has("read") || interactions.has("search"));
  const [before, after] = [stored, result].map(
    (row) =>
      policy.viewOf(
        type,
        rules.filter((rule) => isRowOf(rule, row)),
      ).object,
  );
  return before !== undefined && after !== undefined && before !== after && diffViews(before, after).more.length > 0;
}
