import { type ResourceType, isResourceType, r4ResourceTypes } from "#fhir/r4/elements";
import type { Include } from "#fhir/search/include";
import { searchParametersOf, type SearchParameterDefinition } from "#fhir/search/parameters";
import { err, ok, type Result } from "#kernel/result";
import { backwards, type CompiledPolicy, type CompiledRule } from "#policy/compile";
import type { GrantedInclude, PolicyRefusal } from "#policy/grant";
import { showsInFull } from "#policy/relations";
import { canCoverSome, rowAccessOf, type Access } from "#policy/row-access";

/** The type of a search, and the rules by which it finds rows. */
interface IncludingSearch {
  readonly type: string;
  readonly searchRules: readonly CompiledRule[];
}

// The origin follows each of these references, and each row is searched for its own. A wildcard of
// `_revinclude` is some 360 references.
const grantedMax = 768;

/**
 * The permitted includes, each reference once: references that are shown, between types that may be read. An include that could
 * add nothing by the policy is refused. An include that the token's scopes do not reach adds nothing:
 * a SMART app asks the same questions whatever scopes its user granted. If a reference may lead to several types,
 * resources of the types that may not be read are never included.
 */
export function grantIncludes(
  policy: CompiledPolicy,
  access: Access,
  includes: readonly Include[],
  question: IncludingSearch,
): Result<readonly GrantedInclude[], PolicyRefusal> {
  const granted = new Map<string, GrantedInclude>();
  for (const include of includes) {
    const some = additionsOf(policy, access, include, question);
    if (some.length === 0 && additionsOf(policy, everyScope, include, question).length === 0)
      return err({ reason: "include_hidden", parameter: `_${include.direction}` });
    for (const one of some) {
      const key = `${one.direction} ${one.iterate} ${one.name}`;
      const targets = new Set([...(granted.get(key)?.targets ?? []), ...one.targets]);
      granted.set(key, { ...one, targets });
    }
  }
  return granted.size > grantedMax ? err({ reason: "too_many_joins" }) : ok([...granted.values()]);
}

/** The policy alone decides a refusal: no further scope turns an answer into a refusal. */
const everyScope: Access = {
  scopes: [{ context: "system", type: "*", permissions: ["r", "s"], filters: [] }],
  patient: undefined,
};

/** The references of an include that the policy and the scopes let through. */
function additionsOf(
  policy: CompiledPolicy,
  access: Access,
  include: Include,
  question: IncludingSearch,
): readonly GrantedInclude[] {
  const { source } = include;
  if (source !== "*") return additionsFrom(policy, access, { ...include, source }, question);
  return r4ResourceTypes
    .filter(isResourceType)
    .flatMap((source) => additionsFrom(policy, access, { ...include, source }, question));
}

/** An include of one type. */
type IncludeFrom = Include & { readonly source: ResourceType };

function additionsFrom(
  policy: CompiledPolicy,
  access: Access,
  include: IncludeFrom,
  { type, searchRules }: IncludingSearch,
): readonly GrantedInclude[] {
  const isOfMatches = include.source === type && !include.iterate && include.direction === "include";
  return definitionsOf(include).flatMap((definition) => {
    const paths = definition.paths ?? [];
    const reference = `${include.source}:${definition.code}`;
    // The source of an include is on the page already.
    const name = include.direction === "include" ? reference : backwards(reference);
    const through = include.direction === "include" ? undefined : name;
    const rules = isOfMatches ? searchRules : readable(policy, access, include.source, through);
    const isShown = rules.some((rule) => showsInFull(policy, include.source, rule, definition));
    const targets = isShown ? targetsOf(policy, access, include, definition, type) : [];
    const { direction, iterate, source } = include;
    return targets.length === 0
      ? []
      : [{ direction, iterate, source, name, paths, targets: new Set(targets) }];
  });
}

function definitionsOf({ source, parameter }: IncludeFrom): readonly SearchParameterDefinition[] {
  if (parameter !== "*") return [parameter];
  return [...searchParametersOf(source).values()].filter(
    ({ type, paths }) => type === "reference" && paths !== undefined,
  );
}

function targetsOf(
  policy: CompiledPolicy,
  access: Access,
  include: IncludeFrom,
  definition: SearchParameterDefinition,
  type: string,
): readonly string[] {
  const all = [...(definition.targets ?? r4ResourceTypes)].filter(
    (target) => include.target === undefined || target === include.target,
  );
  // The targets of a reverse include are on the page already: matches, or resources included for them.
  if (include.direction === "revinclude")
    return include.iterate ? all : all.filter((target) => target === type);
  const name = `${include.source}:${definition.code}`;
  return all.filter((target) => isResourceType(target) && readable(policy, access, target, name).length > 0);
}

/**
 * The rules by which this principal may read resources of a type on a page; `through`: the reference by which they are
 * included.
 */
function readable(
  policy: CompiledPolicy,
  access: Access,
  type: string,
  through?: string,
): readonly CompiledRule[] {
  const rowAccess = rowAccessOf(access, type, "r");
  if (rowAccess === undefined) return [];
  const rules = policy.rulesTo(type, "read");
  return canCoverSome(rowAccess, type)
    ? rules
    : rules.filter(
        ({ isDirectory, openedBy }) =>
          isDirectory || (through === undefined ? openedBy.size > 0 : openedBy.has(through)),
      );
}

/** The includes as the origin is asked for them: of every type means of each type that may add something. */
export const askedIncludes = (
  includes: readonly Include[],
  granted: readonly GrantedInclude[],
): readonly Include[] =>
  includes.flatMap((include) => {
    if (include.source !== "*") return [include];
    const sources = granted.flatMap(({ direction, iterate, source }) =>
      direction === include.direction && iterate === include.iterate && isResourceType(source)
        ? [source]
        : [],
    );
    const { direction, iterate, parameter, target } = include;
    return [...new Set(sources)].map((source) => ({ direction, iterate, source, parameter, target }));
  });
