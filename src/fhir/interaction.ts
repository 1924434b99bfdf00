import { operationAt, operationTable } from "#fhir/operations";
import { parameterName } from "#fhir/r4/names";
import { err, ok, type Result } from "#kernel/result";
import { readAccounting, type AccountingRequest } from "./accounting-request.ts";
import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import { readElementList, readSummary, type WantedElements } from "#fhir/search/element-list";
import {
  readEverything,
  readHistory,
  readLastN,
  type EverythingRequest,
  type Listing,
  type ListingRefusal,
} from "./listing.ts";
import { inEncounter, ownedBy } from "#fhir/search/owner-parameter";
import { httpVerbs, type HttpVerb } from "./http-verb.ts";
import { isAttachmentLink, isContentType, readRoute, type Route, type RouteRefusal } from "./route.ts";
import { readQuery, type QueryPair, type QueryRefusal } from "#fhir/search/query";
import {
  isOfPresentation,
  readSearch,
  refusePresentation,
  type Search,
  type SearchParameter,
  type SearchRefusal,
} from "#fhir/search/search";

/**
 * The requested interaction, as a typed fact (FHIR R4 http §3.1.0). `HEAD` is a `GET` with an answer that
 * has no body.
 */
export type Interaction =
  | Reading
  | Listing
  | Writing
  | AnsweredLocally
  | AccountingRequest
  | ConsentOperationRequest
  | { readonly kind: "batch" };

/** An operation of HL7 FAST Scalable Consent Management: `Consent/$fileConsent`, `Consent/$revokeConsent`. */
export interface ConsentOperationRequest {
  readonly kind: "fileConsent" | "revokeConsent";
  readonly type: "Consent";
}

export type Reading =
  | ({ readonly kind: "read"; readonly type: ResourceType; readonly id: string } & WantedElements)
  | ({
      readonly kind: "vread";
      readonly type: ResourceType;
      readonly id: string;
      readonly version: string;
    } & WantedElements)
  /** `posted`: by `POST [type]/_search`. */
  | ({ readonly kind: "search"; readonly posted: boolean } & Search);

/** A request for an export, or for a bundle as a job (`$async`), as its record names it. */
export interface ExportStep {
  readonly interaction: "$export" | "$export-status" | "$export-cancel" | "$export-file" | "$async";
  readonly parameters?: readonly (readonly [name: string, value: string])[];
}

/** Answered without any resource of the origin. */
export type AnsweredLocally =
  /** `metadata`, by an authenticated client: the client's own permissions. `asExport`: an export asks for them. */
  | { readonly kind: "capabilities"; readonly asExport?: ExportStep }
  /** `[type]/$validate`, or on an id: checks that a submitted resource has the structure of R4. */
  | { readonly kind: "validate"; readonly type: ResourceType; readonly id: string | undefined };

/**
 * `criteria`: for a conditional form, which means the only resource that the criteria find (FHIR R4 http
 * §3.1.0.5.3, §3.1.0.6.1, §3.1.0.7.1).
 */
export type Writing =
  | { readonly kind: "create"; readonly type: ResourceType }
  | { readonly kind: "update" | "patch" | "delete"; readonly type: ResourceType; readonly id: string }
  | {
      readonly kind: "conditional-update" | "conditional-patch" | "conditional-delete";
      readonly type: ResourceType;
      readonly criteria: Search;
    };

export function isWriting(interaction: Interaction): interaction is Writing {
  const { kind } = interaction;
  return (
    "criteria" in interaction ||
    kind === "create" ||
    kind === "update" ||
    kind === "patch" ||
    kind === "delete"
  );
}

export function isReading(interaction: Interaction): interaction is Reading {
  return interaction.kind === "read" || interaction.kind === "vread" || interaction.kind === "search";
}

export function isListing(interaction: Interaction): interaction is Listing {
  return interaction.kind === "history" || interaction.kind === "everything" || interaction.kind === "lastn";
}

/**
 * Interactions of R4 that are recognised and not supported; codes of
 * http://hl7.org/fhir/restful-interaction if it has a code.
 */
export type UnsupportedInteraction = "history-system" | "search-compartment" | "operation";

export type InteractionRefusal =
  | {
      readonly reason: "interaction_not_supported";
      readonly interaction: UnsupportedInteraction | Exclude<Interaction, Reading>["kind"];
      /** The name of an operation as the address has it, with `$`. */
      readonly operation?: string;
    }
  /** `allow`: the methods that the route has. */
  | { readonly reason: "method_not_supported"; readonly allow: readonly string[] }
  | RouteRefusal
  | QueryRefusal
  | ListingRefusal;

type Method = Exclude<HttpVerb, "HEAD">;

/**
 * Reads a request below the FHIR base. Never throws.
 * @param base the FHIR base that the client calls (no trailing slash): a reference below it, as in an
 * answer's `fullUrl`, is `Type/id`.
 * @param form the form posted to `_search`, read as if it stood in the query (FHIR R4 §3.1.1.1.1).
 * @param isLenient see {@link readSearch}: only a search may ignore a name.
 */
export function readInteraction(
  method: string,
  segments: readonly string[],
  query: string,
  base?: string,
  form = "",
  isLenient = false,
): Result<Interaction, InteractionRefusal> {
  const route = readRoute(segments);
  if (!route.ok) return route;
  const known = httpVerbs.find((name) => name === method);
  const request = known && at(known === "HEAD" ? "GET" : known, route.value);
  if (request === undefined) {
    const allow = httpVerbs.filter(
      (name) => typeof at(name === "HEAD" ? "GET" : name, route.value) === "object",
    );
    return err(allow.length === 0 ? { reason: "path_unknown" } : { reason: "method_not_supported", allow });
  }
  if (typeof request === "string")
    return err({
      reason: "interaction_not_supported",
      interaction: request,
      ...(route.value.kind === "operation" && { operation: `$${route.value.name}` }),
    });

  const pairs = readQuery(query, form);
  if (!pairs.ok) return pairs;
  switch (request.kind) {
    case "search": {
      const search = readSearch(request.type, pairs.value, base, isLenient);
      if (!search.ok) return search;
      const { posted, within, patient } = request;
      if (within === undefined) return ok({ kind: "search", posted, ...search.value });
      const parameters = [within, ...search.value.parameters];
      const compartment = patient === undefined ? undefined : { patient, by: within };
      return ok({ kind: "search", posted, ...search.value, parameters, compartment });
    }
    case "history":
      return readHistory(request.type, request.id, pairs.value);
    case "everything": {
      const only = request.within === "system" ? onlyType(pairs.value) : undefined;
      if (only === undefined) return readEverything(request, pairs.value, base);
      const search = readSearch(only, pairs.value, base, isLenient);
      return search.ok ? ok({ kind: "search", posted: method === "POST", ...search.value }) : search;
    }
    case "lastn":
      return readLastN(pairs.value, base);
    case "disclosures":
      return readAccounting(request.id, pairs.value);
    case "conditional-update":
    case "conditional-patch":
    case "conditional-delete": {
      const criteria = readCriteria(request.type, pairs.value, base);
      return criteria.ok ? ok({ ...request, criteria: criteria.value }) : criteria;
    }
    case "read":
    case "vread": {
      const elements = takeWanted(request.type, pairs.value);
      if (!elements.ok) return elements;
      const { wanted, rest } = elements.value;
      const refusal = refuseBesidePresentation(request.type, rest);
      return refusal === undefined ? ok({ ...request, ...wanted }) : err(refusal);
    }
    case "capabilities": {
      // A server may answer with more than a summary (FHIR R4 §3.1.1.5.8).
      const rest = pairs.value.filter(({ name, value }) => !isMode(name, value) && !isSummary(name, value));
      const refusal = refuseBesidePresentation(undefined, rest);
      return refusal === undefined ? ok(request) : err(refusal);
    }
    case "create":
    case "update":
    case "patch":
    case "delete":
    case "batch":
    case "fileConsent":
    case "revokeConsent":
    case "validate": {
      // Medplum's client names the file of an upload: a hint for a store of files, which this gateway is not.
      const isUpload = request.kind === "create" && isContentType(request.type);
      const stated = isUpload ? pairs.value.filter(({ name }) => name !== "_filename") : pairs.value;
      const refusal = refuseBesidePresentation("type" in request ? request.type : undefined, stated);
      return refusal === undefined ? ok(request) : err(refusal);
    }
  }
}

/**
 * Reads the criteria of a conditional form. They must find no more than a single resource, so sorting and
 * paging are refused, and so is an empty list of criteria, which would match every resource.
 */
export function readCriteria(
  type: ResourceType,
  pairs: readonly QueryPair[],
  base?: string,
): Result<Search, SearchRefusal> {
  const search = readSearch(type, pairs, base);
  if (!search.ok) return search;
  const { parameters, sort, count, elements, summary, total } = search.value;
  if (summary !== undefined) return err({ reason: "parameter_not_supported", parameter: "_summary" });
  if (total !== undefined)
    return err({ reason: "parameter_not_supported", parameter: total === "alone" ? "_summary" : "_total" });
  if (sort.length > 0) return err({ reason: "parameter_not_supported", parameter: "_sort" });
  if (count !== undefined) return err({ reason: "parameter_not_supported", parameter: "_count" });
  if (elements !== undefined) return err({ reason: "parameter_not_supported", parameter: "_elements" });
  return parameters.length === 0 ? err({ reason: "criteria_missing" }) : search;
}

/** The elements that a read asks for, and the remaining parameters. */
function takeWanted(
  type: ResourceType,
  pairs: readonly QueryPair[],
): Result<{ readonly wanted: WantedElements; readonly rest: readonly QueryPair[] }, SearchRefusal> {
  const elements = pairs.flatMap(({ name, value }) => (name === "_elements" ? [value] : []));
  const [summary, ...others] = pairs.filter(({ name }) => name === "_summary");
  if (others.length > 0) return err({ reason: "parameter_repeated", parameter: "_summary" });
  const list = elements.length === 0 ? undefined : readElementList(type, elements.join(","));
  if (elements.length > 0 && list === undefined)
    return err({ reason: "parameter_value_malformed", parameter: "_elements" });
  const form = readSummary(summary?.value);
  return ok({
    wanted: { ...(list !== undefined && { elements: list }), ...(form !== undefined && { summary: form }) },
    rest: pairs.filter(({ name, value }) => name !== "_elements" && !isSummary(name, value)),
  });
}

/** The mode of `metadata` (FHIR R4 §3.1.0.11) whose answer is this gateway's CapabilityStatement. */
const isMode = (name: string, value: string) =>
  name === "mode" && (value === "full" || value === "normative");
const isSummary = (name: string, value: string) => name === "_summary" && readSummary(value) !== undefined;

/** A write, or a read by id, accepts only presentation parameters. */
function refuseBesidePresentation(
  type: ResourceType | undefined,
  pairs: readonly QueryPair[],
): SearchRefusal | undefined {
  for (const { name, value } of pairs) {
    if (!isOfPresentation(name)) {
      const refused = type === undefined ? undefined : readSearch(type, [{ name, value }]);
      return refused === undefined || refused.ok
        ? { reason: "parameter_not_supported", parameter: spoken(name) }
        : refused.error;
    }
    const refusal = refusePresentation(name, value);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

/** A parameter name that an answer may repeat: a name by the grammar of FHIR, or else a fixed word. */
const spoken = (name: string) => (parameterName.test(name) ? name : "parameter");

type Requested =
  | Exclude<Reading, { kind: "search" }>
  /** `within`: for a compartment search, the criterion of its rows. `patient`: they belong to this patient. */
  | {
      readonly kind: "search";
      readonly type: ResourceType;
      readonly posted: boolean;
      readonly within: SearchParameter | undefined;
      readonly patient?: string;
    }
  | { readonly kind: "history"; readonly type: ResourceType; readonly id: string | undefined }
  | ({ readonly kind: "everything" } & Pick<EverythingRequest, "within" | "id">)
  | { readonly kind: "lastn" }
  | { readonly kind: "disclosures"; readonly id: string }
  | AnsweredLocally
  | Exclude<Writing, { criteria: Search }>
  | { readonly kind: `conditional-${"update" | "patch" | "delete"}`; readonly type: ResourceType }
  | ConsentOperationRequest
  | { readonly kind: "batch" };

/** The type of a search of the whole server that names a single type: that type's own search. */
function onlyType(pairs: readonly QueryPair[]): ResourceType | undefined {
  const [first, ...others] = pairs.flatMap(({ name, value }) => (name === "_type" ? value.split(",") : []));
  return others.length === 0 && first !== undefined && isResourceType(first) ? first : undefined;
}

/** The search of all types, or of those that `_type` names. */
const ofTypes = { kind: "everything", within: "system", id: undefined } as const;

/** The meaning of the method at the route. `undefined`: none. */
function at(method: Method, route: Route): Requested | UnsupportedInteraction | undefined {
  switch (route.kind) {
    case "system":
      return method === "GET" ? ofTypes : method === "POST" ? { kind: "batch" } : undefined;
    case "type":
      return onType(method, route.type);
    case "instance":
      return onInstance(method, route.type, route.id);
    case "version":
      return method === "GET" ? { ...route, kind: "vread" } : undefined;
    case "posted":
      if (method !== "POST") return undefined;
      return route.type === undefined
        ? ofTypes
        : { kind: "search", type: route.type, posted: true, within: undefined };
    case "history":
      if (method !== "GET") return undefined;
      return route.type === undefined
        ? "history-system"
        : { kind: "history", type: route.type, id: route.id };
    case "compartment":
      return method === (route.posted ? "POST" : "GET") ? inCompartment(route) : undefined;
    case "operation":
      return inOperation(method, route);
    case "metadata":
      return method === "GET" ? { kind: "capabilities" } : undefined;
  }
}

/**
 * A compartment search becomes a search by owner, whose elements the reader must be allowed to see. A row without an
 * owner belongs to the patient who took part in it. The compartment of an Encounter has the rows that name it
 * (CompartmentDefinition/encounter of R4).
 */
function inCompartment({
  compartment,
  id,
  type,
  posted,
}: Extract<Route, { kind: "compartment" }>): Requested | UnsupportedInteraction {
  if (type === "*")
    return compartment === "Patient"
      ? { kind: "everything", within: "compartment", id }
      : "search-compartment";
  const within =
    compartment === "Patient"
      ? ownedBy(type, [id])
      : compartment === "Encounter"
        ? inEncounter(type, id)
        : undefined;
  if (within === undefined) return "search-compartment";
  return { kind: "search", type, posted, within, ...(compartment === "Patient" && { patient: id }) };
}

function inOperation(
  method: Method,
  { name, type, id }: Extract<Route, { kind: "operation" }>,
): Requested | UnsupportedInteraction | undefined {
  const operation = operationAt(name, type, id);
  if (operation === undefined) return method === "GET" || method === "POST" ? "operation" : undefined;
  if (!operationTable[operation].methods.some((each) => each === method)) return undefined;
  switch (operation) {
    case "everything":
      return id === undefined ? undefined : { kind: operation, within: "operation", id };
    case "disclosures":
      return id === undefined ? undefined : { kind: operation, id };
    case "lastn":
      return { kind: operation };
    case "validate":
      return type === undefined ? undefined : { kind: operation, type, id };
    case "fileConsent":
    case "revokeConsent":
      return { kind: operation, type: "Consent" };
  }
}

function onType(method: Method, type: ResourceType): Requested {
  switch (method) {
    case "GET":
      return { kind: "search", type, posted: false, within: undefined };
    case "POST":
      return { kind: "create", type };
    case "PUT":
      return { kind: "conditional-update", type };
    case "PATCH":
      return { kind: "conditional-patch", type };
    case "DELETE":
      return { kind: "conditional-delete", type };
  }
}

function onInstance(method: Method, type: ResourceType, id: string): Requested | undefined {
  if (method !== "GET" && isAttachmentLink(id)) return undefined;
  switch (method) {
    case "GET":
      return { kind: "read", type, id };
    case "POST":
      return undefined;
    case "PUT":
      return { kind: "update", type, id };
    case "PATCH":
      return { kind: "patch", type, id };
    case "DELETE":
      return { kind: "delete", type, id };
  }
}
