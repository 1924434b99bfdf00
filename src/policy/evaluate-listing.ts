import type { Operation } from "#fhir/operations";
import { isCompartmentType, mayBeOwned } from "#fhir/r4/compartment-tables";
import { type ResourceType, isResourceType, r4ResourceTypes } from "#fhir/r4/elements";
import {
  listingQuery,
  type EverythingRequest,
  type HistoryRequest,
  type LastNRequest,
  type Listing,
} from "#fhir/listing";
import { isContentType } from "#fhir/route";
import { ownedBy } from "#fhir/search/owner-parameter";
import type { FhirQuestion } from "#fhir/ports";
import { searchQuery } from "#fhir/search/search";
import { searchParametersOf, type SearchParameterDefinition } from "#fhir/search/parameters";
import { err, ok, type Result } from "#kernel/result";
import type { CompiledPolicy } from "./compile.ts";
import { evaluate } from "./evaluate.ts";
import { evaluateSearch, ofAllParts } from "#policy/search/evaluate-search";
import type { Grant, PolicyRefusal, SearchGrant } from "./grant.ts";
import { showsInFull } from "./relations.ts";
import { rowAccessOf, isOpen, isUnrestricted, patientsWithin, type Access } from "./row-access.ts";
import { countMax, originCount, pageCount } from "#fhir/search/page-count";

/** A permitted listing. The grant of its own type decides about each row. */
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
  /** The grant to read the type, for each version as a separate row and for the resource as it is now. */
  readonly read: Grant;
  /**
   * Deletions are shown only to a principal with access to every row of the type: the owner of a deleted
   * resource is no longer known.
   */
  readonly showsDeleted: boolean;
}

export interface EverythingGrant extends Paged {
  readonly kind: "everything";
  /** `undefined`: a search of the whole server. */
  readonly id: string | undefined;
  /** The patient to whom each row must belong; `undefined`: the grants of the types decide alone. */
  readonly owner: string | undefined;
  /** The client's address, below the FHIR base. */
  readonly path: string;
  /**
   * For `$everything` the grant to read the patient: a hidden patient gets the same answer as an absent patient.
   * A search of several types does not ask for the patient.
   */
  readonly patient: Grant | undefined;
  /**
   * The types that may be searched, and for `$everything` also read. Resources that no patient owns are included
   * if these rows refer to them.
   */
  readonly rows: ReadonlyMap<string, { readonly search: SearchGrant; readonly read: Grant }>;
  /** Any of these grants: it decides about the included resources. */
  readonly including: Grant;
}

export interface LastNGrant {
  readonly kind: "lastn";
  readonly search: SearchGrant;
  readonly question: string;
  readonly max: number;
}

/** Like `evaluate`, for interactions that answer with a list and are not a search of one type. */
export function evaluateListing(
  policy: CompiledPolicy,
  access: Access,
  listing: Listing,
): Result<ListingGrant, PolicyRefusal> {
  switch (listing.kind) {
    case "history":
      return evaluateHistory(policy, access, listing);
    case "everything":
      return (
        (listing.within === "operation" ? allowed(policy, "everything") : undefined) ??
        evaluateEverything(policy, access, listing)
      );
    case "lastn":
      return allowed(policy, "lastn") ?? evaluateLastN(policy, access, listing);
  }
}

/** The refusal of an operation that the policy does not allow; `undefined`: the operation is allowed. */
export function allowed(
  policy: CompiledPolicy,
  operation: Operation,
): Result<never, PolicyRefusal> | undefined {
  return policy.operations.has(operation) ? undefined : err({ reason: "operation_not_granted", operation });
}

function evaluateHistory(
  policy: CompiledPolicy,
  access: Access,
  listing: HistoryRequest,
): Result<HistoryGrant, PolicyRefusal> {
  const { type, id } = listing;
  const read = evaluate(policy, access, { kind: "read", type, id: id ?? "any" });
  if (!read.ok) return read;
  const { expects } = read.value;
  // A resource that no patient owns is readable only as it is now, because a row refers to it now. The versions of a
  // content stand behind the row or the context that leads to the content.
  const isContent = isContentType(type) && id !== undefined;
  if (!isContent && expects.kind !== "search" && (expects.needsReferrer || expects.mayBeOwned))
    return err({ reason: "outside_patient_compartment", type });
  const rules = policy.rulesTo(type, "read");
  const rowAccess = rowAccessOf(access, type, "r");
  const coversAll =
    rowAccess !== undefined &&
    isUnrestricted(rowAccess) &&
    rules.some(({ conditions }) => conditions.length === 0);
  if (id === undefined && !coversAll) return err({ reason: "history_needs_unrestricted_access", type });

  // A search by time reveals the time.
  const changed = searchParametersOf(type).get("_lastUpdated");
  const byTime = listing.since !== undefined ? "_since" : listing.at !== undefined ? "_at" : undefined;
  const showsTime = (definition: SearchParameterDefinition) =>
    rules.every((rule) => showsInFull(policy, type, rule, definition));
  if (byTime !== undefined && (changed === undefined || !showsTime(changed)))
    return err({ reason: "parameter_hidden", parameter: byTime });

  const count = pageCount(listing.count);
  const query = listingQuery({ ...listing, count: originCount(count) });
  const ask = { path: id === undefined ? `${type}/_history` : `${type}/${id}/_history`, query };
  return ok({
    kind: "history",
    type,
    id,
    read: read.value,
    showsDeleted: coversAll,
    ask,
    question: listingQuery(listing),
    count,
  });
}

function evaluateEverything(
  policy: CompiledPolicy,
  access: Access,
  listing: EverythingRequest,
): Result<EverythingGrant, PolicyRefusal> {
  const { id, within, types } = listing;
  if (within === "system" && types === undefined && r4ResourceTypes.some((type) => isOfAll(access, type)))
    return err({ reason: "search_needs_types" });
  const patient =
    within === "operation" && id !== undefined
      ? evaluate(policy, access, { kind: "read", type: "Patient", id })
      : undefined;
  if (patient?.ok === false) return patient;
  const rows = new Map<string, { readonly search: SearchGrant; readonly read: Grant }>();
  let refused: PolicyRefusal = { reason: "outside_patient_compartment", type: types?.[0] ?? "Patient" };
  for (const type of types ?? (within === "operation" ? r4ResourceTypes : frequentFirst)) {
    if (id !== undefined && !isCompartmentType(type) && !mayBeOwned(type)) continue;
    const both = evaluateRows(policy, access, type, listing);
    if (both.ok) rows.set(type, both.value);
    else if (listing.criteria !== undefined && !ofType.has(both.error.reason)) return both;
    else refused = both.error;
  }
  const [any] = rows.values();
  if (any === undefined) return err(refused);
  const pathOf = (patient: string | undefined) =>
    patient === undefined ? "" : `Patient/${patient}/${within === "operation" ? "$everything" : "*"}`;
  const isHeld = [...rows.keys()].every((type) => isHeldTo(access, type, id));
  const count = pageCount(listing.count);
  const { criteria: _ofRows, ...whole } = listing;
  const query = listingQuery({
    ...whole,
    types: [...rows.keys()].filter(isResourceType),
    count: originCount(count),
  });
  return ok({
    kind: "everything",
    id,
    owner: isHeld ? undefined : id,
    path: pathOf(listing.asked ?? id),
    patient: patient?.value,
    rows,
    including: patient?.value ?? any.search,
    ask: { path: pathOf(id), query },
    question: listingQuery(listing),
    count,
  });
}

/** Refusals that leave a type out of a list. A type whose rows cannot be searched so refuses the list. */
const ofType: ReadonlySet<string> = new Set([
  "rule_missing",
  "scope_insufficient",
  "outside_patient_compartment",
] satisfies readonly PolicyRefusal["reason"][]);

/**
 * Types that most records have, then all others: in the order of the alphabet the first page of a search of all
 * types would often be empty.
 */
const frequentFirst: readonly ResourceType[] = [
  ...new Set<ResourceType>([
    "Patient",
    "Encounter",
    "Condition",
    "Observation",
    "Procedure",
    "MedicationRequest",
    "AllergyIntolerance",
    "Immunization",
    "DiagnosticReport",
    "DocumentReference",
    ...r4ResourceTypes,
  ]),
];

/** Answers whether the scopes reach rows of a type whatever patient owns them. */
const isOfAll = (access: Access, type: string): boolean => {
  const rowAccess = rowAccessOf(access, type, "s");
  return rowAccess !== undefined && patientsWithin(rowAccess) === undefined;
};

/** Answers whether the scopes alone hold a search of the type to the rows of this patient. */
function isHeldTo(access: Access, type: string, id: string | undefined): boolean {
  const rowAccess = rowAccessOf(access, type, "s");
  const patients = rowAccess && patientsWithin(rowAccess);
  return id !== undefined && patients?.size === 1 && !isOpen(patients) && patients.has(id);
}

/**
 * The rows of one type that the client could find by a search of its own: by owner if there is a patient, and by time only if the
 * client may sort by time.
 */
function evaluateRows(
  policy: CompiledPolicy,
  access: Access,
  type: ResourceType,
  { id, within, types, since, start, end, count, criteria }: EverythingRequest,
): Result<{ readonly search: SearchGrant; readonly read: Grant }, PolicyRefusal> {
  const owner = id === undefined ? undefined : ownedBy(type, [id]);
  if (owner === undefined && id !== undefined) return err({ reason: "outside_patient_compartment", type });
  const read =
    within === "operation" ? evaluate(policy, access, { kind: "read", type, id: "any" }) : undefined;
  if (read?.ok === false) return read;
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
      parameters: owner === undefined ? (criteria?.of.get(type) ?? []) : [owner],
      compartment: owner === undefined || id === undefined ? undefined : { patient: id, by: owner },
      joins: [],
      includes:
        includes === "*"
          ? [{ direction: "include", iterate: false, source: type, parameter: "*", target: undefined }]
          : [],
      sort: times.map((definition) => ({ definition, descending: false })),
      count,
    });
  // The include is optional. R4's compartment has no row that a patient's row only refers to.
  const withIncludes = within === "compartment" ? undefined : search("*");
  const found = withIncludes?.ok === true ? withIncludes : search(undefined);
  if (!found.ok) return found;
  const isIncluded = (target: string) =>
    !isCompartmentType(target) &&
    (within === "operation" ||
      // a type of which the rows are found needs no row that leads to it
      (!isOfAll(access, target) && (types === undefined || types.some((one) => one === target))));
  const shared = found.value.includes.map((include) => ({
    ...include,
    targets: new Set([...include.targets].filter(isIncluded)),
  }));
  const all = ofAllParts(found.value);
  const rows = criteria === undefined ? all : { ...all, clientParameters: found.value.clientParameters };
  return ok({
    search: { ...rows, includes: shared.filter(({ targets }) => targets.size > 0) },
    read: read?.value ?? rows,
  });
}

function evaluateLastN(
  policy: CompiledPolicy,
  access: Access,
  listing: LastNRequest,
): Result<LastNGrant, PolicyRefusal> {
  const date = searchParametersOf("Observation").get("date");
  // Time decides which observation is the latest: a client that may not sort by it may not ask for the
  // latest.
  const sort = date === undefined ? [] : [{ definition: date, descending: true }];
  const search = evaluateSearch(policy, access, { ...listing, posted: false, sort, count: countMax });
  if (!search.ok) return search;
  const { max } = listing;
  return ok({
    kind: "lastn",
    search: search.value,
    question: `${searchQuery({ ...listing, ...listing.asked })}&max=${max}`,
    max,
  });
}
