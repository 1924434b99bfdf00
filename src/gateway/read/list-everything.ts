import type { JsonObject } from "#fhir/json/json";
import { pageAt } from "#fhir/origin-link";
import type { FhirQuestion, PagePlace } from "#fhir/ports";
import { demandsOwner } from "#fhir/r4/compartment-tables";
import type { FhirBase } from "#fhir/r4/reference";
import { err, ok, type Result } from "#kernel/result";
import { EverythingPage } from "#phi/everything-page";
import type { EverythingGrant } from "#policy/evaluate-listing";
import type { SearchGrant } from "#policy/grant";
import { decidedAt } from "#gateway/origin/at-origin";
import { allRows } from "#gateway/origin/pages";
import { fill, type Filled } from "./fill-page.ts";
import { isUnknownPart } from "./fill-parts.ts";
import type { GatherRefusal } from "./gather.ts";
import type { OriginSession } from "#gateway/origin/origin-session";
import { questionFor, questionsById } from "#gateway/origin/rows-by-id";
import { passOver } from "#gateway/origin/pass-over";

// Limit for the resources to which the rows of a page refer: practitioners, organizations, locations.
const referredMax = 1_000;
const idsMax = 200;
// A page is one unit of quota. The number does not depend on rows, so a short page says nothing of hidden rows.
const questionsMax = 10;

/**
 * A page of everything about a patient. It asks for the patient and then for the rest, whatever the first
 * answer was. Then it asks, by id, for the resources outside all compartments to which the rows of this page
 * refer: an origin may send them on a different page, or not at all.
 */
export async function listEverything(
  asked: EverythingGrant,
  start: PagePlace,
  origin: OriginSession,
): Promise<Result<Filled<EverythingPage>, GatherRefusal>> {
  const here = await decidedHere(asked, origin);
  if (!here.ok) return here;
  const grant = here.value;
  const asks = await asksOf(grant, origin);
  if (!asks.ok) return asks;
  const [first] = asks.value;
  if (grant.patient !== undefined && grant.id !== undefined) {
    const answer = await origin.read(grant.patient.ask);
    const patient = answer.ok
      ? await origin.standing(grant.patient, answer.value, "Patient", grant.id)
      : answer;
    const isHidden = !patient.ok && patient.error.reason === "row_outside_access";
    const standsAsId = isHidden && answer.ok && origin.standsAsId(grant.patient, answer.value, grant.id);
    if (!patient.ok && !standsAsId) {
      await passOver(await origin.ask(pageAt(first.ask, start.link)));
      return patient;
    }
  }
  const filled = await fillFromAll(grant, asks.value, start, origin);
  // The patient exists: a server without this operation answers like this.
  if (!filled.ok)
    return filled.error.reason === "absent" ? err({ reason: "origin_rejected_search", status: 404 }) : filled;
  const { page } = filled.value;
  const found = await referred([...page.referred.keys()], origin);
  if (!found.ok) return found;
  const known = await origin.resolve(
    found.value.map((row) => ({
      needs: page.needsOfReferred(row),
      again: () => page.needsOfReferred(row),
    })),
  );
  if (!known.ok) return known;
  const brought = page.bring(found.value);
  return brought.ok ? filled : brought;
}

/** The grant of a search of several types at this origin: see {@link decidedAt}. */
async function decidedHere(
  grant: EverythingGrant,
  origin: OriginSession,
): Promise<Result<EverythingGrant, GatherRefusal>> {
  const rows = new Map(grant.rows);
  for (const [type, row] of grant.rows) {
    if (row.search.clientParameters.length === 0) continue;
    const here = await decidedAt(origin, row.search);
    if (!here.ok) return here;
    rows.set(type, { ...row, search: here.value });
  }
  return ok({ ...grant, rows });
}

type Asks = readonly [TypeQuestion, ...TypeQuestion[]];

/** A question for everything, or for a part of the rows of one type. */
interface TypeQuestion {
  /** The type, and behind a colon the parameter of a further part; `undefined`: everything. */
  readonly part: string | undefined;
  readonly ask: FhirQuestion;
}

/**
 * The questions for everything, as the origin can answer them: its own operation, or else a search of each
 * type by owner, which cannot ask for a time. It is not asked for types that it lacks.
 */
async function asksOf(grant: EverythingGrant, origin: OriginSession): Promise<Result<Asks, GatherRefusal>> {
  const { everything, types } = (await origin.traits())?.capabilities ?? {};
  const { ask } = grant;
  // A search asks the same questions of a patient whom the origin does not have.
  switch (grant.patient === undefined ? "none" : everything) {
    case undefined:
    case "with-type": {
      const served = [...grant.rows.keys()].filter((type) => types?.has(type) !== false);
      if (served.length === 0) return err({ reason: "type_not_at_origin" });
      const query = [`_type=${served.join(",")}`, less(ask.query, ["_type"])].join("&");
      return ok([{ part: undefined, ask: { ...ask, query } }]);
    }
    case "without-type": // the page takes rows of the permitted types only
      return ok([{ part: undefined, ask: { ...ask, query: less(ask.query, ["_type"]) } }]);
    case "none": {
      if (less(ask.query, ["_type", "_count"]) !== "")
        return err({ reason: "origin_rejected_search", status: 404 });
      const searches = [...grant.rows]
        .filter(([type]) => types?.has(type) !== false)
        .flatMap(([type, { search }]) => {
          // R4 demands the owner: no row has its patient as a participant alone
          const further = demandsOwner(type) ? [] : search.expects.further;
          return [search, ...further].map((grant, index) => ({
            part: index === 0 ? type : `${type}:${index}`,
            ask: plainly(grant),
          }));
        });
      const [first, ...others] = searches;
      return first === undefined ? err({ reason: "type_not_at_origin" }) : ok([first, ...others]);
    }
  }
}

const plainly = ({ ask: { path, query, posted = false } }: SearchGrant): FhirQuestion => ({
  path,
  posted,
  query: less(query, ["_include", "_sort"]),
});

const less = (query: string, names: readonly string[]): string =>
  query
    .split("&")
    .filter((part) => !names.includes(part.slice(0, part.indexOf("="))))
    .join("&");

/**
 * Fills a page from one question after the other, of ten at most; the place of a page names the type of its
 * question as its part. A type that the server refuses to search refuses the page: a part must not pass for the
 * whole.
 */
async function fillFromAll(
  grant: EverythingGrant,
  asks: Asks,
  start: PagePlace,
  origin: OriginSession,
): Promise<Result<Filled<EverythingPage>, GatherRefusal>> {
  let page: EverythingPage | undefined;
  const open = (base: FhirBase) => (page ??= new EverythingPage(grant, origin.basesAt(base)));
  const from = firstOf(asks, start);
  // The origin lost the type, or its own operation, since the page before.
  if (from === -1) return err({ reason: "page_link_target_absent" });
  for (const [index, { part: name, ask }] of asks.entries()) {
    if (index < from) continue;
    const part = name === undefined ? {} : { part: name };
    const place: PagePlace =
      index === from
        ? { ...start, ...part }
        : { question: start.question, posted: false, ...part, link: undefined, after: undefined, seen: 0 };
    if (index - from >= questionsMax) return ok({ page: open(origin.base), next: place });
    const filled = await fill({ ask, type: "searchset" }, place, origin, open);
    // A server that lacks one of the types, or the parameter of a further part, has no row of it.
    const lacksType =
      !filled.ok &&
      asks.length > 1 &&
      place.link === undefined &&
      (filled.error.reason === "absent" || (name?.includes(":") === true && isUnknownPart(filled.error)));
    if (!filled.ok && !lacksType) return filled;
    if (filled.ok && filled.value.next !== undefined) return filled;
  }
  // A further page may have no row: an earlier page promised it.
  return page === undefined && from === 0
    ? err({ reason: "absent" })
    : ok({ page: open(origin.base), next: undefined });
}

/** Index of the question that a page begins with; -1: it is no longer asked. */
function firstOf(asks: Asks, { part, link, after }: PagePlace): number {
  const isFirstPage = part === undefined && link === undefined && after === undefined;
  return isFirstPage ? 0 : asks.findIndex((asked) => asked.part === part);
}

async function referred(
  references: readonly string[],
  origin: OriginSession,
): Promise<Result<readonly JsonObject[], GatherRefusal>> {
  if (references.length > referredMax) return err({ reason: "too_many_rows" });
  const resources: JsonObject[] = [];
  for (const [type, ids] of questionsById(references, idsMax)) {
    const found = await allRows(questionFor(type, ids, idsMax), 5 * idsMax, origin);
    if (!found.ok) return found;
    for (const row of found.value.rows) resources.push(row);
  }
  return ok(resources);
}
