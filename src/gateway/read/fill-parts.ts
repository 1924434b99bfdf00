import type { PagePlace } from "#fhir/ports";
import { sortOrder } from "#fhir/search/sort-order";
import { err, ok, type Result } from "#kernel/result";
import type { DisclosureRefusal } from "#phi/disclose";
import { Page } from "#phi/page";
import type { SearchGrant } from "#policy/grant";
import { countMax } from "#fhir/search/page-count";
import type { RowsRefusal } from "#gateway/origin/asking";
import type { OriginSession } from "#gateway/origin/origin-session";
import { fillPage, type Filled } from "./fill-page.ts";
import type { PageRefusal } from "./fillable.ts";
import type { Resolved } from "./resolve-joins.ts";

export type PartsRefusal =
  | PageRefusal
  | RowsRefusal
  | DisclosureRefusal
  /** The rows of several parts have one order only if the gateway reads them all, and they are too many. */
  | { readonly reason: "sort_needs_owner" };

type Parts = Result<Filled<Page>, PartsRefusal>;

/**
 * Fills a client's page from the parts of a search: the owners' rows, then the rows in which the patients only
 * took part. A sorted search has one order: if a further part has visible rows, all parts are merged.
 */
export async function fillParts(
  whole: SearchGrant,
  place: PagePlace | undefined,
  origin: OriginSession,
  resolved: Resolved,
): Promise<Parts> {
  const { parameters } = resolved;
  const { sort, further, askJoined } = whole.expects;
  const first = { ...whole, ask: askJoined(parameters) };
  const parts = [first, ...further.map((part) => ({ ...part, ask: part.expects.askJoined(parameters) }))];
  if (sort.length === 0 || further.length === 0) return fillInTurn(parts, place, origin, resolved);
  // The first page found no row in the further parts.
  if (place !== undefined && place.part !== "sorted") return fillPage(first, place, origin, resolved);
  return fillSorted(whole, place, origin, resolved);
}

async function fillInTurn(
  parts: readonly SearchGrant[],
  place: PagePlace | undefined,
  origin: OriginSession,
  resolved: Resolved,
): Promise<Parts> {
  let page: Page | undefined;
  let start = place;
  for (const [index, part] of parts.entries()) {
    if (index < partOf(place)) continue;
    const covered = index > 0 && page !== undefined ? await origin.coverRelation() : undefined;
    if (covered?.ok === false) return covered;
    const filled = await fillPage(part, start, origin, resolved, page);
    if (filled.ok) page = filled.value.page;
    else if (index === 0 || start?.link !== undefined || !isUnknownPart(filled.error)) return filled;
    if (filled.ok && filled.value.next !== undefined) return filled;
    const { question, posted } = part.expects;
    start = { question, posted, part: index + 1, link: undefined, after: undefined, seen: 0 };
    // The first row of a page has the questions of a whole page.
    if (page !== undefined && resolved.byPage !== undefined && index + 1 < parts.length)
      return ok({ page, next: start });
  }
  return page === undefined ? err({ reason: "page_link_target_absent" }) : ok({ page, next: undefined });
}

const partOf = (place: PagePlace | undefined): number => (typeof place?.part === "number" ? place.part : 0);

/** An origin that does not know the parameter of a part finds no row by it. */
export const isUnknownPart = ({ reason }: PartsRefusal): boolean =>
  reason === "origin_rejected_search" || reason === "absent";

async function fillSorted(
  whole: SearchGrant,
  place: PagePlace | undefined,
  origin: OriginSession,
  resolved: Resolved,
): Promise<Parts> {
  const { parameters, joined, byPage } = resolved;
  const all = async (part: SearchGrant) => {
    const expects = { ...part.expects, count: countMax };
    const ask = expects.askJoined(parameters, countMax);
    return fillPage({ ...part, ask, expects }, undefined, origin, resolved);
  };
  const pages: Page[] = [];
  for (const part of whole.expects.further) {
    const filled = await all(part);
    if (!filled.ok && isUnknownPart(filled.error)) continue;
    if (!filled.ok) return filled;
    if (filled.value.next !== undefined) return tooMany([...pages, filled.value.page], origin);
    if (filled.value.page.last !== undefined) pages.push(filled.value.page);
  }
  const { expects } = whole;
  if (pages.length === 0 && place === undefined)
    return fillPage({ ...whole, ask: expects.askJoined(parameters) }, undefined, origin, resolved);
  const owners = await all(whole);
  if (!owners.ok) return owners;
  if (owners.value.next !== undefined) return tooMany([...pages, owners.value.page], origin);
  const page = new Page(whole, expects, origin.basesAt(origin.base), [...joined, ...(byPage?.joined ?? [])]);
  const found = page.join([owners.value.page, ...pages], sortOrder(expects.sort), place?.after);
  if (!found.ok) return found;
  const { question, posted } = expects;
  switch (found.value) {
    case "absent":
      return err({ reason: "page_link_target_absent" });
    case "whole":
      return ok({ page, next: undefined });
    case "part":
      return ok({
        page,
        next: { question, posted, part: "sorted", link: undefined, after: page.last, seen: 0 },
      });
  }
}

/** The visible rows that were read decide the refusal, so the record names their patients. */
function tooMany(pages: readonly Page[], origin: OriginSession): Parts {
  for (const page of pages) for (const row of page.taken) origin.names.concerned.decide(row);
  return err({ reason: "sort_needs_owner" });
}
