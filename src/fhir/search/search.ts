import { isMet } from "#fhir/media-type";
import { err, ok, type Result } from "#kernel/result";
import type { ResourceType } from "#fhir/r4/elements";
import { readElementList, readSummary, type WantedElements } from "./element-list.ts";
import { includeText, isInclude, readInclude, type Include } from "./include.ts";
import type { QueryPair } from "./query.ts";
import {
  conditionTexts,
  isJoin,
  readCondition,
  type ConditionRefusal,
  type Criteria,
  type Join,
  type SearchParameter,
} from "./condition.ts";
import { searchParametersOf, type SearchParameterDefinition } from "./parameters.ts";

export type { Criteria, SearchParameter } from "./condition.ts";

export interface SortKey {
  readonly definition: SearchParameterDefinition;
  readonly descending: boolean;
}

/** A type-level search: its criteria, and the form of the answer. */
export interface Search extends Criteria, WantedElements {
  /**
   * The rows have to belong to this patient: as their owner or, in a row without an owner, as a participant. `by` is
   * the criterion of the owner, one of `parameters`.
   */
  readonly compartment?: { readonly patient: string; readonly by: SearchParameter } | undefined;
  /** As the client wrote it, if its codes became ids: the ids of a data set's rows never leave. */
  readonly asked?: Pick<Search, "parameters" | "joins" | "compartment">;
  readonly includes: readonly Include[];
  readonly sort: readonly SortKey[];
  /** The most entries that the reader wants on a page (`_count`). */
  readonly count: number | undefined;
  /**
   * The number of visible matches (FHIR R4 §3.1.1.5.4): in place of them (`_summary=count`), or next to them
   * (`_total=accurate`).
   */
  readonly total?: "alone" | "included" | undefined;
  /** Names that are no parameters of the type, and that the reader lets a server ignore: the answer names them. */
  readonly ignored?: readonly string[];
}

export type SearchRefusal =
  | ConditionRefusal
  | { readonly reason: "parameter_repeated"; readonly parameter: string }
  | { readonly reason: "too_many_joins" }
  | { readonly reason: "format_not_supported" }
  /** A conditional form without any criterion would mean every resource of its type. */
  | { readonly reason: "criteria_missing" };

const countMax = 1_000_000_000;
// Each join is a separate search for every hop, and each include is a list that the origin gathers.
const [joinsMax, includesMax] = [4, 16];

// Parameters of FHIR R4 §3.1.1.5 and additions of R5 and servers: each would project, count or search past
// the view.
const notSupported: ReadonlySet<string> = new Set(
  "_contained _containedType _filter _text _content _query _list _type _score _graph _maxresults".split(" "),
);
const jsonFormats: ReadonlySet<string> = new Set([
  "json",
  "application/json",
  "application/fhir+json",
  "application/json+fhir", // DSTU2's name
  "text/json",
]);

/**
 * Reads the decoded query of a search on `type`. `base`: the FHIR base that the client calls, for
 * references below it.
 *
 * @param isLenient a name that R4 does not define for the type is ignored (ADR 123).
 */
export function readSearch(
  type: ResourceType,
  pairs: readonly QueryPair[],
  base?: string,
  isLenient = false,
): Result<Search, SearchRefusal> {
  const [parameters, joins, includes]: [SearchParameter[], Join[], Include[]] = [[], [], []];
  const ignored = new Set<string>();
  const once = new Map<string, string>();
  for (const { name, value } of pairs) {
    const parameter = /^_?[A-Za-z][A-Za-z0-9-]{0,63}/u.exec(name)?.[0] ?? "";
    if (name === "_contained" && value === "false") continue; // FHIR's default
    if (name === "_type" && value.split(",").includes(type)) continue; // of these types, the address asks for one
    if (notSupported.has(parameter)) return err({ reason: "parameter_not_supported", parameter });
    if (isInclude(name)) {
      const include = readInclude(type, name, value);
      if (include === undefined) return err({ reason: "parameter_value_malformed", parameter });
      includes.push(include);
    } else if (isOfResult(parameter)) {
      const refusal = noteOfResult(once, parameter, { name, value });
      if (refusal !== undefined) return err(refusal);
    } else if (isLenient && isOfNoType(type, name, parameter)) {
      ignored.add(parameter);
    } else {
      const condition = readCondition(type, { name, value }, base);
      if (!condition.ok) return condition;
      if (isJoin(condition.value)) joins.push(condition.value);
      else parameters.push(condition.value);
    }
  }
  if (joins.length > joinsMax || includes.length > includesMax) return err({ reason: "too_many_joins" });
  const sort = readSort(searchParametersOf(type), once.get("_sort"));
  if (!sort.ok) return sort;
  const count = once.get("_count");
  const list = once.get("_elements");
  const elements = list === undefined ? undefined : readElementList(type, list);
  if (list !== undefined && elements === undefined)
    return err({ reason: "parameter_value_malformed", parameter: "_elements" });
  if (count !== undefined && !/^(?:0|[1-9]\d{0,9})$/u.test(count))
    return err({ reason: "parameter_value_malformed", parameter: "_count" });
  const summary = readSummary(once.get("_summary"));
  // `_count=0` is `_summary=count` by another name (FHIR R4 §3.1.1.5.4).
  const isCountAlone = once.get("_summary") === "count" || count === "0";
  const total = isCountAlone ? "alone" : once.get("_total") === "accurate" ? "included" : undefined;
  return ok({
    type,
    parameters,
    joins,
    includes: [...new Map(includes.map((include) => [includeText(include), include])).values()],
    sort: sort.value,
    ...(total !== undefined && { total }),
    count: count === undefined || count === "0" ? undefined : Math.min(Number(count), countMax),
    ...(elements !== undefined && { elements }),
    ...(summary !== undefined && { summary }),
    ...(ignored.size > 0 && { ignored: [...ignored] }),
  });
}

/**
 * True for a name that no parameter of the type has. A name with an underscore is FHIR's own: such a parameter says
 * what a page is.
 */
const isOfNoType = (type: ResourceType, name: string, parameter: string): boolean =>
  /^[A-Za-z][\w.:-]*$/u.test(name) && !searchParametersOf(type).has(parameter);

/**
 * Notes a parameter of the result. Different values contradict each other, and servers differ in which value they
 * use; a list goes on.
 */
function noteOfResult(
  once: Map<string, string>,
  parameter: string,
  { name, value }: QueryPair,
): SearchRefusal | undefined {
  const before = once.get(parameter);
  const isList = parameter === "_elements" || parameter === "_sort";
  if (before !== undefined && before !== value && !isList) return { reason: "parameter_repeated", parameter };
  if (name !== parameter) return { reason: "modifier_not_supported", parameter };
  once.set(parameter, before === undefined || before === value ? value : `${before},${value}`);
  const isForm = isTotal(parameter, value) || (parameter === "_summary" && readSummary(value) !== undefined);
  return isForm ? undefined : refusePresentation(parameter, value);
}

/** True if a search may name the parameter at all; the view then decides for the given client. */
export const isSupported = ({ code, type, paths }: SearchParameterDefinition): boolean =>
  paths !== undefined && type !== "special" && !notSupported.has(code);

/** True if a parameter of a search asks for the number of matches. */
const isTotal = (parameter: string, value: string): boolean =>
  (parameter === "_summary" && value === "count") || (parameter === "_total" && value === "accurate");

const isOfResult = (name: string): boolean =>
  /^_(?:count|elements|sort|total)$/u.test(name) || isOfPresentation(name);

/** Presentation parameters of any read or search (FHIR R4 §3.1.0.1.11). */
export const isOfPresentation = (name: string): boolean => /^_(?:format|pretty|summary)$/u.test(name);

/**
 * The reason why a presentation parameter is refused, if it is. White space never changes an answer's
 * meaning, so `_pretty` is not refused.
 */
export function refusePresentation(parameter: string, value: string): SearchRefusal | undefined {
  if (parameter === "_format" && !isJsonFormat(value)) return { reason: "format_not_supported" };
  if (parameter === "_pretty" && !/^(?:true|false)?$/u.test(value))
    return { reason: "parameter_value_malformed", parameter };
  if (parameter === "_summary" && value !== "false") return { reason: "parameter_not_supported", parameter };
  // The origin's count includes hidden rows. A search counts the visible rows itself, and a rough number may be
  // left out.
  if (parameter === "_total" && value !== "none" && value !== "estimate")
    return { reason: "parameter_not_supported", parameter };
  return undefined;
}

/**
 * JSON by any of its names, with `+` read as a space too. Accepted media type parameters are this FHIR
 * version, and UTF-8.
 */
function isJsonFormat(value: string): boolean {
  const [name = "", ...parameters] = value.toLowerCase().split(";");
  return jsonFormats.has(name.trim().replace(" ", "+")) && parameters.every(isMet);
}

function readSort(
  known: ReadonlyMap<string, SearchParameterDefinition>,
  text: string | undefined,
): Result<readonly SortKey[], SearchRefusal> {
  const keys: SortKey[] = [];
  for (const part of text === undefined ? [] : text.split(",")) {
    const descending = part.startsWith("-");
    const definition = known.get(descending ? part.slice(1) : part);
    if (definition === undefined) return err({ reason: "parameter_value_malformed", parameter: "_sort" });
    if (definition.paths === undefined || definition.type === "composite")
      return err({ reason: "parameter_not_supported", parameter: definition.code });
    keys.push({ definition, descending });
  }
  return ok(keys);
}

/** The encoded query of a search, from its parsed parts alone. */
export function searchQuery({
  parameters,
  joins,
  includes,
  sort,
  count,
  elements,
  summary,
  total,
}: Omit<Search, "type">): string {
  const order = sort.map(({ definition, descending }) => (descending ? "-" : "") + definition.code).join(",");
  return [
    ...conditionTexts({ parameters, joins }),
    ...includes.map(includeText),
    ...(order === "" ? [] : [`_sort=${order}`]),
    ...(count === undefined ? [] : [`_count=${count}`]),
    ...(elements === undefined ? [] : [`_elements=${elements.join(",")}`]),
    ...(summary === undefined ? [] : [`_summary=${summary}`]),
    ...(total === undefined ? [] : [total === "alone" ? "_summary=count" : "_total=accurate"]),
  ].join("&");
}
