import { textAt, type JsonObject } from "#fhir/json/json";
import { Facts, type FactPath } from "#fhir/json/facts";
import { namingElements } from "#fhir/r4/compartment";
import type { SearchParameter } from "#fhir/search/search";
import { residencePaths } from "#residence/row-residences";
import type { CompiledPolicy } from "./compile.ts";
import { categoryElements, type Access } from "./row-access.ts";

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
  /** References of rows of these types that includes follow. */
  readonly links: readonly { readonly source: string; readonly paths: readonly (readonly string[])[] }[];
}

/** @param type of the requested or written rows. @param reads for a search. */
export function factListsOf(
  policy: CompiledPolicy,
  { scopes }: Pick<Access, "scopes">,
  type: string,
  reads: SearchReads = { parameters: [], joins: [], links: [] },
): FactLists {
  const byCategory = scopes.some(({ categories }) => categories.length > 0);
  const chained = reads.joins.flatMap(({ kind, by }) => (kind === "chain" ? [by] : []));
  const searched = [...reads.parameters, ...chained];
  const byId =
    type === "Patient" || chained.length < reads.joins.length || searched.some(({ code }) => code === "_id");
  const deciding = once((found) =>
    distinct([
      ["resourceType"],
      ["meta", "security"],
      ...(byId || found === "Patient" ? [["id"] as const] : []),
      ...(found === "Binary" ? ([["securityContext"], ["_securityContext"]] as const) : []),
      ...namingElements(found).map((name) => [name] as const),
      // An origin may answer with a different type: it is judged as a row of the requested type first.
      ...[found, type].flatMap((tested) => conditionPaths(policy, tested)),
      ...(byCategory ? [found, type].flatMap(categoryElements).map((name) => [name] as const) : []),
      ...searched.flatMap(({ paths }) => (paths ?? []).map(factPathOf)),
    ]),
  );
  const all = once((found) =>
    distinct([
      ...deciding(found),
      ["id"],
      ["meta", "versionId"],
      ["meta", "lastUpdated"],
      ...residencePaths(found),
      ...reads.links.flatMap(({ source, paths }) => (source === found ? paths.map(factPathOf) : [])),
    ]),
  );
  return { factPaths: all, decidingPaths: deciding };
}

/** The elements that any rule for the type tests, whatever its interactions. */
const conditionPaths = (policy: CompiledPolicy, type: string): readonly FactPath[] =>
  policy.rulesFor(type).flatMap(({ conditions }) => conditions.map(({ elements }) => factPathOf(elements)));

/** The fact that contains the value at an element path. */
function factPathOf([first = "", second]: readonly string[]): FactPath {
  return first === "meta" && second !== undefined ? [first, second] : [first];
}

function distinct(paths: readonly FactPath[]): readonly FactPath[] {
  return [...new Map(paths.map((path) => [path.join("."), path])).values()];
}

type ListOf = (type: string) => readonly FactPath[];

function once(make: ListOf): ListOf {
  const made = new Map<string, readonly FactPath[]>();
  return (type) => {
    const list = made.get(type) ?? make(type);
    made.set(type, list);
    return list;
  };
}
