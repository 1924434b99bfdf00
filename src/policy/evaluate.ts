import type { Reading } from "#fhir/interaction";
import { property, type JsonObject } from "#fhir/json/json";
import type { FhirQuestion } from "#fhir/ports";
import { searchQuery, type Search, type SearchParameter } from "#fhir/search/search";
import { retainedElements } from "#fhir/search/element-list";
import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import { searchParametersOf } from "#fhir/search/parameters";
import { err, ok, type Result } from "#kernel/result";
import { isRowOf, type CompiledPolicy, type CompiledRule } from "./compile.ts";
import type {
  Expectation,
  Grant,
  GrantedInclude,
  GrantedJoin,
  PolicyRefusal,
  SearchGrant,
  Referrer,
} from "./grant.ts";
import {
  canCover,
  accessParameters,
  rowAccessOf,
  coversRowOrShared,
  coversNested,
  coversNamedPatient,
  type Access,
  type RowAccess,
} from "./row-access.ts";
import { grantIncludes } from "./includes.ts";
import { hasContext, isLabelled } from "./labels.ts";
import { countMax, originCount, pageCount } from "./page-count.ts";
import { conditionParameters, rulesForSearch } from "./search-rules.ts";
import { searchableBy } from "./searchable.ts";

// A question that is longer goes as a form: servers cut URLs short at 8 KB, and a join's answer may be
// hundreds of ids.
const urlQueryMax = 4_096;

/** Decides from policy ∩ scopes. What no rule grants is refused (P2). */
export function evaluate(
  policy: CompiledPolicy,
  access: Access,
  interaction: Reading,
): Result<Grant, PolicyRefusal> {
  return interaction.kind === "search"
    ? evaluateSearch(policy, access, interaction)
    : evaluateRead(policy, access, interaction);
}

function evaluateRead(
  policy: CompiledPolicy,
  access: Access,
  interaction: Exclude<Reading, { kind: "search" }>,
): Result<Grant, PolicyRefusal> {
  const { type, id } = interaction;
  const elements = interaction.elements && retainedElements(type, interaction.elements);
  const found = rulesOf(policy, access, type, "read");
  if (!found.ok) return found;
  const { hold } = found.value;
  const isShared = !canCover(hold, type);
  const rules = isShared
    ? found.value.rules.filter(({ referredBy }) => referredBy.size > 0)
    : found.value.rules;
  const referrers = isShared ? referrersOf(policy, access, rules, type, id) : [];
  if (isShared && referrers.length === 0) return err({ reason: "outside_patient_compartment", type });

  const current = { path: `${type}/${id}`, query: "" };
  const behind = (type: ResourceType, id: string) => evaluateRead(policy, access, { kind: "read", type, id });
  const grantBy = (rules: readonly CompiledRule[], contextIsSeen = false): Grant => {
    const scene: Scene = { policy, access, type, rules, hold, elements, contextIsSeen };
    const referredBy = (names: ReadonlySet<string>) => grantBy(rules.filter(isReferredBy(names)));
    const expects = {
      type,
      id,
      referrers,
      referredBy,
      behind,
      whenContextIsSeen: () => grantBy(rules, true),
    };
    if (interaction.kind === "read") return granted(scene, rules, current, { kind: "read", ...expects });
    const { version } = interaction;
    const ask = { path: `${type}/${id}/_history/${version}`, query: "" };
    return granted(scene, rules, ask, { kind: "vread", ...expects, version, current });
  };
  return ok(grantBy(rules));
}

/** As {@link evaluate}. `back`: see `reachOf`. */
export function evaluateSearch(
  policy: CompiledPolicy,
  access: Access,
  search: Search & { readonly posted: boolean },
  back?: SearchParameter["definition"],
): Result<SearchGrant, PolicyRefusal> {
  const { type, parameters, sort, posted } = search;
  const found = rulesOf(policy, access, type, "search");
  if (!found.ok) return found;
  const { rules, hold } = found.value;
  // A practitioner or an organization is whoever's record refers to it: it is read by reference, and never
  // searched for.
  if (!canCover(hold, type)) return err({ reason: "outside_patient_compartment", type });
  const reached = rulesForSearch(policy, rules, search, back, (definition) =>
    mayBeMasked(access, type, definition),
  );
  if (!reached.ok) return reached;
  const reach = reached.value;
  const joins = grantJoins(policy, access, search);
  if (!joins.ok) return joins;
  const includes = grantIncludes(policy, access, search.includes, { type, reach });
  if (!includes.ok) return includes;

  const count = pageCount(search.count);
  const narrowed = [
    ...parameters,
    ...conditionParameters(type, reach),
    ...accessParameters(hold, type, parameters),
  ];
  const askJoined = (joined: readonly SearchParameter[]): FhirQuestion => {
    // Never the client's `_count`: a page that hidden rows fill or end would tell that they are there.
    const asked = {
      parameters: [...narrowed, ...joined],
      joins: [],
      includes: search.includes,
      sort,
      count: originCount(count),
    };
    const query = searchQuery(asked);
    return { path: type, query, posted: posted || query.length > urlQueryMax };
  };
  const expects = {
    kind: "search",
    type,
    question: searchQuery(search),
    posted,
    count,
    joins: joins.value,
    askJoined,
  } as const;
  const isNamed =
    ({ definition }: SearchParameter) =>
    (rule: CompiledRule) =>
      searchableBy(policy.viewOf(type, [rule]).object, definition).kind === "named";
  const shown = parameters.filter((parameter) => reach.some(isNamed(parameter)));
  const scene: Scene = {
    policy,
    access,
    type,
    rules,
    hold,
    elements: elementsOf(search, includes.value, shown),
  };
  return ok({ ...granted(scene, reach, askJoined([]), expects, parameters, includes.value), expects, shown });
}

/**
 * Of the other records that a Patient is linked to those out of reach stand masked: a search by them would
 * tell which they are.
 */
export function mayBeMasked(access: Access, type: string, { paths }: SearchParameter["definition"]): boolean {
  const isLink =
    type === "Patient" && paths?.some(([first, second]) => first === "link" && second === "other") === true;
  return isLink && rowAccessOf(access, "Patient", "r")?.some(({ to }) => to === undefined) !== true;
}

/**
 * A reference that an include goes by stays, since what it brings along comes with the row that refers to it;
 * and so does what a row has to show.
 */
function elementsOf(
  { type, elements }: Search,
  includes: readonly GrantedInclude[],
  shown: readonly SearchParameter[],
): ReadonlySet<string> | undefined {
  if (elements === undefined) return undefined;
  const read = [
    ...includes.filter(({ source }) => source === type),
    ...shown.map(({ definition }) => definition),
  ];
  return new Set([
    ...retainedElements(type, elements),
    ...read.flatMap(({ paths }) => paths?.flatMap(([first]) => first ?? []) ?? []),
  ]);
}

/** The rules that grant the interaction with a type, and whose rows the scopes let be reached. */
function rulesOf(
  policy: CompiledPolicy,
  access: Access,
  type: string,
  interaction: "read" | "search", // whoever may read a resource may read its versions
): Result<{ readonly rules: readonly CompiledRule[]; readonly hold: RowAccess }, PolicyRefusal> {
  const rules = policy.rulesFor(type).filter((rule) => rule.interactions.has(interaction));
  if (rules.length === 0) return err({ reason: "rule_missing", type, interaction });
  const hold = rowAccessOf(access, type, interaction === "read" ? "r" : "s");
  return hold === undefined ? err({ reason: "scope_insufficient", type, interaction }) : ok({ rules, hold });
}

/** Each join is a search of its own: permitted by itself, or the whole is refused. */
function grantJoins(
  policy: CompiledPolicy,
  access: Access,
  { type, joins }: Search,
): Result<readonly GrantedJoin[], PolicyRefusal> {
  const granted: GrantedJoin[] = [];
  for (const join of joins) {
    const asked = { ...join.of, includes: [], sort: [], count: countMax, posted: true };
    const hop = evaluateSearch(policy, access, asked, join.kind === "has" ? join.by : undefined);
    if (!hop.ok) return hop;
    granted.push({ kind: join.kind, type, by: join.by, hop: hop.value });
  }
  return ok(granted);
}

/** The searches that could find a row which names this resource, by the references that its rules list. */
function referrersOf(
  policy: CompiledPolicy,
  access: Access,
  rules: readonly CompiledRule[],
  type: ResourceType,
  id: string,
): readonly Referrer[] {
  const names = new Set(rules.flatMap(({ referredBy }) => [...referredBy]));
  return [...names].flatMap((name) => {
    const [source = "", code = ""] = name.split(":");
    const definition = searchParametersOf(source).get(code);
    if (!isResourceType(source) || definition?.paths === undefined) return [];
    const parameters = [
      { definition, values: [{ kind: "reference" as const, text: `${type}/${id}`, type, id }] },
    ];
    const found = evaluateSearch(policy, access, {
      type: source,
      parameters,
      joins: [],
      includes: [],
      sort: [],
      count: undefined,
      posted: false,
    });
    return found.ok
      ? [{ name, search: found.value, reference: `${type}/${id}`, paths: definition.paths }]
      : [];
  });
}

const isReferredBy =
  (names: ReadonlySet<string>) =>
  ({ referredBy }: CompiledRule): boolean =>
    [...names].some((name) => referredBy.has(name));

interface Scene {
  readonly policy: CompiledPolicy;
  readonly access: Access;
  readonly type: string;
  readonly rules: readonly CompiledRule[];
  readonly hold: RowAccess;
  readonly elements: ReadonlySet<string> | undefined;
  /** What a Binary stands behind was read before, and may be seen. */
  readonly contextIsSeen?: boolean;
}

function granted(
  { policy, access, type, rules, hold, elements, contextIsSeen = false }: Scene,
  reach: readonly CompiledRule[],
  ask: FhirQuestion,
  expects: Expectation,
  asked: readonly SearchParameter[] = [],
  includes: readonly GrantedInclude[] = [],
): Grant {
  const readableBy = (
    resource: JsonObject,
    type: string,
    may: (rule: CompiledRule) => boolean = () => true,
  ) => {
    const readable = policy
      .rulesFor(type)
      .filter((rule) => rule.interactions.has("read") && isRowOf(rule, resource) && may(rule));
    return readable.length === 0 || isLabelled(resource) || hasContext(resource)
      ? undefined
      : policy.viewOf(type, readable);
  };
  const holds = new Map<string, RowAccess | undefined>(); // asked for at each resource inside a row
  const holdToRead = (type: string) => {
    if (!holds.has(type)) holds.set(type, rowAccessOf(access, type, "r"));
    return holds.get(type);
  };
  return {
    policyDigest: policy.digest,
    ask,
    expects,
    asked,
    includes,
    elements,
    withheldPaths: [...new Set(reach.flatMap((rule) => policy.viewOf(type, [rule]).hidden))],
    viewOf: (resource, base, ...versions) => {
      const all = [resource, ...versions];
      const reaches = (rule: CompiledRule) => all.every((version) => isRowOf(rule, version));
      if (!all.every((version) => coversRowOrShared(hold, version, type, base) && !isLabelled(version)))
        return undefined;
      if (!contextIsSeen && all.some(hasContext)) return undefined;
      const reaching = rules.filter(reaches); // `reach` is a part of `rules`
      return reaching.some((rule) => reach.includes(rule)) ? policy.viewOf(type, reaching) : undefined;
    },
    viewInside: (resource, base, nesting, brought) => {
      const inside = property(resource, "resourceType");
      const held = typeof inside === "string" ? holdToRead(inside) : undefined;
      // What is brought along is within the hold of its own type, which may be wider than that of the rows.
      const container = brought === undefined ? hold : holdToRead(brought);
      // Of what is nobody's own nobody can tell whose the resources inside are.
      if (
        typeof inside !== "string" ||
        held === undefined ||
        container === undefined ||
        !canCover(container, brought ?? type)
      )
        return undefined;
      return coversNested(held, container, resource, inside, base, nesting)
        ? readableBy(resource, inside)
        : undefined;
    },
    mayLinkTo: (other, base) => {
      const patients = holdToRead("Patient");
      return patients !== undefined && coversNamedPatient(patients, other, base);
    },
    viewIncluded: (resource, base, through) => {
      const beside = property(resource, "resourceType");
      const held = typeof beside === "string" ? holdToRead(beside) : undefined;
      if (
        typeof beside !== "string" ||
        held === undefined ||
        !coversRowOrShared(held, resource, beside, base)
      )
        return undefined;
      return canCover(held, beside)
        ? readableBy(resource, beside)
        : readableBy(resource, beside, isReferredBy(through));
    },
  };
}
