import { textAt, type JsonObject } from "#fhir/json/json";
import { Facts, type FactPath } from "#fhir/json/facts";
import { elementsOf, isResourceType } from "#fhir/r4/elements";
import { namingByValue, namingElements } from "#fhir/r4/compartment-tables";
import type { SearchParameter } from "#fhir/search/search";
import { residencePaths } from "#residence/row-residences";
import { meetsCondition, type CompiledCondition, type CompiledPolicy } from "./compile.ts";
import { codedMembers } from "#policy/view/code-list";
import { timeMembersOf } from "./consent/data-period.ts";
import { timeAndAuthorMembersOf } from "./consent/row-facts.ts";
import type { Access } from "./row-access.ts";
import { filterPaths } from "./scope-filters.ts";
import { labelMembersOf } from "./sensitivity/row-labels.ts";

/** The lists of paths that the decisions of a grant read, by resource type. */
export interface FactLists {
  /**
   * Every path that a decision about a resource of this type reads: its row access, labels, rules and search
   * parameters, and the record's owners and residence. The lists are the same object for the same type.
   */
  readonly factPaths: (type: string) => readonly FactPath[];
  /**
   * The part of {@link factPaths} that the view depends on. Two resources with the same facts at these paths
   * are both covered by the search and by the same view, or both not.
   */
  readonly decidingPaths: (type: string) => readonly FactPath[];
  /**
   * The part of {@link decidingPaths} of which a decision reads only whether a value is there: any object in place
   * of an object decides alike. The Encounter of an Observation differs from row to row, and its decision does not.
   */
  readonly presencePaths: (type: string) => readonly FactPath[];
  /**
   * The part of {@link decidingPaths} that only conditions of rules read: two resources that differ there, and meet
   * the same of these conditions, are decided alike.
   */
  readonly conditionPaths: (type: string) => readonly FactPath[];
  /** The names of the members that these conditions read, at any depth. */
  readonly conditionNames: (type: string) => ReadonlySet<string>;
  /** The part of {@link factPaths} that Consents may ask about: see `Grant.timesAsked`. */
  readonly askedPaths: (type: string) => readonly FactPath[];
  /** Names the conditions at {@link conditionPaths} that a resource of the type meets. */
  readonly conditionsMet: (type: string, facts: Facts) => string;
}

/** The facts of a resource for the decisions of a grant. */
export const factsFor = ({ factPaths }: Pick<FactLists, "factPaths">, resource: JsonObject): Facts =>
  Facts.of(resource, factPaths(textAt(resource, "resourceType") ?? ""));

/** The parts of a request, besides rules and scopes, by which rows are judged. */
interface SearchReads {
  /** Search parameters that the rows must match. */
  readonly parameters: readonly SearchParameter["definition"][];
  /** A row must refer to a resource that a chain found, or be a resource that a `_has` found. */
  readonly joins: readonly { readonly kind: "chain" | "has"; readonly by: SearchParameter["definition"] }[];
  /** A row must be a resource to which visible rows refer. */
  readonly isOpened?: boolean;
  /** References of rows that includes follow, by their name `Type:parameter`. */
  readonly links: readonly {
    readonly source: string;
    readonly name: string;
    readonly paths: readonly (readonly string[])[];
  }[];
}

// A request brings its parameters by names of R4 alone. There are more sets of them than an isolate can
// remember, and an origin may answer each question with every type: a question counts as 256 paths, and each
// list by its paths.
const [pathsMax, questionPaths] = [65_536, 256];

/** The lists of a policy. Over the limit all of them are forgotten: a grant keeps its own. */
class Remembered extends Map<string, FactLists> {
  #paths = 0;

  weigh(paths: number): void {
    this.#paths += paths;
    if (this.#paths <= pathsMax) return;
    this.clear();
    this.#paths = 0;
  }
}

const remembered = new WeakMap<CompiledPolicy, Remembered>();

/**
 * The lists of a grant; the same object for the same question without includes. The lists of includes are the
 * request's own: a client can ask for more sets of them than there is memory.
 *
 * @param type of the requested or written rows. @param reads for a search.
 */
export function factListsOf(
  policy: CompiledPolicy,
  { scopes }: Pick<Access, "scopes">,
  type: string,
  reads: SearchReads = { parameters: [], joins: [], links: [] },
): FactLists {
  const filters = scopes.flatMap((scope) => scope.filters.map(({ parameter }) => parameter));
  const chains = reads.joins.flatMap(({ kind, by }) => (kind === "chain" ? [by] : []));
  const searched = new Set([...reads.parameters, ...chains]);
  const codes = sortedOnce([...searched].map(({ code }) => code));
  const byId =
    type === "Patient" ||
    reads.isOpened === true ||
    chains.length < reads.joins.length ||
    codes.includes("_id");
  const judged: Judged = { type, byId, filters: sortedOnce(filters), searched };
  const key = `${type}${byId ? " id" : ""} by ${judged.filters.join(" ")},${codes.join()}`;
  let known = remembered.get(policy);
  if (known === undefined) remembered.set(policy, (known = new Remembered()));
  let lists = known.get(key);
  if (lists === undefined) {
    known.weigh(questionPaths);
    known.set(key, (lists = makeLists(policy, judged, known)));
  }
  return reads.links.length === 0 ? lists : withLinks(lists, reads.links);
}

const sortedOnce = (texts: readonly string[]): readonly string[] => [...new Set(texts)].toSorted(byText);

/** The parts of a question that its lists depend on. */
interface Judged {
  readonly type: string;
  readonly byId: boolean;
  readonly filters: readonly string[];
  readonly searched: ReadonlySet<SearchParameter["definition"]>;
}

function withLinks(lists: FactLists, links: SearchReads["links"]): FactLists {
  const factPaths = once(undefined, (found) => {
    const paths = links.flatMap(({ source, paths }) => (source === found ? paths.map(factPathOf) : []));
    const known = lists.factPaths(found);
    return paths.length === 0 ? known : distinct([...known, ...paths]);
  });
  return { ...lists, factPaths };
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function makeLists(
  policy: CompiledPolicy,
  { type, byId, filters, searched }: Judged,
  known: Remembered,
): FactLists {
  const byOthers = once(known, (found) =>
    distinct([
      ["resourceType"],
      ["meta", "security"],
      ...labelMembersOf(found).map((name) => [name] as const),
      ...(byId || found === "Patient" ? [["id"] as const] : []),
      ...(found === "Binary" ? ([["securityContext"], ["_securityContext"]] as const) : []),
      ...namingByValue(found).map((name) => [name] as const),
      ...(policy.dataPeriod === undefined ? [] : timeMembersOf(found).map((name) => [name] as const)),
      ...[found, type].flatMap((judged) => filters.flatMap((parameter) => filterPaths(judged, parameter))),
      ...[found, type].flatMap((tested) =>
        [...searched].flatMap(({ paths }) => (paths ?? []).flatMap((path) => factPathsOf(tested, path))),
      ),
    ]),
  );
  // An origin may answer with a different type: it is judged as a row of the requested type first.
  const conditions = once(known, (found) => conditionsOf(policy, [found, type]));
  const byValue = once(known, (found) => distinct([...byOthers(found), ...pathsOf(conditions(found))]));
  const deciding = once(known, (found) => distinct([...byValue(found), ...namedBy(found)]));
  const tested = once(known, (found) => {
    const others = new Set([...byOthers(found), ...namedBy(found)].map(([member]) => member));
    // the members of `meta` are read together
    return conditions(found).filter(({ elements: [first = ""] }) => first !== "meta" && !others.has(first));
  });
  const asked = once(known, (found) => timeAndAuthorMembersOf(found).map((name) => [name] as const));
  const all = once(known, (found) =>
    distinct([
      ...deciding(found),
      ["id"],
      ["meta", "versionId"],
      ["meta", "lastUpdated"],
      ...residencePaths(found),
      ...asked(found),
    ]),
  );
  // distinct paths: those by value come first
  const presence = once(known, (found) => deciding(found).slice(byValue(found).length));
  return {
    factPaths: all,
    decidingPaths: deciding,
    presencePaths: presence,
    askedPaths: asked,
    conditionPaths: once(known, (found) => distinct(pathsOf(tested(found)))),
    conditionNames: (found) =>
      new Set([...codedMembers, ...tested(found).flatMap(({ elements }) => elements)]),
    conditionsMet: (found, facts) => {
      let met = "";
      for (const condition of tested(found)) met += meetsCondition(condition, facts) ? "1" : "0";
      return met;
    },
  };
}

/** The members of a row that rules or the scopes' conditions test: a cut of them would change what the row is. */
export function testedMembers(
  policy: CompiledPolicy,
  { scopes }: Pick<Access, "scopes">,
  type: string,
): ReadonlySet<string> {
  const filters = scopes.flatMap((scope) => scope.filters.map(({ parameter }) => parameter));
  const times = policy.dataPeriod === undefined ? [] : timeMembersOf(type).map((name) => [name] as const);
  return new Set(
    [
      ...times,
      ...labelMembersOf(type).map((name) => [name] as const),
      ...pathsOf(conditionsOf(policy, [type])),
      ...filters.flatMap((parameter) => filterPaths(type, parameter)),
    ].map(([member]) => member),
  );
}

/**
 * Answers whether a row stays back whole if a label inside the row withholds a part of the members that a search
 * parameter reads (phi/labelled-parts): each member is a modifier element, or tested. No row that the client sees then
 * lacks a value that its origin has. Type, policy and scopes decide, never a row.
 */
export function neverReadsCutMember(
  policy: CompiledPolicy,
  access: Pick<Access, "scopes">,
  type: string,
  { paths }: SearchParameter["definition"],
): boolean {
  const elements = elementsOf(type);
  const tested = testedMembers(policy, access, type);
  return (
    paths?.every(([first = ""]) => {
      const element = elements.get(first);
      if (element === undefined) return tested.has(first);
      return element.isModifier || element.forms.every(({ name }) => tested.has(name));
    }) === true
  );
}

/** The conditions of any rule for these types, whatever its interactions. */
const conditionsOf = (policy: CompiledPolicy, types: readonly string[]): readonly CompiledCondition[] => [
  ...new Set(types.flatMap((type) => policy.rulesFor(type).flatMap(({ conditions }) => conditions))),
];

const namedBy = (type: string): readonly FactPath[] => namingElements(type).map((name) => [name]);

const pathsOf = (conditions: readonly CompiledCondition[]): readonly FactPath[] =>
  conditions.map(({ elements }) => factPathOf(elements));

/** The fact that contains the value at an element path. */
function factPathOf([first = "", second]: readonly string[]): FactPath {
  return first === "meta" && second !== undefined ? [first, second] : [first];
}

/** Like {@link factPathOf}; a choice is a fact by each of its names. */
function factPathsOf(type: string, path: readonly string[]): readonly FactPath[] {
  const [first = ""] = path;
  if (!first.endsWith("[x]")) return [factPathOf(path)];
  return (
    elementsOf(type)
      .get(first)
      ?.forms.map(({ name }) => [name] as const) ?? []
  );
}

function distinct(paths: readonly FactPath[]): readonly FactPath[] {
  return [...new Map(paths.map((path) => [path.join("."), path])).values()];
}

type ListOf<Item> = (type: string) => readonly Item[];

/** A list for each type of R4, and a single list for every text that is no type: an origin may send any. */
function once<Item>(known: Remembered | undefined, make: ListOf<Item>): ListOf<Item> {
  const made = new Map<string, readonly Item[]>();
  return (text) => {
    const type = isResourceType(text) ? text : "";
    let list = made.get(type);
    if (list === undefined) {
      made.set(type, (list = make(type)));
      known?.weigh(list.length);
    }
    return list;
  };
}
