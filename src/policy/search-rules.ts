import type { Search, SearchParameter } from "#fhir/search/search";
import { searchParametersOf } from "#fhir/search/parameters";
import { err, ok, type Result } from "#kernel/result";
import type { CompiledPolicy, CompiledRule } from "./compile.ts";
import type { PolicyRefusal } from "./grant.ts";
import { isWithin, searchableBy, type Searchable } from "./searchable.ts";

/**
 * The rules whose rows may be found this way. One that hides what the search reads is out of reach, and so
 * are the rows that only it grants.
 *
 * @param back the reference by which the rows lead back to those that a `_has` asks for.
 * @param isMasked whether what a parameter reads may stand masked in a row, whatever the rule shows.
 */
export function rulesForSearch(
  policy: CompiledPolicy,
  rules: readonly CompiledRule[],
  search: Pick<Search, "type" | "parameters" | "joins" | "sort">,
  back: SearchParameter["definition"] | undefined,
  isMasked: (definition: SearchParameter["definition"]) => boolean,
): Result<readonly CompiledRule[], PolicyRefusal> {
  const searchable = (rule: CompiledRule, definition: SearchParameter["definition"]): Searchable =>
    rule.search?.has(definition.code) === false || isMasked(definition)
      ? { kind: "hidden" }
      : searchableBy(policy.viewOf(search.type, [rule]).object, definition);
  const isFree = (definition: SearchParameter["definition"]) => (rule: CompiledRule) =>
    searchable(rule, definition).kind === "free";

  let reach = rules;
  for (const asked of search.parameters) {
    const parameter = asked.definition.code;
    const named = reach.some((rule) => searchable(rule, asked.definition).kind === "named");
    reach = reach.filter((rule) => isWithin(searchable(rule, asked.definition), asked));
    if (reach.length === 0)
      return err({ reason: named ? "parameter_needs_system" : "parameter_hidden", parameter });
  }
  // of `has` the reference is the hop's
  const chained = search.joins.flatMap(({ kind, by }) => (kind === "chain" ? [by] : []));
  for (const by of back === undefined ? chained : [...chained, back]) {
    reach = reach.filter(isFree(by));
    if (reach.length === 0) return err({ reason: "parameter_hidden", parameter: by.code });
  }
  for (const { definition } of search.sort) {
    // Order tells about every value, also those of a system that is not shown.
    reach = reach.filter(isFree(definition));
    if (reach.length === 0) return err({ reason: "sort_hidden", parameter: definition.code });
  }
  return ok(reach);
}

/**
 * Row conditions as search parameters, so that the origin need not send what is dropped anyway. The rows are
 * checked again on the answer.
 */
export function conditionParameters(
  type: string,
  reach: readonly CompiledRule[],
): readonly SearchParameter[] {
  const [first, ...others] = reach;
  return (first?.conditions ?? []).flatMap((condition) => {
    const definition = [...searchParametersOf(type).values()].find(
      ({ type, paths }) => type === "token" && paths?.length === 1 && paths[0]?.join(".") === condition.path,
    );
    const each = [
      condition,
      ...others.map((rule) =>
        rule.conditions.find((other) => "in" in other && other.path === condition.path),
      ),
    ];
    const codes = each.map((one) => (one !== undefined && "in" in one ? one.in : undefined));
    if (definition === undefined || codes.includes(undefined)) return [];
    const values = [...new Set(codes.flatMap((list) => list ?? []))].map((code) => ({
      kind: "other" as const,
      text: escaped(code),
    }));
    return [{ definition, values }];
  });
}

/**
 * A policy's code in a query: the bar between system and code stays, `,` and `$` and `\` are escaped (FHIR R4
 * §3.1.1.4.3.1).
 */
const escaped = (code: string) => code.replaceAll(/[\\,$]/gu, "\\$&");
