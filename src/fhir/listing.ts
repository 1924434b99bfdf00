import { parameterName } from "#fhir/r4/names";
import { err, ok, type Result } from "#kernel/result";
import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import type { QueryPair } from "#fhir/search/query";
import type { SearchParameter } from "#fhir/search/condition";
import { searchParametersOf } from "#fhir/search/parameters";
import {
  isOfPresentation,
  readSearch,
  refusePresentation,
  type Search,
  type SearchRefusal,
} from "#fhir/search/search";
import { readValue } from "#fhir/search/value";

/** Requests that are answered with a list and are no search of a single type. */
export type Listing = HistoryRequest | EverythingRequest | LastNRequest;

/** `_history` of a resource, or of a whole type (FHIR R4 http §3.1.0.9). Times as FHIR writes them. */
export interface HistoryRequest {
  readonly kind: "history";
  readonly type: ResourceType;
  readonly id: string | undefined;
  readonly since: string | undefined;
  /** Versions that were current at some time within this period. */
  readonly at: string | undefined;
  readonly count: number | undefined;
}

/**
 * The rows of a patient, of several types: `$everything`
 * (http://hl7.org/fhir/R4/operation-patient-everything.html), or a search (FHIR R4 §3.1.0.9).
 */
export interface EverythingRequest {
  readonly kind: "everything";
  /** `Patient/[id]/$everything`, `Patient/[id]/*`, or the search of the whole server. */
  readonly within: "operation" | "compartment" | "system";
  readonly type: "Patient";
  /** `undefined`: a search of the whole server. */
  readonly id: string | undefined;
  /** The code in the place of the id, as the client wrote it. */
  readonly asked?: string;
  readonly types: readonly ResourceType[] | undefined;
  /** For a search of several types: what their rows have to meet, by type, and as the client asked for it. */
  readonly criteria?: {
    readonly asked: readonly QueryPair[];
    readonly of: ReadonlyMap<ResourceType, readonly SearchParameter[]>;
  };
  readonly since: string | undefined;
  /** Days of care. */
  readonly start: string | undefined;
  readonly end: string | undefined;
  readonly count: number | undefined;
}

/**
 * `Observation/$lastn`: the last `max` observations of each kind that the search finds
 * (http://hl7.org/fhir/R4/observation-operation-lastn.html).
 */
export interface LastNRequest extends Search {
  readonly kind: "lastn";
  readonly max: number;
}

export type ListingRefusal =
  | SearchRefusal
  /** `$lastn` needs a patient or subject. */
  | { readonly reason: "subject_missing" };

export function readHistory(
  type: ResourceType,
  id: string | undefined,
  pairs: readonly QueryPair[],
): Result<HistoryRequest, ListingRefusal> {
  const read = readNamed(pairs, { _since: isTime, _at: isTime, _count: isCount });
  if (!read.ok) return read;
  const { _since: since, _at: at, _count: count } = read.value;
  return ok({ kind: "history", type, id, since: timeOf(since), at: timeOf(at), count: numberOf(count) });
}

export function readEverything(
  { within, id }: Pick<EverythingRequest, "within" | "id">,
  pairs: readonly QueryPair[],
  base?: string,
): Result<EverythingRequest, ListingRefusal> {
  // the parameter may repeat
  const types = pairs.flatMap(({ name, value }) => (name === "_type" ? value.split(",") : []));
  if (!types.every(isResourceType)) return err({ reason: "parameter_value_malformed", parameter: "_type" });
  const isCriterion = ({ name }: QueryPair) =>
    within === "system" && types.length > 0 && name !== "_count" && !isOfPresentation(name);
  const others = pairs.filter((pair) => pair.name !== "_type" && !isCriterion(pair));
  const asked = pairs.filter((pair) => pair.name !== "_type" && isCriterion(pair));
  const criteria = readCriteriaOf(new Set(types), asked, base);
  if (!criteria.ok) return criteria;
  const isOfOperation = (text: string) => within === "operation" && isTime(text);
  const read = readNamed(others, {
    start: isOfOperation,
    end: isOfOperation,
    _since: isOfOperation,
    _count: isCount,
  });
  if (!read.ok) return read;
  const { start, end, _since: since, _count: count } = read.value;
  return ok({
    kind: "everything",
    within,
    type: "Patient",
    id,
    types: types.length === 0 ? undefined : [...new Set(types)],
    ...(asked.length > 0 && { criteria: { asked, of: criteria.value } }),
    since: timeOf(since),
    start: timeOf(start),
    end: timeOf(end),
    count: numberOf(count),
  });
}

/** Each type has to have the parameters: rows of a type without them would not be what was asked for. */
function readCriteriaOf(
  types: ReadonlySet<ResourceType>,
  asked: readonly QueryPair[],
  base: string | undefined,
): Result<ReadonlyMap<ResourceType, readonly SearchParameter[]>, SearchRefusal> {
  const of = new Map<ResourceType, readonly SearchParameter[]>();
  for (const type of asked.length === 0 ? [] : types) {
    const search = readSearch(type, asked, base);
    if (!search.ok) return search;
    const { parameters, joins } = search.value;
    // Several types have no common order, and no common form.
    const other = joins[0]?.by.code ?? asked.find(({ name }) => isOfForm.test(name))?.name;
    if (other !== undefined) return err({ reason: "parameter_not_supported", parameter: other });
    of.set(type, parameters);
  }
  return ok(of);
}

const isOfForm = /^_(?:sort|total|elements|include|revinclude)\b/u;

// A search, which has pages, serves requests for more of a kind.
const lastNMax = 1_000;

/** A restricted search: ordered by time only, without pages, and without included resources. */
export function readLastN(pairs: readonly QueryPair[], base?: string): Result<LastNRequest, ListingRefusal> {
  const read = readNamed(
    pairs.filter(({ name }) => name === "max"),
    { max: (text) => isCount(text) && Number(text) <= lastNMax },
  );
  if (!read.ok) return read;
  const search = readSearch(
    "Observation",
    pairs.filter(({ name }) => name !== "max"),
    base,
  );
  if (!search.ok) return search;
  const { parameters, joins, includes, sort, count, elements, summary, total } = search.value;
  const unsupported = [
    ["_sort", sort.length > 0],
    ["_count", count !== undefined],
    ["_include", includes.length > 0],
    ["_has", joins.length > 0],
    ["_total", total !== undefined],
    ["_summary", summary !== undefined],
    ["_elements", elements !== undefined], // kinds and times are derived from the disclosed elements
  ] as const;
  const refused = unsupported.find(([, isThere]) => isThere);
  if (refused !== undefined) return err({ reason: "parameter_not_supported", parameter: refused[0] });
  if (!parameters.some(({ definition: { code } }) => code === "patient" || code === "subject"))
    return err({ reason: "subject_missing" });
  return ok({ kind: "lastn", ...search.value, max: numberOf(read.value["max"]) ?? 1 });
}

/** The encoded query of a listing, from its parsed parts alone: a page's link stores it. */
export function listingQuery(request: HistoryRequest | EverythingRequest): string {
  const { since, count } = request;
  const asked = request.kind === "everything" ? (request.criteria?.asked ?? []) : [];
  const specific =
    request.kind === "history"
      ? { _at: request.at }
      : { _type: request.types?.join(","), start: request.start, end: request.end };
  const stated = [
    ...asked.map(({ name, value }) => [name, value] as const),
    ...Object.entries({ ...specific, _since: since, _count: count?.toString() }),
  ];
  return stated
    .flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${value.split(",").map(encodeURIComponent).join(",")}`],
    )
    .join("&");
}

/**
 * Reads the named parameters, each at most once, and refuses all further parameters except presentation: an
 * origin would ignore an unknown parameter.
 */
function readNamed<Name extends string>(
  pairs: readonly QueryPair[],
  grammar: Readonly<Record<Name, (text: string) => boolean>>,
): Result<Readonly<Partial<Record<Name, string>>>, SearchRefusal> {
  const read = new Map<string, string>();
  for (const { name, value } of pairs) {
    const isRight = Object.entries<(text: string) => boolean>(grammar).find(([known]) => known === name)?.[1];
    if (isRight === undefined && !isOfPresentation(name)) {
      const parameter = parameterName.exec(name)?.[0];
      return err(
        parameter === undefined
          ? { reason: "parameter_malformed" }
          : { reason: "parameter_not_supported", parameter },
      );
    }
    if (read.has(name) && read.get(name) !== value)
      return err({ reason: "parameter_repeated", parameter: name });
    read.set(name, value);
    const refusal =
      isRight === undefined ? refusePresentation(name, value) : isRight(value) ? undefined : malformed(name);
    if (refusal !== undefined) return err(refusal);
  }
  // The map has only names of the grammar.
  return ok(Object.fromEntries(read) as Partial<Record<Name, string>>);
}

const malformed = (parameter: string) => ({ reason: "parameter_value_malformed", parameter }) as const;
const isCount = (text: string) => /^[1-9]\d{0,8}$/u.test(text);
const numberOf = (text: string | undefined) => (text === undefined ? undefined : Number(text));
/** A raw `+` in a time zone arrives as a space. */
const timeOf = (text: string | undefined) => text?.replace(/ (?=\d\d:\d\d$)/u, "+");

const someDate = searchParametersOf("Resource").get("_lastUpdated");

/** A date or an instant of the calendar, without a comparison prefix. */
const isTime = (text: string) =>
  someDate !== undefined &&
  /^\d/u.test(text) &&
  readValue(text, someDate, { base: undefined, type: undefined }) !== undefined;
