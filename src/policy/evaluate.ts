import type { Reading } from "#fhir/interaction";
import { property, type JsonObject } from "#fhir/json";
import type { FhirQuestion } from "#fhir/ports";
import { searchQuery, type Search, type SearchParameter } from "#fhir/search";
import { searchParametersOf } from "#fhir/search-parameters";
import { err, ok, type Result } from "#kernel/result";
import { isRowOf, type CompiledPolicy, type CompiledRule, type ResourceView } from "./compile.ts";
import { canHold, holding, holdOf, isHeld, mayGoWith, type Access } from "./hold.ts";
import type { RuleInteraction } from "./schema.ts";
import { isLabelled } from "./labels.ts";
import { isWithin, searchableBy, type Searchable } from "./searchable.ts";

/** A permitted request: what to ask the origin, what the answer must be, and what of it may leave. */
export interface Grant {
  readonly policyDigest: string;
  readonly ask: FhirQuestion;
  readonly expects: Expectation;
  /** What the client searches by, without the narrowing; nothing for a read. */
  readonly asked: readonly SearchParameter[];
  /** The element paths that some rule in reach hides; from the compiled views, so that it says nothing about an instance. */
  readonly withheldPaths: readonly string[];
  /**
   * What may leave of a resource that was asked for; `undefined`: its row is in no rule's reach, or not the patient's. With other versions
   * of it: in the reach of no rule that reaches all of them. `base`: the origin's.
   */
  readonly viewOf: (resource: JsonObject, base: string, ...versions: readonly JsonObject[]) => ResourceView | undefined;
  /** What may leave of a resource inside one that was asked for (contained, in a Bundle): by the rules to read its own type. */
  readonly viewInside: (resource: JsonObject, base: string) => ResourceView | undefined;
}

export type Expectation =
  | { readonly kind: "read"; readonly type: string; readonly id: string }
  /** `current`: how to ask for the resource as it is now, which decides about every version of it. */
  | { readonly kind: "vread"; readonly type: string; readonly id: string; readonly version: string; readonly current: FhirQuestion }
  | SearchExpectation;

export interface SearchExpectation {
  readonly kind: "search";
  readonly type: string;
  /** The client's question in its own terms: the query that `searchQuery` writes. */
  readonly question: string;
  readonly posted: boolean;
  /** The most entries of one page. */
  readonly count: number;
}

/** All decided from type and policy alone, before anything is asked: each is 403, and the parameter's name may be told. */
export type PolicyRefusal =
  | { readonly reason: "no_rule"; readonly type: string; readonly interaction: RuleInteraction }
  | { readonly reason: "out_of_scope"; readonly type: string; readonly interaction: RuleInteraction }
  /** The scope is held to a patient, and rows of this type are no patient's. */
  | { readonly reason: "outside_patient_compartment"; readonly type: string }
  /** The view does not show what the parameter reads, or the policy leaves it out. */
  | { readonly reason: "parameter_hidden"; readonly parameter: string }
  /** The view shows some systems only: the token has to name one of them. */
  | { readonly reason: "parameter_needs_system"; readonly parameter: string }
  | { readonly reason: "sort_hidden"; readonly parameter: string };

// Of a page: what a client gets that does not say, and the most that it gets.
const countDefault = 100;
const countMax = 1_000;
// Of the origin's page: four times as many rows, since some may be hidden, and never so few that a round trip is not worth it.
const originCount = (count: number) => Math.min(Math.max(4 * count, 100), 1_000);

/** Decides from policy ∩ scopes. What no rule grants is refused (P2). */
export function evaluate(policy: CompiledPolicy, access: Access, interaction: Reading): Result<Grant, PolicyRefusal> {
  const { type } = interaction;
  const kind = interaction.kind === "search" ? "search" : "read"; // whoever may read a resource may read its versions
  const rules = policy.rulesFor(type).filter((rule) => rule.interactions.has(kind));
  if (rules.length === 0) return err({ reason: "no_rule", type, interaction: kind });
  const hold = holdOf(access, type, kind === "read" ? "r" : "s");
  if (hold === undefined) return err({ reason: "out_of_scope", type, interaction: kind });
  // A practitioner or an organization is whoever's record refers to it, and what refers to it this version cannot follow.
  if (!canHold(hold, type)) return err({ reason: "outside_patient_compartment", type });

  const viewInside: Grant["viewInside"] = (resource, base) => {
    const inside = property(resource, "resourceType");
    const held = typeof inside === "string" ? holdOf(access, inside, "r") : undefined;
    if (typeof inside !== "string" || held === undefined || !mayGoWith(held, hold, resource, inside, base)) return undefined;
    if (isLabelled(resource)) return undefined;
    const readable = policy.rulesFor(inside).filter((rule) => rule.interactions.has("read") && isRowOf(rule, resource));
    return readable.length === 0 ? undefined : policy.viewOf(inside, readable);
  };
  const granted = (ask: FhirQuestion, expects: Expectation, reach: readonly CompiledRule[]): Grant => ({
    policyDigest: policy.digest,
    ask,
    expects,
    asked: interaction.kind === "search" ? interaction.parameters : [],
    withheldPaths: [...new Set(reach.flatMap((rule) => policy.viewOf(type, [rule]).hidden))],
    viewOf: (resource, base, ...versions) => {
      const all = [resource, ...versions];
      const reaches = (rule: CompiledRule) => all.every((version) => isRowOf(rule, version));
      if (!all.every((version) => isHeld(hold, version, type, base) && !isLabelled(version))) return undefined;
      const reaching = rules.filter(reaches); // `reach` is a part of `rules`
      return reaching.some((rule) => reach.includes(rule)) ? policy.viewOf(type, reaching) : undefined;
    },
    viewInside,
  });

  if (interaction.kind !== "search") {
    const { id } = interaction;
    const current = { path: `${type}/${id}`, query: "" };
    if (interaction.kind === "read") return ok(granted(current, { kind: "read", type, id }, rules));
    const { version } = interaction;
    return ok(granted({ path: `${type}/${id}/_history/${version}`, query: "" }, { kind: "vread", type, id, version, current }, rules));
  }
  const reach = reachOf(policy, rules, interaction);
  if (!reach.ok) return reach;
  const { parameters, sort, posted } = interaction;
  const count = Math.min(interaction.count ?? countDefault, countMax);
  // Never the client's `_count`: a page that hidden rows fill or end would tell that they are there.
  const query = searchQuery([...parameters, ...narrowing(type, reach.value), ...holding(hold, type, parameters)], sort, originCount(count));
  const question = searchQuery(parameters, sort, interaction.count);
  return ok(granted({ path: type, query, posted }, { kind: "search", type, question, posted, count }, reach.value));
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
