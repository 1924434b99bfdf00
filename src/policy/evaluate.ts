import type { Interaction } from "#fhir/interaction";
import { property, type JsonObject } from "#fhir/json";
import type { OriginQuestion } from "#fhir/ports";
import { searchQuery, type Search, type SearchParameter } from "#fhir/search";
import { searchParametersOf } from "#fhir/search-parameters";
import { permits, type Scopes } from "#identity/scopes";
import { err, ok, type Result } from "#kernel/result";
import { isRowOf, type CompiledPolicy, type CompiledRule, type ResourceView } from "./compile.ts";
import { isWithin, searchableBy, type Searchable } from "./searchable.ts";

/** A permitted request: what to ask the origin, what the answer must be, and what of it may leave. */
export interface Grant {
  readonly policyDigest: string;
  readonly ask: OriginQuestion;
  readonly expects: Expectation;
  /** What the client searches by, without the narrowing; nothing for a read. */
  readonly asked: readonly SearchParameter[];
  /** The element paths that some rule in reach hides; from the compiled views, so that it says nothing about an instance. */
  readonly withheldPaths: readonly string[];
  /** What may leave of a resource that was asked for; `undefined`: its row is in no rule's reach. */
  readonly viewOf: (resource: JsonObject) => ResourceView | undefined;
  /** What may leave of a resource inside one that was asked for (contained, in a Bundle): by the rules to read its own type. */
  readonly viewInside: (resource: JsonObject) => ResourceView | undefined;
}

export type Expectation =
  | { readonly kind: "read"; readonly type: string; readonly id: string }
  /** `self`: the question in the client's own terms, below the FHIR base. `count`: the most entries that it takes on one page. */
  | { readonly kind: "search"; readonly type: string; readonly self: string; readonly count: number | undefined };

/** All decided from type and policy alone, before anything is asked: each is 403, and the parameter's name may be told. */
export type PolicyRefusal =
  | { readonly reason: "no_rule"; readonly type: string; readonly interaction: "read" | "search" }
  | { readonly reason: "out_of_scope"; readonly type: string; readonly interaction: "read" | "search" }
  /** The view does not show what the parameter reads, or the policy leaves it out. */
  | { readonly reason: "parameter_hidden"; readonly parameter: string }
  /** The view shows some systems only: the token has to name one of them. */
  | { readonly reason: "parameter_needs_system"; readonly parameter: string }
  | { readonly reason: "sort_hidden"; readonly parameter: string };

// Origins page by 10 or 20 unless told. More than this many entries would not fit the 1 MiB of the plain engine.
const entriesMax = 1_000;

/** Decides from policy ∩ scopes. What no rule grants is refused (P2). */
export function evaluate(policy: CompiledPolicy, scopes: Scopes, interaction: Interaction): Result<Grant, PolicyRefusal> {
  const { kind, type } = interaction;
  const rules = policy.rulesFor(type).filter((rule) => rule.interactions.has(kind));
  if (rules.length === 0) return err({ reason: "no_rule", type, interaction: kind });
  if (!permits(scopes, type, kind === "read" ? "r" : "s")) return err({ reason: "out_of_scope", type, interaction: kind });

  const viewInside = (resource: JsonObject) => {
    const inside = property(resource, "resourceType");
    if (typeof inside !== "string" || !permits(scopes, inside, "r")) return undefined;
    const readable = policy.rulesFor(inside).filter((rule) => rule.interactions.has("read") && isRowOf(rule, resource));
    return readable.length === 0 ? undefined : policy.viewOf(inside, readable);
  };
  const granted = (ask: OriginQuestion, expects: Expectation, reach: readonly CompiledRule[]): Grant => ({
    policyDigest: policy.digest,
    ask,
    expects,
    asked: interaction.kind === "search" ? interaction.parameters : [],
    withheldPaths: [...new Set(reach.flatMap((rule) => policy.viewOf(type, [rule]).hidden))],
    viewOf: (resource) => {
      if (!reach.some((rule) => isRowOf(rule, resource))) return undefined;
      return policy.viewOf(
        type,
        rules.filter((rule) => isRowOf(rule, resource)),
      );
    },
    viewInside,
  });

  if (interaction.kind === "read") {
    const { id } = interaction;
    return ok(granted({ path: `${type}/${id}`, query: "" }, { kind: "read", type, id }, rules));
  }
  const reach = reachOf(policy, rules, interaction);
  if (!reach.ok) return reach;
  const { parameters, sort, count } = interaction;
  const own = searchQuery(parameters, sort, count);
  // Never the client's `_count`: a page that hidden rows fill or end would tell that they are there.
  const query = searchQuery([...parameters, ...narrowing(type, reach.value)], sort, entriesMax);
  const self = own === "" ? type : `${type}?${own}`;
  return ok(granted({ path: type, query }, { kind: "search", type, self, count }, reach.value));
}

/** The rules whose rows may be found this way. One that hides what the search reads is out of reach, and so are the rows that only it grants. */
function reachOf(policy: CompiledPolicy, rules: readonly CompiledRule[], search: Search): Result<readonly CompiledRule[], PolicyRefusal> {
  const searchable = (rule: CompiledRule, { definition }: { definition: SearchParameter["definition"] }): Searchable =>
    rule.search?.has(definition.code) === false ? { kind: "hidden" } : searchableBy(policy.viewOf(search.type, [rule]).object, definition);

  let reach = rules;
  for (const asked of search.parameters) {
    const parameter = asked.definition.code;
    const named = reach.some((rule) => searchable(rule, asked).kind === "named");
    reach = reach.filter((rule) => isWithin(searchable(rule, asked), asked));
    if (reach.length === 0) return err({ reason: named ? "parameter_needs_system" : "parameter_hidden", parameter });
  }
  for (const key of search.sort) {
    // Order tells about every value, also those of a system that is not shown.
    reach = reach.filter((rule) => searchable(rule, key).kind === "free");
    if (reach.length === 0) return err({ reason: "sort_hidden", parameter: key.definition.code });
  }
  return ok(reach);
}

/** Row conditions as search parameters, so that the origin need not send what is dropped anyway. The rows are checked again on the answer. */
function narrowing(type: string, reach: readonly CompiledRule[]): readonly SearchParameter[] {
  const [first, ...others] = reach;
  return (first?.conditions ?? []).flatMap((condition) => {
    const definition = [...searchParametersOf(type).values()].find(
      ({ type, paths }) => type === "token" && paths?.length === 1 && paths[0]?.join(".") === condition.path,
    );
    const each = [condition, ...others.map((rule) => rule.conditions.find((other) => "in" in other && other.path === condition.path))];
    const codes = each.map((one) => (one !== undefined && "in" in one ? one.in : undefined));
    if (definition === undefined || codes.includes(undefined)) return [];
    const values = [...new Set(codes.flatMap((list) => list ?? []))].map((code) => ({ kind: "other" as const, text: escaped(code) }));
    return [{ definition, values }];
  });
}

/** A policy's code in a query: the bar between system and code stays, `,` and `$` and `\` are escaped (FHIR R4 §3.1.1.4.3.1). */
const escaped = (code: string) => code.replaceAll(/[\\,$]/gu, "\\$&");
