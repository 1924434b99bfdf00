import type { Search, SearchParameter } from "#fhir/search/search";
import { searchParametersOf } from "#fhir/search/parameters";
import { memo } from "#kernel/memo";
import { err, ok, type Result } from "#kernel/result";
import type { CompiledPolicy, CompiledRule } from "#policy/compile";
import type { PolicyRefusal } from "#policy/grant";
import { searchableByRule } from "#policy/relations";
import { permitsParameter, type Searchable } from "./searchable.ts";

/**
 * The rules that a search may find rows by. A rule that hides an element that the search reads is left out,
 * and so are the rows that only this rule grants.
 *
 * @param back the reference from the rows back to the rows that a `_has` searches for.
 * @param isMasked whether an element that the parameter reads may be masked in a row, whatever the rule
 * shows.
 */
export function rulesForSearch(
  policy: CompiledPolicy,
  rules: readonly CompiledRule[],
  search: Pick<Search, "type" | "parameters" | "joins" | "sort">,
  back: SearchParameter["definition"] | undefined,
  isMasked: (definition: SearchParameter["definition"]) => boolean,
): Result<readonly CompiledRule[], PolicyRefusal> {
  const searchable = (rule: CompiledRule, definition: SearchParameter["definition"]): Searchable =>
    isMasked(definition) ? { kind: "hidden" } : searchableByRule(policy, search.type, rule, definition);
  const isFree = (definition: SearchParameter["definition"]) => (rule: CompiledRule) =>
    searchable(rule, definition).kind === "free";

  let usable = rules;
  for (const searched of search.parameters) {
    const parameter = searched.definition.code;
    const named = usable.some((rule) => searchable(rule, searched.definition).kind === "named");
    usable = usable.filter((rule) => permitsParameter(searchable(rule, searched.definition), searched));
    if (usable.length === 0)
      return err({ reason: named ? "parameter_needs_system" : "parameter_hidden", parameter });
  }
  // the reference of a `_has` belongs to the hop
  const chained = search.joins.flatMap(({ kind, by }) => (kind === "chain" ? [by] : []));
  for (const by of back === undefined ? chained : [...chained, back]) {
    usable = usable.filter(isFree(by));
    if (usable.length === 0) return err({ reason: "parameter_hidden", parameter: by.code });
  }
  for (const { definition } of search.sort) {
    // The order reveals something about every value, also about values of a system that is not shown.
    usable = usable.filter(isFree(definition));
    if (usable.length === 0) return err({ reason: "sort_hidden", parameter: definition.code });
  }
  return ok(usable);
}

/**
 * Row conditions as search parameters: the origin then does not send rows that would be dropped. The gateway
 * checks the rows of the answer again.
 */
export function conditionParameters(
  type: string,
  usable: readonly CompiledRule[],
): readonly SearchParameter[] {
  const [first, ...further] = usable;
  return (first?.conditions ?? []).flatMap((condition) => {
    const definition = tokenAt(`${type} ${condition.path}`);
    const each = [
      condition,
      ...further.map((rule) =>
        rule.conditions.find((other) => "in" in other && other.path === condition.path),
      ),
    ];
    const codes = each.map((entry) => (entry !== undefined && "in" in entry ? entry.in : undefined));
    if (definition === undefined || codes.includes(undefined)) return [];
    const values = [...new Set(codes.flatMap((list) => list ?? []))].map((code) => ({
      kind: "other" as const,
      text: escaped(code),
    }));
    return [{ definition, values }];
  });
}

/** The parameter of a type that searches one path for codes. @param place the type, a space, and the path. */
const tokenAt = memo(256, (place) => {
  const [type = "", path] = place.split(" ", 2);
  return [...searchParametersOf(type).values()].find(
    ({ type, paths }) => type === "token" && paths?.length === 1 && paths[0]?.join(".") === path,
  );
});

/**
 * A policy's code in a query: the bar between system and code stays, `,` and `$` and `\` are escaped (FHIR R4
 * §3.1.1.4.3.1).
 */
const escaped = (code: string) => code.replaceAll(/[\\,$]/gu, "\\$&");
