import { isCompartmentType } from "#fhir/r4/compartment-tables";
import type { Search } from "#fhir/search/search";
import { includeText } from "#fhir/search/include";
import type { Criteria, SearchParameter } from "#fhir/search/condition";
import type { SearchParameterDefinition } from "#fhir/search/parameters";
import { rulesNamed, type Explained, type NamedRule, type ExplainStep } from "./explain-step.ts";
import { canCoverSome, rowAccessOf } from "#policy/row-access";
import { isResourceType } from "#fhir/r4/elements";
import { evaluate } from "#policy/evaluate";
import { grantIncludes } from "#policy/search/includes";
import { searchableByRule } from "#policy/relations";
import { permitsParameter, searchableBy, type Searchable } from "#policy/search/searchable";

/**
 * The steps of a search, in the engine's order. Each parameter keeps only the rules that show the elements it
 * reads; the next parameter is tested against the remaining rules.
 */
export function explainSearch(
  about: Explained,
  search: Pick<Search, "type" | "parameters" | "joins" | "sort" | "includes">,
  back?: SearchParameterDefinition,
): readonly ExplainStep[] {
  const { type } = search;
  const steps: ExplainStep[] = [];
  const rowAccess = rowAccessOf(about.access, type, "s");
  let usable = rulesNamed(about, type).filter(({ rule }) => rule.interactions.has("search"));
  // a step about the type says so
  if (usable.length === 0 || rowAccess === undefined) return [];
  if (!canCoverSome(rowAccess, type)) {
    if (!isFoundByReference(about, type)) return [];
    usable = usable.filter(({ rule }) => rule.referredBy.size > 0);
  }
  const ask = (
    of: ExplainStep["of"],
    text: string,
    definition: SearchParameterDefinition,
    passes: (searchable: Searchable) => boolean,
  ) => {
    const judged = usable.map((named) => ({
      named,
      searchable: searchableByRule(about.policy, type, named.rule, definition),
    }));
    const passing = judged.filter(({ searchable }) => passes(searchable)).map(({ named }) => named);
    const details = judged.map(
      ({ named, searchable }) => `${named.name} ${spoken(about, type, named, definition, searchable)}`,
    );
    const ok = passing.length > 0;
    steps.push({ ok, of, says: ok ? text : `${text}: no remaining rule permits it`, details });
    usable = passing;
    return ok;
  };
  for (const parameter of search.parameters) {
    if (
      !ask("parameter", textOf(parameter), parameter.definition, (searchable) =>
        permitsParameter(searchable, parameter),
      )
    )
      return steps;
  }
  const isFree = ({ kind }: Searchable) => kind === "free";
  for (const join of search.joins) {
    if (join.kind === "chain" && !ask("join", `through ${join.by.code}`, join.by, isFree)) return steps;
  }
  if (back !== undefined && !ask("join", `back through ${back.code}`, back, isFree)) return steps;
  for (const { definition } of search.sort) {
    if (!ask("sort", `_sort by ${definition.code}`, definition, isFree)) return steps;
  }
  for (const join of search.joins) for (const step of explainJoin(about, join)) steps.push(step);
  for (const include of search.includes) {
    const granted = grantIncludes(about.policy, about.access, [include], {
      type,
      searchRules: usable.map(({ rule }) => rule),
    });
    const details = granted.ok
      ? granted.value.map(({ name, targets }) => `${name} leads to ${[...targets].join(", ")}`)
      : [];
    const says = granted.ok
      ? includeText(include)
      : `${includeText(include)}: the reference is hidden, or no type that it leads to may be read`;
    steps.push({ ok: granted.ok, of: "include", says, details });
  }
  return steps;
}

type Join = Criteria["joins"][number];

/** A chain that names no type goes through those that may be searched: the refusals count if there is none. */
function explainJoin(about: Explained, join: Join): readonly ExplainStep[] {
  const each = join.of.map((of) => explainHop(about, join, of));
  const permitted = each.filter((steps) => steps.every(({ ok }) => ok));
  return (permitted.length > 0 ? permitted : each).flat();
}

function explainHop(
  about: Explained,
  { kind, by }: Pick<Join, "kind" | "by">,
  of: Criteria,
): readonly ExplainStep[] {
  const rules = rulesNamed(about, of.type).filter(({ rule }) => rule.interactions.has("search"));
  const rowAccess = rowAccessOf(about.access, of.type, "s");
  const isSearchable =
    rowAccess !== undefined && (canCoverSome(rowAccess, of.type) || isFoundByReference(about, of.type));
  const ok = rules.length > 0 && isSearchable;
  const why =
    rules.length === 0
      ? "no rule grants that search"
      : rowAccess === undefined
        ? "no scope permits it"
        : `no patient owns rows of ${of.type}: no visible row may lead to them`;
  const says = `a separate search of ${of.type}${isCompartmentType(of.type) ? ", limited to the same patients" : ""}${ok ? "" : `: ${why}`}`;
  const within = explainSearch(about, { ...of, sort: [], includes: [] }, kind === "has" ? by : undefined);
  return [
    { ok, of: "join", says, details: rules.map(({ name }) => `${name} grants search`) },
    ...(ok ? within : []),
  ];
}

/** Answers whether a search of the type finds the resources to which visible rows refer. */
export function isFoundByReference({ policy, access }: Explained, type: string): boolean {
  if (!isResourceType(type)) return false;
  const all = { parameters: [], joins: [], includes: [], sort: [], count: undefined, posted: false };
  const found = evaluate(policy, access, { kind: "search", type, ...all });
  return found.ok || found.error.reason !== "outside_patient_compartment";
}

function spoken(
  { policy }: Explained,
  type: string,
  { rule }: NamedRule,
  definition: SearchParameterDefinition,
  searchable: Searchable,
): string {
  if (searchable.kind === "free") return "shows every element that it reads";
  if (searchable.kind === "named") {
    const { systems } = searchable;
    return `allows it as system|code${systems === undefined ? "" : ` of ${[...systems].join(", ")}`}, without a modifier`;
  }
  if (rule.search?.has(definition.code) === false) return "leaves it out of its `search` list";
  const view = policy.viewOf(type, [rule]).object;
  const hidden = (definition.paths ?? []).filter(
    (path) => searchableBy(view, { ...definition, paths: [path] }).kind === "hidden",
  );
  return `hides ${hidden.map((path) => path.join(".")).join(", ")}, or a part of it`;
}

/**
 * The parameter's name, and the system of a token. The remaining part of a value is never quoted: it may be a
 * person's name.
 */
function textOf({ definition, modifier, values }: SearchParameter): string {
  const systems = new Set(
    values.flatMap((value) => (value.kind === "token" && value.system !== undefined ? [value.system] : [])),
  );
  return `${definition.code}${modifier === undefined ? "" : `:${modifier}`}${systems.size === 0 ? "" : ` of ${[...systems].join(", ")}`}`;
}
