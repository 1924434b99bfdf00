import type { Facts } from "#fhir/json/facts";
import { property, textAt } from "#fhir/json/json";
import type { FhirQuestion } from "#fhir/ports";
import { searchQuery, type Criteria, type Search, type SearchParameter } from "#fhir/search/search";
import { isDecidedByRows } from "#fhir/search/row-judge";
import { patientsHeld } from "#fhir/search/owner-parameter";
import { wantedMembers } from "#fhir/search/element-list";
import type { FhirBase } from "#fhir/r4/reference";
import { hasOwnerElement, isOwnedBy } from "#fhir/r4/compartment";
import { isCompartmentType, namesNoPatient } from "#fhir/r4/compartment-tables";
import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import { searchParametersOf } from "#fhir/search/parameters";
import { err, ok, type Result } from "#kernel/result";
import { isRowOf, type CompiledPolicy, type CompiledRule } from "#policy/compile";
import { neverReadsCutMember } from "#policy/facts";
import type {
  GrantedInclude,
  GrantedJoin,
  Opening,
  OpeningReference,
  PolicyRefusal,
  SearchExpectation,
  SearchGrant,
  Referrer,
} from "#policy/grant";
import {
  canCoverSome,
  accessParameters,
  isOpen,
  patientsWithin,
  rowAccessOf,
  type Access,
  type RowAccess,
} from "#policy/row-access";
import { askedIncludes, grantIncludes } from "./includes.ts";
import { countMax, originCount, pageCount } from "#fhir/search/page-count";
import { participantParts, type SearchPart } from "./participant-parts.ts";
import { conditionParameters, rulesForSearch } from "./search-rules.ts";
import { searchableBy } from "./searchable.ts";
import { type GrantBasis, granted, grantingRules } from "#policy/grant-rows";

// A longer question is sent as a form: servers cut URLs at 8 KB, and the result of a join may be hundreds of
// ids.
const urlQueryMax = 4_096;

type PostedSearch = Search & { readonly posted: boolean };

/** Decides about a search for rows that patients own, from policy ∩ scopes. `back`: see `rulesForSearch`. */
export const evaluateSearch = (
  policy: CompiledPolicy,
  access: Access,
  search: PostedSearch,
  back?: SearchParameter["definition"],
): Result<SearchGrant, PolicyRefusal> => searchBy(policy, access, search, back, () => []);

/**
 * Like {@link evaluateSearch}, and also for shared rows. A practitioner or an organization belongs to every patient
 * whose record refers to it: within a patient's access a search finds it by the references by which it can be read.
 */
export const evaluateAnySearch = (
  policy: CompiledPolicy,
  access: Access,
  search: PostedSearch,
  back?: SearchParameter["definition"],
): Result<SearchGrant, PolicyRefusal> =>
  searchBy(policy, access, search, back, (opened) => openingReferences(policy, access, opened, search));

/** @param openedBy the references by which these rules open shared rows to the search. */
function searchBy(
  policy: CompiledPolicy,
  access: Access,
  search: PostedSearch,
  back: SearchParameter["definition"] | undefined,
  openedBy: (opened: readonly CompiledRule[]) => readonly OpeningReference[],
): Result<SearchGrant, PolicyRefusal> {
  const { type } = search;
  const found = grantingRules(policy, access, type, "search");
  if (!found.ok) return found;
  const { rules, rowAccess } = found.value;
  if (canCoverSome(rowAccess, type)) return searchAmong(policy, access, search, found.value, { back });
  if (rules.some(({ isDirectory }) => isDirectory))
    return searchAmong(policy, access, search, found.value, { back });
  const opened = rules.filter(({ referredBy }) => referredBy.size > 0);
  const references = openedBy(opened);
  return references.length === 0
    ? err({ reason: "outside_patient_compartment", type })
    : searchAmong(policy, access, search, { rules: opened, rowAccess }, { back, references });
}

/**
 * @param back see {@link rulesForSearch}. `references`: the references that open the shared rows of the search. `by`: see
 *   {@link GrantBasis}.
 */
function searchAmong(
  policy: CompiledPolicy,
  access: Access,
  search: PostedSearch,
  { rules, rowAccess }: { readonly rules: readonly CompiledRule[]; readonly rowAccess: RowAccess },
  {
    back,
    references,
    by,
  }: {
    readonly back?: SearchParameter["definition"] | undefined;
    readonly references?: readonly OpeningReference[];
    readonly by?: GrantBasis["by"];
  },
): Result<SearchGrant, PolicyRefusal> {
  const { type, parameters } = search;
  const usable = rulesForSearch(policy, rules, search, back, (definition) =>
    mayBeMasked(access, type, definition),
  );
  if (!usable.ok) return usable;
  const searchRules = usable.value;
  const joins = grantJoins(policy, access, search);
  if (!joins.ok) return joins;
  const includes = grantIncludes(policy, access, search.includes, { type, searchRules });
  if (!includes.ok) return includes;
  const counted = search.total === undefined ? undefined : patientsCounted(search, rowAccess);
  if (search.total !== undefined && counted === undefined) return err({ reason: "total_needs_patients" });

  const permitted = { search, rowAccess, joins: joins.value, includes: includes.value, counted };
  // An origin answers by a value that a label withholds, and the row by the absence of the value.
  const isAsked = (parameter: SearchParameter) =>
    !namesOtherServer(parameter) &&
    (!isDecidedByRows(type, parameter) || neverReadsCutMember(policy, access, type, parameter.definition));
  const named = parametersToShow(policy, search, searchRules);
  const mustShow = (row: Facts) =>
    named.flatMap(({ parameter, free }) => (free.some((rule) => isRowOf(rule, row)) ? [] : [parameter]));
  const basis: GrantBasis = {
    policy,
    access,
    type,
    rules,
    rowAccess,
    ...(by && { by }),
    elements: elementsOf(
      search,
      includes.value,
      named.map(({ parameter }) => parameter),
    ),
  };
  const grantOf = (
    partRules: readonly CompiledRule[],
    expects: SearchExpectation,
    met = parameters,
  ): SearchGrant => ({
    ...granted(basis, partRules, expects.askJoined([]), expects, met, includes.value),
    expects,
    mustShow,
  });
  const parts = participantParts(policy, search, { searchRules, rowAccess });
  const beside = withoutCompartment(search);
  const isTheirs = belongingTo(search);
  const further = parts.map(({ by, rules, isOwn }) =>
    limitedTo(
      (row, base) => isOwn(row, base) && isTheirs(row, base),
      grantOf(rules, expectationOf(permitted, rules, isAsked, [], by), beside),
    ),
  );
  const isOwners = (row: Facts, base: FhirBase) =>
    (further.length === 0 || hasOwnerElement(row) || property(row, "resourceType") !== type) &&
    isTheirs(row, base);
  const expects = expectationOf(permitted, searchRules, isAsked, further);
  if (references !== undefined) {
    const opening = { references, viewBy: viewByReferrers(basis, searchRules, expects) };
    return ok(grantOf(searchRules, { ...expects, opening }));
  }
  const whole = grantOf(searchRules, expects);
  return ok(further.length === 0 && search.compartment === undefined ? whole : limitedTo(isOwners, whole));
}

/**
 * Answers whether a row belongs to the patient of the compartment, by the one definition of a read. R4's compartment
 * has a Provenance by the patient among its targets.
 */
function belongingTo({ type, compartment }: Search): SearchPart["isOwn"] {
  if (compartment === undefined || type === "Provenance") return () => true;
  const patients = new Set([compartment.patient]);
  return (row, base) => isOwnedBy(row, patients, base);
}

/** The view of a shared row, by the rows that refer to it. */
const viewByReferrers =
  (basis: GrantBasis, rules: readonly CompiledRule[], expects: SearchExpectation): Opening["viewBy"] =>
  (namesOf) =>
    granted(
      { ...basis, by: (row) => namesOf(`${basis.type}/${textAt(row, "id")}`) },
      rules,
      expects.askJoined([]),
      expects,
    );

/** A search of which every part is permitted. */
interface PermittedSearch {
  readonly search: PostedSearch;
  readonly rowAccess: RowAccess;
  readonly joins: readonly GrantedJoin[];
  readonly includes: readonly GrantedInclude[];
  /** The patients whose matches are counted. */
  readonly counted: ReadonlySet<string> | undefined;
}

/**
 * @param isAsked answers whether the origin is asked for a parameter.
 * @param participant finds the rows of a further part.
 */
function expectationOf(
  { search, rowAccess, joins, includes, counted }: PermittedSearch,
  partRules: readonly CompiledRule[],
  isAsked: (parameter: SearchParameter) => boolean,
  further: readonly SearchGrant[],
  participant?: SearchParameter,
): SearchExpectation {
  const { type, sort, posted, total, asked = search } = search;
  const count = pageCount(search.count);
  const beside = withoutCompartment(search);
  const parameters = participant === undefined ? search.parameters : beside;
  const narrowed = [
    ...parameters,
    ...conditionParameters(type, partRules),
    ...accessParameters(rowAccess, type, parameters, participant),
  ];
  const askJoined = (joined: readonly SearchParameter[], rows = originCount(count)): FhirQuestion => {
    // The client's `_count` is never sent: a page that hidden rows fill or end would reveal them.
    const originSearch = {
      parameters: [...narrowed.filter(isAsked), ...joined],
      joins: [],
      includes: askedIncludes(search.includes, includes),
      sort,
      count: rows,
    };
    const query = searchQuery(originSearch);
    return { path: type, query, posted: posted || query.length > urlQueryMax };
  };
  return {
    kind: "search",
    type,
    path: asked.compartment === undefined ? type : `Patient/${asked.compartment.patient}/${type}`,
    question: searchQuery({ ...search, joins: asked.joins, parameters: withoutCompartment(asked) }),
    posted,
    count,
    joins,
    askJoined,
    sort,
    ...(total !== undefined && counted !== undefined && { total: { form: total, patients: counted } }),
    further,
    ...(search.ignored !== undefined && { ignored: search.ignored }),
  };
}

/** The criteria beside the compartment, which the address names. */
const withoutCompartment = ({
  parameters,
  compartment,
}: Pick<Search, "parameters" | "compartment">): readonly SearchParameter[] =>
  parameters.filter((parameter) => parameter !== compartment?.by);

/**
 * A search as one grant for the rows of all its parts, in any order. Its criterion of the owner is left out: the list
 * that it is for says whose each row is.
 */
export const ofAllParts = (grant: SearchGrant): SearchGrant => {
  const parts = [grant, ...grant.expects.further];
  const first = <Found>(judge: (part: SearchGrant) => Found | undefined): Found | undefined => {
    for (const part of parts) {
      const found = judge(part);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return {
    ...grant,
    clientParameters: [],
    viewOf: (...row) => first(({ viewOf }) => viewOf(...row)),
    needsOf: (...row) => first(({ needsOf }) => needsOf(...row)),
  };
};

/**
 * True if a value is a URL of another server. An origin never gets it, since it could follow it, or read it as a
 * reference of its own: the part of each row that leaves decides.
 */
const namesOtherServer = ({ values }: SearchParameter): boolean =>
  values.some(({ kind }) => kind === "foreign");

/** The parameters that some rules show for named systems alone, and the rules that show each of them in full. */
function parametersToShow(
  policy: CompiledPolicy,
  { type, parameters }: Search,
  searchRules: readonly CompiledRule[],
): readonly { readonly parameter: SearchParameter; readonly free: readonly CompiledRule[] }[] {
  return parameters.flatMap((parameter) => {
    const isFree = (rule: CompiledRule) =>
      searchableBy(policy.viewOf(type, [rule]).object, parameter.definition).kind !== "named";
    if (namesOtherServer(parameter)) return [{ parameter, free: [] }];
    const free = searchRules.filter(isFree);
    return free.length === searchRules.length ? [] : [{ parameter, free }];
  });
}

// As many patients as an app may ask about at once: the record names each of them.
const countedMax = 20;

/**
 * The patients to whose rows a search is held, by the token or by a parameter of the question; `undefined`: too many,
 * or none. A type that names no patient is counted as a whole: its rows are nobody's.
 */
function patientsCounted(
  { type, parameters }: Search,
  rowAccess: RowAccess,
): ReadonlySet<string> | undefined {
  const ofToken = patientsWithin(rowAccess);
  const limits = [
    ...(ofToken === undefined || isOpen(ofToken) ? [] : [ofToken]),
    ...parameters.flatMap((parameter) => patientsHeld(type, parameter) ?? []),
  ];
  return limits.length === 0 && namesNoPatient(type)
    ? new Set()
    : limits.find(({ size }) => size > 0 && size <= countedMax);
}

/** The grant for the rows of a part alone. */
const limitedTo = (isOwn: SearchPart["isOwn"], grant: SearchGrant): SearchGrant => ({
  ...grant,
  viewOf: (resource, base, ...versions) =>
    isOwn(resource, base) ? grant.viewOf(resource, base, ...versions) : undefined,
  needsOf: (resource, base, ...versions) =>
    isOwn(resource, base) ? grant.needsOf(resource, base, ...versions) : undefined,
});

/** Links to Patients outside the access are masked: a search by such a link would reveal its target. */
export function mayBeMasked(access: Access, type: string, { paths }: SearchParameter["definition"]): boolean {
  const isLink =
    type === "Patient" && paths?.some(([first, second]) => first === "link" && second === "other") === true;
  return (
    isLink &&
    rowAccessOf(access, "Patient", "r")?.some(
      ({ owners, filters }) => owners === undefined && filters.length === 0,
    ) !== true
  );
}

/**
 * The members that a search needs beyond `_elements` and `_summary`: each include's reference, since the included
 * resource comes with the row that refers to it, and each element that a row must show.
 */
function elementsOf(
  search: Search,
  includes: readonly GrantedInclude[],
  shown: readonly SearchParameter[],
): ReadonlySet<string> | undefined {
  const { type } = search;
  const wanted = wantedMembers(type, search);
  if (wanted === undefined) return undefined;
  const read = [
    ...includes.filter(({ source }) => source === type),
    ...shown.map(({ definition }) => definition),
  ];
  return new Set([...wanted, ...read.flatMap(({ paths }) => paths?.flatMap(([first]) => first ?? []) ?? [])]);
}

/**
 * Each join is a separate search. If one of them is not permitted, the whole search is refused. A chain that names no
 * type goes through each type that the client may search so.
 */
function grantJoins(
  policy: CompiledPolicy,
  access: Access,
  { type, joins }: Search,
): Result<readonly GrantedJoin[], PolicyRefusal> {
  const granted: GrantedJoin[] = [];
  for (const join of joins) {
    const { kind, by } = join;
    const found = join.of.map((of) => {
      const hopSearch = { ...of, includes: [], sort: [], count: countMax, posted: true };
      return evaluateAnySearch(policy, access, hopSearch, kind === "has" ? by : undefined);
    });
    const hops = found.flatMap((hop) => (hop.ok ? [hop.value] : []));
    const refused = found.find((hop) => !hop.ok);
    if (hops.length === 0 && refused !== undefined) return refused;
    granted.push({ kind, type, by, hops });
  }
  return ok(granted);
}

/** The references by which rules open shared rows of a type. */
function referencesOf(rules: readonly CompiledRule[], type: ResourceType): readonly RuleReference[] {
  const names = new Set(rules.flatMap(({ referredBy }) => [...referredBy]));
  return [...names].flatMap((name) => {
    const [source = "", code = ""] = name.slice(name.indexOf(" ") + 1).split(":");
    const definition = searchParametersOf(source).get(code);
    const isBackwards = name.includes(" ");
    return !isResourceType(source) || definition?.paths === undefined || (isBackwards && source !== type)
      ? []
      : [{ name, source, definition, paths: isBackwards ? undefined : definition.paths }];
  });
}

/** The value that finds the rows which refer to a resource; a URL (`DocumentReference:location`) as FHIR writes it. */
function valueOf(
  { type: form }: SearchParameter["definition"],
  type: ResourceType,
  id: string,
): SearchParameter["values"][number] {
  const text = `${type}/${id}`;
  return form === "uri" ? { kind: "other", text } : { kind: "reference", text, type, id };
}

interface RuleReference extends Pick<OpeningReference, "name" | "paths"> {
  /** The type of the rows that refer. */
  readonly source: ResourceType;
  readonly definition: SearchParameter["definition"];
}

/** The searches for rows that name a resource, by the references that the rules of its type list. */
export function referrersOf(
  policy: CompiledPolicy,
  access: Access,
  rules: readonly CompiledRule[],
  type: ResourceType,
  id: string,
): readonly Referrer[] {
  const one = { type, ids: [id], named: [], count: undefined, posted: false };
  const reference = `${type}/${id}`;
  return openedThrough(policy, access, rules, one).map(({ name, search, paths }) => ({
    name,
    search,
    paths,
    reference,
  }));
}

/**
 * The searches for the visible rows that open resources of a type; for resources that the search names by
 * id, the rows that refer to these alone.
 */
function openingReferences(
  policy: CompiledPolicy,
  access: Access,
  rules: readonly CompiledRule[],
  { type, parameters: named }: Search,
): readonly OpeningReference[] {
  const byId = named.find(({ definition: { code }, modifier }) => code === "_id" && modifier === undefined);
  const ids = byId?.values.flatMap((value) => (value.kind === "token" ? [value.code] : []));
  return openedThrough(policy, access, rules, { type, ids, named, count: countMax, posted: true });
}

/** The resources that are looked for: of these ids, if there are any, and by these criteria of the question. */
interface LookedFor extends Pick<PostedSearch, "count" | "posted"> {
  readonly type: ResourceType;
  readonly ids: readonly string[] | undefined;
  readonly named: readonly SearchParameter[];
}

function openedThrough(
  policy: CompiledPolicy,
  access: Access,
  rules: readonly CompiledRule[],
  { type, ids, named, count, posted }: LookedFor,
): readonly OpeningReference[] {
  return referencesOf(rules, type).flatMap(({ name, source, definition, paths }) => {
    const plain = { type: source, joins: [], includes: [], sort: [], count, posted };
    const naming = (by: SearchParameter["definition"], values: SearchParameter["values"]) =>
      ids === undefined ? [] : [{ definition: by, values }];
    const search = (): Result<SearchGrant, PolicyRefusal> => {
      if (paths !== undefined) {
        // The rows of a directory are as many as it has: only those that name the resource are read.
        if (ids === undefined && !isCompartmentType(source))
          return err({ reason: "outside_patient_compartment", type: source });
        const values = (ids ?? []).map((id) => valueOf(definition, type, id));
        const parameters = naming(definition, values);
        return evaluateSearch(policy, access, { ...plain, parameters }, definition);
      }
      // The resource itself is searched for, by a visible resource to which it refers.
      const found = grantingRules(policy, access, type, "search");
      if (!found.ok) return found;
      const byId = searchParametersOf(type).get("_id");
      const own = found.value.rules.filter(({ referredBy }) => referredBy.has(name));
      const parameters = byId === undefined ? [] : naming(byId, (ids ?? []).map(tokenOf));
      const [first, ...others] = targetsOf(definition, named);
      if (first === undefined) return err({ reason: "outside_patient_compartment", type });
      const joins = [{ kind: "chain" as const, by: definition, of: [first, ...others] as const }];
      const basis = { rules: own, rowAccess: found.value.rowAccess };
      return searchAmong(policy, access, { ...plain, parameters, joins }, basis, {
        by: () => new Set([name]),
      });
    };
    const found = search();
    return found.ok ? [{ name, search: found.value, paths }] : [];
  });
}

const tokenOf = (id: string) => ({ kind: "token" as const, text: id, system: undefined, code: id });

/** The searches for the resources that a reference may lead to; those alone that the question names. */
function targetsOf(
  definition: SearchParameter["definition"],
  named: readonly SearchParameter[],
): readonly Criteria[] {
  const asked = named.find((parameter) => parameter.definition === definition);
  return [...(definition.targets ?? [])].filter(isResourceType).flatMap((type) => {
    const ids = asked?.values.flatMap((value) =>
      value.kind === "reference" && (value.type ?? type) === type ? [value.id] : [],
    );
    const byId = searchParametersOf(type).get("_id");
    const isNarrow = byId !== undefined && ids !== undefined && ids.length === asked?.values.length;
    return [
      { type, parameters: isNarrow ? [{ definition: byId, values: ids.map(tokenOf) }] : [], joins: [] },
    ];
  });
}
