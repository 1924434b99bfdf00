import { err, ok, type Result } from "#kernel/result";
import { isResourceType, type ResourceType } from "./elements.ts";
import { readQuery, type QueryPair, type QueryRefusal } from "./query.ts";
import { isId } from "./reference.ts";
import { isOfPresentation, readSearch, refusePresentation, type Search, type SearchRefusal } from "./search.ts";

/** What is being asked, as a typed fact (FHIR R4 http §3.1.0). */
export type Interaction =
  | { readonly kind: "read"; readonly type: ResourceType; readonly id: string }
  | { readonly kind: "vread"; readonly type: ResourceType; readonly id: string; readonly version: string }
  /** `posted`: by `POST [type]/_search`. */
  | ({ readonly kind: "search"; readonly posted: boolean } & Search);

/** Interactions of R4 that are understood and not carried by this version; codes of http://hl7.org/fhir/restful-interaction where it has one. */
export type UncarriedInteraction =
  | "history-instance"
  | "history-type"
  | "history-system"
  | "create"
  | "update"
  | "patch"
  | "delete"
  | "conditional-update"
  | "conditional-patch"
  | "conditional-delete"
  | "batch"
  | "capabilities"
  | "search-system"
  | "search-compartment"
  | "operation"
  | "head";

export type InteractionRefusal =
  | { readonly reason: "interaction_not_carried"; readonly interaction: UncarriedInteraction }
  | { readonly reason: "unsupported_method" }
  | { readonly reason: "unknown_path" }
  | { readonly reason: "unknown_type" }
  | { readonly reason: "malformed_id" }
  | QueryRefusal
  | SearchRefusal;

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] as const;
type Method = (typeof methods)[number];

// CompartmentDefinitions of R4. `Patient/1/*` is a compartment search as well.
const compartments: ReadonlySet<string> = new Set(["Patient", "Encounter", "RelatedPerson", "Practitioner", "Device"]);

/**
 * Reads a request below the FHIR base. Segments and query are raw: no percent escape is part of a FHIR path, so one is refused and an
 * encoded slash or dot never decoded. Never throws.
 *
 * @param base the FHIR base that the client calls (no trailing slash): a reference below it, as in an answer's `fullUrl`, is `Type/id`.
 * @param form what was posted to `_search`, read as if it stood in the query (FHIR R4 §3.1.1.1.1).
 */
export function readInteraction(
  method: string,
  segments: readonly string[],
  query: string,
  base?: string,
  form = "",
): Result<Interaction, InteractionRefusal> {
  const known = methods.find((name) => name === method);
  if (known === undefined) return err({ reason: "unsupported_method" });
  const place = readPlace(segments);
  if (!place.ok) return place;
  const interaction = interactionAt(known, place.value);
  if (interaction === undefined) return err({ reason: "unknown_path" });
  if (typeof interaction === "string") return err({ reason: "interaction_not_carried", interaction });

  const pairs = readQuery(query, form);
  if (!pairs.ok) return pairs;
  if (interaction.kind === "search") {
    const search = readSearch(interaction.type, pairs.value, base);
    return search.ok ? ok({ kind: "search", posted: interaction.posted, ...search.value }) : search;
  }
  const refusal = refuseBesidePresentation(interaction.type, pairs.value);
  return refusal === undefined ? ok(interaction) : err(refusal);
}

/** Of one resource only the form of the answer can be asked for: `_elements` and its like would cut what the view has to see whole. */
function refuseBesidePresentation(type: ResourceType, pairs: readonly QueryPair[]): SearchRefusal | undefined {
  for (const { name, value } of pairs) {
    if (!isOfPresentation(name)) {
      const refused = readSearch(type, [{ name, value }]);
      return refused.ok ? { reason: "parameter_not_carried", parameter: name } : refused.error;
    }
    const refusal = refusePresentation(name, value);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

type Place =
  | { readonly kind: "system" }
  | { readonly kind: "type"; readonly type: ResourceType }
  | { readonly kind: "instance"; readonly type: ResourceType; readonly id: string }
  | { readonly kind: "version"; readonly type: ResourceType; readonly id: string; readonly version: string }
  | { readonly kind: "posted"; readonly type: ResourceType }
  | { readonly kind: "known"; readonly name: "metadata" | "history-instance" | "history-type" | "history-system" }
  | { readonly kind: "known"; readonly name: "search-system" | "operation" | "search-compartment" };

function readPlace(segments: readonly string[]): Result<Place, InteractionRefusal> {
  const [first, second, third, fourth, ...more] = segments;
  if (more.length > 0) return err({ reason: "unknown_path" });
  if (first === undefined) return ok({ kind: "system" });
  if (second === undefined && first === "metadata") return ok({ kind: "known", name: "metadata" });
  if (second === undefined && first === "_history") return ok({ kind: "known", name: "history-system" });
  if (second === undefined && first === "_search") return ok({ kind: "known", name: "search-system" });
  if (second === undefined && isOperation(first)) return ok({ kind: "known", name: "operation" });
  if (!isResourceType(first)) return err({ reason: /^[A-Z][A-Za-z]{0,63}$/u.test(first) ? "unknown_type" : "unknown_path" });

  if (second === undefined) return ok({ kind: "type", type: first });
  if (third === undefined && second === "_history") return ok({ kind: "known", name: "history-type" });
  if (third === undefined && second === "_search") return ok({ kind: "posted", type: first });
  if (third === undefined && isOperation(second)) return ok({ kind: "known", name: "operation" });
  if (!isId(second) || isDots(second)) return err({ reason: "malformed_id" });

  if (third === undefined) return ok({ kind: "instance", type: first, id: second });
  if (third === "_history") {
    if (fourth === undefined) return ok({ kind: "known", name: "history-instance" });
    const isVersion = isId(fourth) && !isDots(fourth);
    return isVersion ? ok({ kind: "version", type: first, id: second, version: fourth }) : err({ reason: "malformed_id" });
  }
  if (fourth !== undefined) return err({ reason: "unknown_path" });
  if (isOperation(third)) return ok({ kind: "known", name: "operation" });
  if (compartments.has(first) && (third === "*" || isResourceType(third))) return ok({ kind: "known", name: "search-compartment" });
  return err({ reason: "unknown_path" });
}

// `.` and `..` fit the id grammar, and a URL parser on the way would fold them.
const isDots = (segment: string) => /^\.+$/u.test(segment);
const isOperation = (segment: string) => /^\$[A-Za-z][A-Za-z0-9-]{0,63}$/u.test(segment);

function interactionAt(method: Method, place: Place): Interaction | UncarriedInteraction | undefined {
  if (place.kind === "known") return knownAt(method, place.name);
  if (place.kind === "system") return onSystem[method];
  if (place.kind === "instance") return method === "GET" ? { kind: "read", type: place.type, id: place.id } : onInstance[method];
  if (place.kind === "version") {
    if (method === "HEAD") return "head";
    return method === "GET" ? { kind: "vread", type: place.type, id: place.id, version: place.version } : undefined;
  }
  const search = { kind: "search", type: place.type, parameters: [], sort: [], count: undefined } as const;
  if (place.kind === "posted") return method === "POST" ? { ...search, posted: true } : undefined;
  return method === "GET" ? { ...search, posted: false } : onType[method];
}

const onSystem = {
  GET: "search-system",
  HEAD: "head",
  POST: "batch",
  PUT: undefined,
  PATCH: undefined,
  DELETE: undefined,
} as const satisfies Record<Method, UncarriedInteraction | undefined>;

const onType = {
  HEAD: "head",
  POST: "create",
  PUT: "conditional-update",
  PATCH: "conditional-patch",
  DELETE: "conditional-delete",
} as const satisfies Record<Exclude<Method, "GET">, UncarriedInteraction>;

const onInstance = { HEAD: "head", POST: undefined, PUT: "update", PATCH: "patch", DELETE: "delete" } as const satisfies Record<
  Exclude<Method, "GET">,
  UncarriedInteraction | undefined
>;

function knownAt(method: Method, name: Extract<Place, { kind: "known" }>["name"]): UncarriedInteraction | undefined {
  if (name === "operation") return method === "GET" || method === "POST" ? "operation" : undefined;
  if (name === "search-system") return method === "POST" ? "search-system" : undefined;
  if (method === "HEAD") return "head";
  if (method !== "GET") return undefined;
  return name === "metadata" ? "capabilities" : name;
}
