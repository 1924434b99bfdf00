import { isResourceType } from "#fhir/r4/elements";
import { r4ResourceTypes } from "#fhir/r4/types.gen";
import type { Include } from "#fhir/search/include";
import { searchParametersOf, type SearchParameterDefinition } from "#fhir/search/parameters";
import { err, ok, type Result } from "#kernel/result";
import type { CompiledPolicy, CompiledRule } from "./compile.ts";
import type { GrantedInclude, PolicyRefusal } from "./grant.ts";
import { canCover, rowAccessOf, type Access } from "./row-access.ts";
import { searchableBy } from "./searchable.ts";

/**
 * What of the includes is permitted: references that are shown, to and from types that may be read. One that
 * could bring nothing along is refused; where a reference may lead to several types, those that may not be
 * read never come.
 */
export function grantIncludes(
  policy: CompiledPolicy,
  access: Access,
  includes: readonly Include[],
  { type, reach }: { readonly type: string; readonly reach: readonly CompiledRule[] },
): Result<readonly GrantedInclude[], PolicyRefusal> {
  const granted: GrantedInclude[] = [];
  for (const include of includes) {
    const rules =
      include.source === type && !include.iterate && include.direction === "include"
        ? reach
        : readable(policy, access, include.source);
    const some = definitionsOf(include).flatMap((definition) => {
      const paths = definition.paths ?? [];
      const isShown = rules.some(
        (rule) => searchableBy(policy.viewOf(include.source, [rule]).object, definition).kind === "free",
      );
      const name = `${include.source}:${definition.code}`;
      const targets = isShown ? targetsOf(policy, access, include, definition, type) : [];
      const { direction, iterate, source } = include;
      return targets.length === 0
        ? []
        : [{ direction, iterate, source, name, paths, targets: new Set(targets) }];
    });
    if (some.length === 0) return err({ reason: "include_hidden", parameter: `_${include.direction}` });
    granted.push(...some);
  }
  return ok(granted);
}

function definitionsOf({ source, parameter }: Include): readonly SearchParameterDefinition[] {
  if (parameter !== "*") return [parameter];
  return [...searchParametersOf(source).values()].filter(
    ({ type, paths }) => type === "reference" && paths !== undefined,
  );
}

function targetsOf(
  policy: CompiledPolicy,
  access: Access,
  include: Include,
  definition: SearchParameterDefinition,
  type: string,
): readonly string[] {
  const all = [...(definition.targets ?? r4ResourceTypes)].filter(
    (target) => include.target === undefined || target === include.target,
  );
  // What a reverse include leads to is there already: matches, or what they brought along.
  if (include.direction === "revinclude")
    return include.iterate ? all : all.filter((target) => target === type);
  const name = `${include.source}:${definition.code}`;
  return all.filter((target) => isResourceType(target) && readable(policy, access, target, name).length > 0);
}

/**
 * The rules by which resources of a type may be read by this principal, beside a row or through a reference
 * (`through`).
 */
function readable(
  policy: CompiledPolicy,
  access: Access,
  type: string,
  through?: string,
): readonly CompiledRule[] {
  const hold = rowAccessOf(access, type, "r");
  if (hold === undefined) return [];
  const rules = policy.rulesFor(type).filter((rule) => rule.interactions.has("read"));
  return canCover(hold, type)
    ? rules
    : rules.filter((rule) => through !== undefined && rule.referredBy.has(through));
}
