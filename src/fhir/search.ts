import { err, ok, type Result } from "#kernel/result";
import { isResourceType, type ResourceType } from "./elements.ts";
import type { QueryPair } from "./query.ts";
import { searchParametersOf, type SearchParameterDefinition } from "./search-parameters.ts";
import { readValue, splitValues, type SearchValue, type ValueContext } from "./search-value.ts";

/** One parameter of a search. Repeated parameters stay repeated, in order: all must hold (FHIR R4 §3.1.1.4.3). */
export interface SearchParameter {
  readonly definition: SearchParameterDefinition;
  /** Any of them may hold. */
  readonly values: readonly SearchValue[];
}

export interface SortKey {
  readonly definition: SearchParameterDefinition;
  readonly descending: boolean;
}

/** A type-level search: what is asked for, and how the answer should look. */
export interface Search {
  readonly type: ResourceType;
  readonly parameters: readonly SearchParameter[];
  readonly sort: readonly SortKey[];
  /** The most entries that the reader wants on a page (`_count`). */
  readonly count: number | undefined;
}

/** `parameter` is a name of the FHIR specification or has the form of one; a value is never repeated. */
export type SearchRefusal =
  | { readonly reason: "malformed_parameter" }
  | { readonly reason: "unknown_parameter"; readonly parameter: string }
  /** Known to R4, not carried by this version: composite and special parameters, and those of joins, text and filters. */
  | { readonly reason: "parameter_not_carried"; readonly parameter: string }
  | { readonly reason: "modifier_not_carried"; readonly parameter: string }
  | { readonly reason: "chain_not_carried"; readonly parameter: string }
  | { readonly reason: "repeated_parameter"; readonly parameter: string }
  | { readonly reason: "too_many_values"; readonly parameter: string }
  | { readonly reason: "malformed_value"; readonly parameter: string }
  | { readonly reason: "format_not_carried" }
  /** A conditional form that names no criterion would mean every resource of its type. */
  | { readonly reason: "criteria_missing" };

const valuesMax = 100;
const countMax = 1_000_000_000;

// FHIR R4 §3.1.1.5 and what R5 and servers add: each would join, project, count or search past the view.
const notCarried: ReadonlySet<string> = new Set(
  "_has _include _revinclude _total _elements _contained _containedType _filter _text _content _query _list _type _score _graph _maxresults".split(
    " ",
  ),
);
const jsonFormats: ReadonlySet<string> = new Set(["json", "application/json", "application/fhir+json", "text/json"]);

const nameGrammar = /^(?<code>_?[A-Za-z][A-Za-z0-9-]{0,63})(?<modifier>:[A-Za-z-]{1,64})?(?<chain>[.:][A-Za-z0-9.:*_-]{1,200})?$/u;

/** Reads the decoded query of a search on `type`. `base`: the FHIR base that the client calls, for references below it. */
export function readSearch(type: ResourceType, pairs: readonly QueryPair[], base?: string): Result<Search, SearchRefusal> {
  const parameters: SearchParameter[] = [];
  const once = new Map<string, string>();
  const known = searchParametersOf(type);
  for (const { name, value } of pairs) {
    const { code: parameter, modifier, chain } = nameGrammar.exec(name)?.groups ?? {};
    if (parameter === undefined) return err({ reason: "malformed_parameter" });
    if (notCarried.has(parameter)) return err({ reason: "parameter_not_carried", parameter });
    const result = parameter === "_count" || parameter === "_sort" || isOfPresentation(parameter);
    const definition = known.get(parameter);
    if (definition === undefined && !result) return err({ reason: "unknown_parameter", parameter });
    if (chain !== undefined) return err({ reason: "chain_not_carried", parameter });
    const said = modifier?.slice(1);
    const named = said !== undefined && definition?.type === "reference" && isResourceType(said) ? said : undefined;
    if (said !== undefined && named === undefined) return err({ reason: "modifier_not_carried", parameter });
    if (result) {
      // Two of these contradict each other, and servers differ in which they believe.
      if (once.has(parameter)) return err({ reason: "repeated_parameter", parameter });
      once.set(parameter, value);
      const refusal = refusePresentation(parameter, value);
      if (refusal !== undefined) return err(refusal);
    } else if (definition !== undefined) {
      const read = readParameter(definition, value, { base, type: named });
      if (!read.ok) return read;
      parameters.push(read.value);
    }
  }
  const sort = readSort(known, once.get("_sort"));
  if (!sort.ok) return sort;
  const count = once.get("_count");
  // `_count=0` is `_summary=count` by another name (FHIR R4 §3.1.1.5.4).
  if (count !== undefined && !/^[1-9]\d{0,9}$/u.test(count)) return err({ reason: "malformed_value", parameter: "_count" });
  return ok({ type, parameters, sort: sort.value, count: count === undefined ? undefined : Math.min(Number(count), countMax) });
}

/** Whether a search may name the parameter at all: the view decides whether this one may. */
export const isCarried = ({ code, type, paths }: SearchParameterDefinition): boolean =>
  paths !== undefined && type !== "composite" && type !== "special" && !notCarried.has(code);

/** Parameters of any read or search that say how the answer is written (FHIR R4 §3.1.0.1.11): only what it is anyway can be asked for. */
export const isOfPresentation = (name: string): boolean => name === "_format" || name === "_pretty" || name === "_summary";

/** Why a parameter of presentation cannot be had, if it cannot. White space is never part of an answer's meaning: `_pretty` is not refused. */
export function refusePresentation(parameter: string, value: string): SearchRefusal | undefined {
  if (parameter === "_format" && !isJsonFormat(value)) return { reason: "format_not_carried" };
  if (parameter === "_pretty" && value !== "true" && value !== "false") return { reason: "malformed_value", parameter };
  if (parameter === "_summary" && value !== "false") return { reason: "parameter_not_carried", parameter };
  return undefined;
}

/** JSON by any of its names, `+` read as a space included; of its parameters the version that this is, and the only encoding of FHIR. */
function isJsonFormat(value: string): boolean {
  const [name = "", ...parameters] = value.toLowerCase().split(";");
  return (
    jsonFormats.has(name.trim().replace("fhir json", "fhir+json")) &&
    parameters.every((parameter) => /^\s*(?:fhirversion=4\.0(?:\.\d)?|charset=utf-8)\s*$/u.test(parameter))
  );
}

function readParameter(
  definition: SearchParameterDefinition,
  value: string,
  context: ValueContext,
): Result<SearchParameter, SearchRefusal> {
  const { code: parameter, paths } = definition;
  if (paths === undefined) return err({ reason: "parameter_not_carried", parameter });
  const texts = splitValues(value);
  if (texts.length > valuesMax) return err({ reason: "too_many_values", parameter });
  const values = texts.map((text) => readValue(text, definition, context)).filter((read) => read !== undefined);
  return values.length === texts.length ? ok({ definition, values }) : err({ reason: "malformed_value", parameter });
}

function readSort(
  known: ReadonlyMap<string, SearchParameterDefinition>,
  text: string | undefined,
): Result<readonly SortKey[], SearchRefusal> {
  const keys: SortKey[] = [];
  for (const part of text === undefined ? [] : text.split(",")) {
    const descending = part.startsWith("-");
    const definition = known.get(descending ? part.slice(1) : part);
    if (definition === undefined) return err({ reason: "malformed_value", parameter: "_sort" });
    if (definition.paths === undefined) return err({ reason: "parameter_not_carried", parameter: definition.code });
    keys.push({ definition, descending });
  }
  return ok(keys);
}

/** The encoded query of a search, from its parts alone. */
export function searchQuery(parameters: readonly SearchParameter[], sort: readonly SortKey[], count: number | undefined): string {
  const asked = parameters.map(
    ({ definition, values }) => `${definition.code}=${values.map(({ text }) => encodeURIComponent(text)).join(",")}`,
  );
  const order = sort.map(({ definition, descending }) => (descending ? "-" : "") + definition.code).join(",");
  return [...asked, ...(order === "" ? [] : [`_sort=${order}`]), ...(count === undefined ? [] : [`_count=${count}`])].join("&");
}
