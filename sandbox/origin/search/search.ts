import { find } from "./find.ts";
import { pairsOf, type Answer, type OriginCall, type Pairs } from "../call.ts";
import type { CriterionRefusal } from "./criterion.ts";
import { historyOf, newestFirst, readHistoryQuery } from "../history.ts";
import { dateSpan } from "../match/date.ts";
import { everythingAbout, readEverythingCall } from "../operation/everything.ts";
import { newestOfEach, readLastNCall } from "../operation/last-n.ts";
import { pageSizes, readPageSize } from "./page-size.ts";
import type { PagedListing } from "./pages.ts";
import { readPreference } from "../prefer.ts";
import { readSearchQuery } from "./query.ts";
import { badRequest, notFound, ServerRefusal } from "../refusal.ts";
import { servedTypes } from "../search-parameters.ts";
import { searchset } from "./searchset.ts";
import type { Site } from "../site.ts";
import type { Result } from "#kernel/result";

/** `GET [type]?…`, `POST [type]/_search`. */
export function searchType(call: OriginCall, site: Site): Answer {
  const { type = "" } = call.params;
  return search([type], type, pairsOf(call), call, site);
}

/**
 * `Patient/x/Observation?…`, `Patient/x/*?_type=…`: the resources in the compartment of a patient (R4
 * compartmentdefinition.html).
 */
export function searchCompartment(call: OriginCall, site: Site): Answer {
  const { type = "", id = "", inner = "" } = call.params;
  if (type !== "Patient")
    throw new ServerRefusal(404, "not-supported", "Only the compartments of patients are known here.");
  const { types, rest } = typesIn(pairsOf(call));
  if (inner !== "*" && !servedTypes.has(inner)) throw notFound();
  return search(
    inner === "*" ? (types ?? [...servedTypes]) : [inner],
    `Patient/${id}/${inner}`,
    inner === "*" ? rest : pairsOf(call),
    call,
    site,
    id,
  );
}

/** `[base]?_type=Patient,Observation&…`, `[base]/_search`. */
export function searchSystem(call: OriginCall, site: Site): Answer {
  const { types, rest } = typesIn(pairsOf(call));
  if (types === undefined) throw notFound();
  return search(types, "", rest, call, site);
}

function search(
  types: readonly string[],
  path: string,
  pairs: Pairs,
  { headers }: OriginCall,
  { store, pages }: Site,
  patient?: string,
): Answer {
  const { lenient } = readPreference(headers["prefer"]);
  const query = taken(
    readSearchQuery(types, pairs, store.index, { lenient, ...(patient !== undefined && { patient }) }),
  );
  const heeded: Pairs =
    path.endsWith("*") || path === "" ? [["_type", types.join(",")], ...query.heeded] : query.heeded;
  const listing = searchset(find(store.index, query), self(store.base, path, heeded), store.index, query);
  return { status: 200, body: pages.first(listing, query.count) };
}

/** `_type` of a search over several types. */
function typesIn(pairs: Pairs): { readonly types: readonly string[] | undefined; readonly rest: Pairs } {
  const types = pairs.find(([name]) => name === "_type")?.[1].split(",");
  if (types?.every((type) => servedTypes.has(type)) === false)
    throw badRequest("_type names no resource type.");
  return { types, rest: pairs.filter(([name]) => name !== "_type") };
}

export function everything(call: OriginCall, { store, pages }: Site): Answer {
  const { type = "", id = "" } = call.params;
  if (type !== "Patient") throw notFound();
  const pairs = pairsOf(call);
  const query = taken(readEverythingCall(pairs));
  const found = everythingAbout(store.index, store.current("Patient", id), query);
  return first(searchset(found, self(store.base, call.path, pairs), store.index), query.count, pages);
}

/** `$everything` for all patients, which R4 defines too. */
export function everythingOfAll({ params }: OriginCall): Answer {
  if (params["type"] !== "Patient") throw notFound();
  throw new ServerRefusal(400, "not-supported", "$everything is answered for one patient.");
}

export function lastN(call: OriginCall, { store, pages }: Site): Answer {
  if (call.params["type"] !== "Observation") throw notFound();
  const pairs = pairsOf(call);
  const { max, search } = readLastNCall(pairs);
  const query = taken(readSearchQuery(["Observation"], search, store.index));
  const found = newestOfEach(find(store.index, query), max);
  return first(searchset(found, self(store.base, call.path, pairs), store.index, query), query.count, pages);
}

/** History of one resource, of a type, or of all (R4 http.html#history). */
export function history(call: OriginCall, { store, pages }: Site): Answer {
  const { type, id } = call.params;
  const pairs = pairsOf(call);
  const { count, since } = taken(readHistoryQuery(pairs));
  const life = type !== undefined && id !== undefined ? store.versions.of(type, id) : undefined;
  if (life?.length === 0) throw notFound();
  const versions = (life?.toReversed() ?? newestFirst(store.versions.all(type))).filter(
    ({ lastUpdated }) => (dateSpan(lastUpdated)?.high ?? since) > since,
  );
  return first(historyOf(versions, self(store.base, call.path, pairs), store.base), count, pages);
}

/** A further page of any of these results. */
export function page(call: OriginCall, { pages }: Site): Answer {
  const asked = new Map(pairsOf(call));
  const offset = Number(/^\d{1,9}$/u.exec(asked.get("_getpagesoffset") ?? "0")?.[0]);
  const count = readPageSize(asked.get("_count") ?? String(pageSizes.default));
  if (Number.isNaN(offset) || count === undefined) throw badRequest("The page's place or size is no number.");
  const turned = pages.turn(asked.get("_getpages") ?? "", offset, count);
  if (turned === undefined)
    throw new ServerRefusal(410, "not-found", "This search is not known here, or no longer.");
  return { status: 200, body: turned };
}

const first = (listing: PagedListing, count: number, pages: Site["pages"]): Answer => ({
  status: 200,
  body: pages.first(listing, count),
});

function taken<T>(read: Result<T, CriterionRefusal>): T {
  if (!read.ok) throw badRequest(read.error.text);
  return read.value;
}

function self(base: string, path: string, pairs: Pairs): string {
  const query = new URLSearchParams(pairs.map(([name, value]) => [name, value])).toString();
  const url = path === "" ? base : `${base}/${path}`;
  return query === "" ? url : `${url}?${query}`;
}
