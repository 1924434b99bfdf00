import { isCompartmentType } from "#fhir/r4/compartment";
import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import {
  listingQuery,
  type EverythingRequest,
  type HistoryRequest,
  type LastNRequest,
  type Listing,
} from "#fhir/listing";
import { ownedBy } from "#fhir/search/owner-parameter";
import type { FhirQuestion } from "#fhir/ports";
import { r4ResourceTypes } from "#fhir/r4/types.gen";
import { searchQuery } from "#fhir/search/search";
import { searchParametersOf, type SearchParameterDefinition } from "#fhir/search/parameters";
import { err, ok, type Result } from "#kernel/result";
import type { CompiledPolicy } from "./compile.ts";
import { evaluate, evaluateSearch } from "./evaluate.ts";
import type { Grant, PolicyRefusal, SearchGrant } from "./grant.ts";
import { rowAccessOf, isUnrestricted, type Access } from "./row-access.ts";
import { countMax, originCount, pageCount } from "./page-count.ts";
import type { PolicyOperation } from "./schema.ts";
import { searchableBy } from "./searchable.ts";

/** A permitted listing. Each row of it is judged by the grant of its own type. */
export type ListingGrant = HistoryGrant | EverythingGrant | LastNGrant;

interface Paged {
  readonly ask: FhirQuestion;
  /** The client's question in its own terms. */
  readonly question: string;
  /** The most entries of one page. */
  readonly count: number;
}

export interface HistoryGrant extends Paged {
  readonly kind: "history";
  readonly type: ResourceType;
  readonly id: string | undefined;
  /** To read the type: each version is a row of its own, and the resource as it is now. */
  readonly read: Grant;
  /**
   * That a resource was deleted is told only to those who may read every row of the type: who owned it,
   * nobody can tell any more.
   */
  readonly showsDeleted: boolean;
}

export interface EverythingGrant extends Paged {
  readonly kind: "everything";
  readonly id: string;
  /** To read the patient: everything about one who may not be seen is the same as about nobody. */
  readonly patient: Grant;
  /**
   * The types that may be both searched and read. What their rows refer to and is no patient's comes along.
   */
  readonly rows: ReadonlyMap<string, { readonly search: SearchGrant; readonly read: Grant }>;
}

export interface LastNGrant {
  readonly kind: "lastn";
  readonly search: SearchGrant;
  readonly question: string;
  readonly max: number;
}

/** As `evaluate`, for what answers with a list and is no search of one type. */
export function evaluateListing(
  policy: CompiledPolicy,
  access: Access,
  asked: Listing,
): Result<ListingGrant, PolicyRefusal> {
  switch (asked.kind) {
    case "history":
      return evaluateHistory(policy, access, asked);
    case "everything":
      return allowed(policy, "everything") ?? evaluateEverything(policy, access, asked);
    case "lastn":
      return allowed(policy, "lastn") ?? evaluateLastN(policy, access, asked);
  }
}

/** Why an operation may not be called, if it may not. */
export function allowed(
  policy: CompiledPolicy,
  operation: PolicyOperation,
): Result<never, PolicyRefusal> | undefined {
  return policy.operations.has(operation) ? undefined : err({ reason: "operation_not_granted", operation });
}

function evaluateHistory(
  policy: CompiledPolicy,
  access: Access,
  asked: HistoryRequest,
): Result<HistoryGrant, PolicyRefusal> {
  const { type, id } = asked;
  const read = evaluate(policy, access, { kind: "read", type, id: id ?? "any" });
  if (!read.ok) return read;
  const { expects } = read.value;
  // Who is nobody's own is read as it is now, for the sake of a row that refers to it now.
  if (expects.kind !== "search" && expects.referrers.length > 0)
    return err({ reason: "outside_patient_compartment", type });
  const rules = policy.rulesFor(type).filter(({ interactions }) => interactions.has("read"));
  const hold = rowAccessOf(access, type, "r");
  const isOfAll =
    hold !== undefined && isUnrestricted(hold) && rules.some(({ conditions }) => conditions.length === 0);
  if (id === undefined && !isOfAll) return err({ reason: "history_needs_unrestricted_access", type });

  // Asking by time finds the time out.
  const changed = searchParametersOf(type).get("_lastUpdated");
  const byTime = asked.since !== undefined ? "_since" : asked.at !== undefined ? "_at" : undefined;
  const showsTime = (definition: SearchParameterDefinition) =>
    rules.every((rule) => searchableBy(policy.viewOf(type, [rule]).object, definition).kind === "free");
  if (byTime !== undefined && (changed === undefined || !showsTime(changed)))
    return err({ reason: "parameter_hidden", parameter: byTime });

  const count = pageCount(asked.count);
  const query = listingQuery({ ...asked, count: originCount(count) });
  const ask = { path: id === undefined ? `${type}/_history` : `${type}/${id}/_history`, query };
  return ok({
    kind: "history",
    type,
    id,
    read: read.value,
    showsDeleted: isOfAll,
    ask,
    question: listingQuery(asked),
    count,
  });
}

function evaluateEverything(
  policy: CompiledPolicy,
  access: Access,
  asked: EverythingRequest,
): Result<EverythingGrant, PolicyRefusal> {
  const { id } = asked;
  const patient = evaluate(policy, access, { kind: "read", type: "Patient", id });
  if (!patient.ok) return patient;
  const rows = new Map<string, { readonly search: SearchGrant; readonly read: Grant }>();
  let refused: PolicyRefusal = { reason: "outside_patient_compartment", type: asked.types?.[0] ?? "Patient" };
  for (const type of asked.types ?? r4ResourceTypes.filter(isResourceType)) {
    if (!isCompartmentType(type)) continue;
    const both = evaluateRows(policy, access, type, asked);
    if (both.ok) rows.set(type, both.value);
    else refused = both.error;
  }
  if (rows.size === 0) return err(refused);
  const count = pageCount(asked.count);
  const query = listingQuery({
    ...asked,
    types: [...rows.keys()].filter(isResourceType),
    count: originCount(count),
  });
  const ask = { path: `Patient/${id}/$everything`, query };
  return ok({
    kind: "everything",
    id,
    patient: patient.value,
    rows,
    ask,
    question: listingQuery(asked),
    count,
  });
}

/**
 * The rows of one type as the client could find them itself: by whose they are, and by time only where it
 * could sort by that.
 */
function evaluateRows(
  policy: CompiledPolicy,
  access: Access,
  type: ResourceType,
  { id, since, start, end }: EverythingRequest,
): Result<{ readonly search: SearchGrant; readonly read: Grant }, PolicyRefusal> {
  const owner = ownedBy(type, [id]);
  if (owner === undefined) return err({ reason: "outside_patient_compartment", type });
  const read = evaluate(policy, access, { kind: "read", type, id: "any" });
  if (!read.ok) return read;
  const times = [...searchParametersOf(type).values()].filter(
    ({ code, type: kind, paths }) =>
      kind === "date" &&
      paths !== undefined &&
      (code === "_lastUpdated"
        ? since !== undefined
        : type !== "Patient" && (start !== undefined || end !== undefined)),
  );
  const search = (includes: "*" | undefined) =>
    evaluateSearch(policy, access, {
      type,
      posted: false,
      parameters: [owner],
      joins: [],
      includes:
        includes === "*"
          ? [{ direction: "include", iterate: false, source: type, parameter: "*", target: undefined }]
          : [],
      sort: times.map((definition) => ({ definition, descending: false })),
      count: undefined,
    });
  const along = search("*");
  const found = along.ok ? along : search(undefined); // it may bring nothing along
  if (!found.ok) return found;
  const shared = found.value.includes.map((include) => ({
    ...include,
    targets: new Set([...include.targets].filter((target) => !isCompartmentType(target))),
  }));
  return ok({
    search: { ...found.value, includes: shared.filter(({ targets }) => targets.size > 0) },
    read: read.value,
  });
}

function evaluateLastN(
  policy: CompiledPolicy,
  access: Access,
  asked: LastNRequest,
): Result<LastNGrant, PolicyRefusal> {
  const date = searchParametersOf("Observation").get("date");
  // The latest is known by its time: who may not sort by it may not ask for it.
  const sort = date === undefined ? [] : [{ definition: date, descending: true }];
  const search = evaluateSearch(policy, access, { ...asked, posted: false, sort, count: countMax });
  if (!search.ok) return search;
  const { max } = asked;
  return ok({ kind: "lastn", search: search.value, question: `${searchQuery(asked)}&max=${max}`, max });
}
