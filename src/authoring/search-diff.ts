import { searchParametersOf } from "#fhir/search/parameters";
import type { CompiledPolicy, CompiledRule } from "#policy/compile";
import { coversSearches, permitsNoSearch, searchableByRule, showsInFull } from "#policy/relations";
import type { Searchable } from "#policy/search/searchable";

/**
 * How far a rule permits a search by each parameter of a type; a parameter that is not in the map is not
 * permitted.
 */
type Allowed = ReadonlyMap<string, Exclude<Searchable, { kind: "hidden" }>>;

/**
 * The parameters that find rows by the first rules but not by the second rules. One rule has to permit all
 * parameters of a search, so a parameter that is permitted alone may be missing in combination. Empty: the
 * second rules find every row that the first rules find.
 */
export function searchesBeyond(
  type: string,
  [policy, rules]: readonly [CompiledPolicy, readonly CompiledRule[]],
  [secondPolicy, secondRules]: readonly [CompiledPolicy, readonly CompiledRule[]],
): readonly string[] {
  const second = secondRules.map((rule) => allowedBy(secondPolicy, type, rule));
  const missing = rules
    .map((rule) => allowedBy(policy, type, rule))
    .flatMap((first) => lacking(first, second));
  return [...new Set(missing)];
}

/** The difference from the closest rule. */
function lacking(first: Allowed, second: readonly Allowed[]): readonly string[] {
  const gaps = second.map((allowed) =>
    [...first].filter(([code, how]) => !isCovered(how, allowed.get(code))),
  );
  const [nearest = [...first]] = gaps.toSorted((a, b) => a.length - b.length);
  return nearest.map(([code, how]) => {
    const alone = second.some((allowed) => isCovered(how, allowed.get(code)));
    if (alone) return `${code} with further parameters`;
    const named = second.some((allowed) => allowed.has(code));
    return how.kind === "free" && !named
      ? code
      : `${code} ${how.kind === "free" ? "by any value" : spoken(how.systems)}`;
  });
}

const spoken = (systems: ReadonlySet<string> | undefined) =>
  systems === undefined ? "by system|code" : `by ${[...systems].sort().join(", ")}`;

const isCovered = (how: Searchable, by: Searchable | undefined): boolean =>
  by !== undefined && coversSearches(by, how);

function allowedBy(policy: CompiledPolicy, type: string, rule: CompiledRule): Allowed {
  return new Map(
    [...searchParametersOf(type).values()].flatMap((definition) => {
      const how = searchableByRule(policy, type, rule, definition);
      return how.kind === "hidden" || permitsNoSearch(how) ? [] : [[definition.code, how] as const];
    }),
  );
}

/**
 * Like {@link searchesBeyond}, for the included resources of a search (`_include`): the rule that shows the
 * reference must also permit the search.
 */
export function includesBeyond(
  type: string,
  [policy, rules]: readonly [CompiledPolicy, readonly CompiledRule[]],
  [secondPolicy, secondRules]: readonly [CompiledPolicy, readonly CompiledRule[]],
): readonly string[] {
  const second = secondRules.map((rule) => ({
    allowed: allowedBy(secondPolicy, type, rule),
    shown: referencesOf(secondPolicy, type, [rule]),
  }));
  const missing = rules.flatMap((rule) => {
    const first = allowedBy(policy, type, rule);
    const wider = second.filter(({ allowed }) =>
      [...first].every(([code, how]) => isCovered(how, allowed.get(code))),
    );
    if (wider.length === 0) return []; // the search itself is missing
    return [...referencesOf(policy, type, [rule])].filter(
      (code) => !wider.some(({ shown }) => shown.has(code)),
    );
  });
  return [...new Set(missing)];
}

/** Reference parameters that at least one rule shows in full: rows include further resources by them. */
export function referencesOf(
  policy: CompiledPolicy,
  type: string,
  rules: readonly CompiledRule[],
): ReadonlySet<string> {
  const shown = [...searchParametersOf(type).values()].filter(
    (definition) =>
      definition.type === "reference" && rules.some((rule) => showsInFull(policy, type, rule, definition)),
  );
  return new Set(shown.map(({ code }) => code));
}

/**
 * The parameters by which a condition of a scope counts under the first policy but not under the second: each
 * rule has to show what the condition reads (`showsInEachRule`), so a policy with fewer rules may count more of
 * them. Empty if a policy has no rule for the type.
 */
export function conditionsBeyond(
  type: string,
  policy: CompiledPolicy,
  second: CompiledPolicy,
): readonly string[] {
  const readers = (policy: CompiledPolicy) =>
    policy
      .rulesFor(type)
      .filter(({ interactions }) => [...interactions].some((interaction) => interaction !== "create"));
  if (policy.rulesFor(type).length === 0 || second.rulesFor(type).length === 0) return [];
  const [own, others] = [readers(policy), readers(second)];
  return [...searchParametersOf(type).values()]
    .filter((definition) => {
      const how = own.map((rule) => searchableByRule(policy, type, rule, definition));
      return others
        .map((rule) => searchableByRule(second, type, rule, definition))
        .some((wide) => wide.kind !== "free" && !how.some((narrow) => coversSearches(wide, narrow)));
    })
    .map(({ code }) => code);
}
