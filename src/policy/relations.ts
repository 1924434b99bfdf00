import type { SearchParameterDefinition } from "#fhir/search/parameters";
import type { CompiledPolicy, CompiledRule } from "./compile.ts";
import type { SearchParameter } from "#fhir/search/search";
import { permitsParameter, searchableBy, type Searchable } from "#policy/search/searchable";

/*
 * How search permissions of rules relate. Views relate in policy/view/view-diff, scopes in identity/scopes.
 */

/** How far a rule permits a search by a parameter of a type. */
export const searchableByRule = (
  policy: CompiledPolicy,
  type: string,
  rule: CompiledRule,
  definition: SearchParameterDefinition,
): Searchable =>
  rule.search?.has(definition.code) === false
    ? { kind: "hidden" }
    : searchableBy(policy.viewOf(type, [rule]).object, definition);

/**
 * True when a rule shows every element that a parameter reads, whether or not it permits a search by it:
 * included resources leave by a shown reference.
 */
export const showsInFull = (
  policy: CompiledPolicy,
  type: string,
  rule: CompiledRule,
  definition: SearchParameterDefinition,
): boolean => searchableBy(policy.viewOf(type, [rule]).object, definition).kind === "free";

/**
 * Answers for a policy whether each of its rules that reads rows of a type permits a search by a parameter with
 * these values (see `Access.shows`). A rule that only creates shows no row.
 */
export const showsInEachRule =
  (policy: CompiledPolicy) =>
  (type: string, parameter: SearchParameter): boolean =>
    policy
      .rulesFor(type)
      .filter(({ interactions }) => [...interactions].some((interaction) => interaction !== "create"))
      .every((rule) =>
        permitsParameter(searchableByRule(policy, type, rule, parameter.definition), parameter),
      );

/** True when no search passes: values of disjoint lists of systems, too. */
export const permitsNoSearch = (searchable: Searchable): boolean =>
  searchable.kind === "hidden" ||
  (searchable.kind === "named" &&
    (searchable.systems?.size === 0 || searchable.parts?.some(permitsNoSearch) === true));

/** True when the wide permission lets every search through that the narrow permission lets through. */
export function coversSearches(wide: Searchable, narrow: Searchable): boolean {
  if (permitsNoSearch(narrow) || wide.kind === "free") return true;
  if (narrow.kind !== "named" || wide.kind === "hidden") return false;
  const { systems, parts } = wide;
  if (parts !== undefined)
    return (
      narrow.parts?.length === parts.length &&
      parts.every((part, index) => {
        const counterpart = narrow.parts?.[index];
        return counterpart !== undefined && coversSearches(part, counterpart);
      })
    );
  return (
    systems === undefined ||
    (narrow.systems !== undefined && [...narrow.systems].every((system) => systems.has(system)))
  );
}
