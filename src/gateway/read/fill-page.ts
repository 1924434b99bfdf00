import type { ListType } from "#fhir/bundle";
import type { EntryBytes } from "#fhir/json/entry-splitter";
import { grownLink, linkBelow, pageAt, resized, shorterPage } from "#fhir/origin-link";
import type { FhirQuestion, OriginQuestion, PagePlace } from "#fhir/ports";
import type { FhirBase } from "#fhir/r4/reference";
import { countIn, countMax } from "#fhir/search/page-count";
import { err, ok, type Result } from "#kernel/result";
import type { CutEntry } from "#phi/bytes/row-cutter";
import type { DisclosureRefusal } from "#phi/disclose";
import { Page } from "#phi/page";
import type { SearchGrant } from "#policy/grant";
import type { RowsRefusal } from "#gateway/origin/asking";
import type { OriginRefusal } from "#gateway/origin/forward";
import { pageTooLarge, readOriginPage, type EntryTaker } from "#gateway/origin/origin-page";
import type { OriginSession } from "#gateway/origin/origin-session";
import { mayBeCut, wholePageMax } from "#gateway/origin/page-end";
import type { Fillable, PageRefusal } from "./fillable.ts";
import { JoinedPage, prepared } from "./joined-page.ts";
import { PageRows } from "./page-rows.ts";
import type { Resolved } from "./resolve-joins.ts";

export interface Filled<P> {
  readonly page: P;
  /** The beginning of the next page, if there is a next page. */
  readonly next: PagePlace | undefined;
}

// Limits for an answer: hidden rows may make it short, but never the origin's work long. Five origin pages are
// read, or more short pages until five hundred rows were read; rows that earlier pages showed do not count, since new
// rows of a list in the order of times may move them by any number. A page is at most as long as an origin page, so
// it is short only if over 80 % of the rows, and of five hundred rows, are hidden; otherwise its length would
// tell their number at an origin with small pages.
const [originPagesMax, shortPagesMax, originRowsMin] = [5, 50, 500];
// So many new rows before the last row of the previous page are not looked through: the row is gone.
const lookedForMax = 10_000;

/** Answers whether enough was read for an answer that is not full. */
const isEnough = (pages: number, rows: number): boolean =>
  pages >= shortPagesMax || (pages >= originPagesMax && rows >= originRowsMin);

/**
 * Fills a client's page from origin pages, beginning at a place. The page is full when a visible row has no
 * room, so hidden rows after the last row show neither in the page's length nor in its next link. After five
 * origin pages the page is answered as it is.
 *
 * @param earlier a page that goes on with the rows of this grant, a further part of its search.
 */
export async function fillPage(
  grant: SearchGrant,
  place: PagePlace | undefined,
  origin: OriginSession,
  { joined, byPage }: Pick<Resolved, "joined" | "byPage"> = { joined: [], byPage: undefined },
  earlier?: Page,
): Promise<Result<Filled<Page>, PageRefusal | RowsRefusal>> {
  const { ask, expects } = grant;
  const { question, posted } = expects;
  const start = place ?? { question, posted, link: undefined, after: undefined, seen: 0 };
  return fill({ ask, type: "searchset", waits: byPage !== undefined }, start, origin, (base) => {
    const bases = origin.basesAt(base);
    if (earlier !== undefined) return earlier.turnTo(grant, bases, joined);
    return byPage === undefined
      ? new Page(grant, expects, bases, joined)
      : new JoinedPage(grant, bases, joined, byPage, origin);
  });
}

interface FirstAsk {
  readonly ask: FhirQuestion;
  readonly type: ListType;
  /** All entries of an origin page wait in memory together. */
  readonly waits?: boolean;
}

// Entries that wait may be 8 MiB, whatever their number: they count as a page of so many rows.
const waitingRows = 900;

/** As {@link fillPage}, for any list. @param open begins the page when the origin's base is known. */
export async function fill<P extends Fillable>(
  first: FirstAsk,
  start: PagePlace,
  origin: OriginSession,
  open: (base: FhirBase) => P,
): Promise<Result<Filled<P>, PageRefusal | RowsRefusal>> {
  const begin = pageAt(first.ask, start.link);
  const asked = countIn("query" in begin ? begin.query : first.ask.query) ?? 0;
  const end = origin.held.page(first.waits === true ? Math.max(asked, waitingRows) : asked);
  if (end === undefined) return err({ reason: "answer_too_large" });
  let page: P | undefined;
  try {
    const filled = await fillFrom(first, start, origin, (base) => (page ??= open(base)));
    if (!filled.ok) for (const row of page?.taken ?? []) origin.names.concerned.decide(row);
    return filled;
  } finally {
    end();
  }
}

async function fillFrom<P extends Fillable>(
  first: FirstAsk,
  start: PagePlace,
  origin: OriginSession,
  open: (base: FhirBase) => P,
): Promise<Result<Filled<P>, PageRefusal | RowsRefusal>> {
  const placeAt = (link: string | undefined, after: string | undefined, seen: number): PagePlace => ({
    ...start,
    link,
    after,
    seen,
  });
  let at = start;
  let page: P | undefined;
  let [isHeld, hasLookedAhead, hidden] = [false, false, 0];
  let own: string | undefined;
  /** The matches before the rows of this page. */
  let from = start.seen;
  /** The rows of a page that is not too long. */
  let longest = Number.POSITIVE_INFINITY;
  const followed = new Set<string | undefined>();
  for (let pages = 1; ; pages += 1) {
    const asked = pageAt(first.ask, at.link);
    const answer = await origin.ask(asked);
    if (!answer.ok && own !== undefined && own !== at.link) {
      at = placeAt(own, at.after, at.seen);
      continue;
    }
    if (!answer.ok) return err(refusedSearch(answer.error, at.link !== undefined));
    const { body, base } = answer.value;
    page ??= open(base);
    const rows = new PageRows(page, at.after, pages === 1);
    const read = await (page.prepare === undefined
      ? readOriginPage<DisclosureRefusal, CutEntry>(body, rows, origin, first.type, rows.ahead)
      : prepared(origin, page, rows, body, first.type));
    if (!read.ok) {
      const size = { before: at.seen, read: rows.matches };
      const shorter = read.error === pageTooLarge ? shorterPlace(first.ask, asked, size) : undefined;
      if (shorter === undefined) return read;
      longest = Math.floor(rows.matches / 2);
      page.countAgain?.(rows.unkeyed);
      at = placeAt(shorter, rows.decided ?? at.after, at.seen);
      if (!isEnough(pages, rows.stage === "before" ? 0 : originRowsMin)) continue;
      // Included entries stand behind the rows, and were not read.
      const hasIncluded = /(?:^|&)_(?:rev)?include/u.test(first.ask.query);
      return rows.stage === "before" || hasIncluded ? read : ok({ page, next: at });
    }
    const unsettled = await rows.settleIncluded(origin);
    if (unsettled !== undefined) return err(unsettled);
    // New rows may have moved the last row of the previous page on to a later origin page.
    const isBefore = rows.stage === "before";
    const seen = at.seen + rows.matches;
    if (isBefore) from = seen;
    const link: string | undefined =
      read.value.next === undefined
        ? await moreThan(
            asked,
            { sent: rows.matches, hasLinks: read.value.hasLinks || "link" in asked },
            longest,
            origin,
          )
        : linkBelow(base, read.value.next);
    if (isBefore && link === "end") return err({ reason: "page_link_target_absent" });
    followed.add(at.link);
    if (!isBefore && !isHeld && read.value.next !== undefined) {
      page.holdTo(Math.max(1, rows.matches));
      isHeld = true;
    }
    if (rows.stage === "full") return ok({ page, next: { ...at, after: rows.last ?? at.after } });
    if (rows.stage === "unfollowed") return ok({ page, next: { ...at, after: rows.decided ?? at.after } });

    if (link === "end") {
      // Some servers cut a list short without a `next` link; their total still shows it.
      return (read.value.total ?? 0) > seen
        ? err({ reason: "answer_incomplete" })
        : ok({ page, next: undefined });
    }
    if (link === undefined) return err({ reason: "answer_link_outside_origin" });
    if (link === "too many") return err({ reason: "answer_incomplete" });
    if (followed.has(link)) return err({ reason: "answer_link_loops" });
    own = link;
    const isGrown = read.value.next === undefined;
    if (isGrown) page.countAgain?.(rows.unkeyed);
    const after = isBefore || isGrown ? (rows.decided ?? at.after) : undefined;
    at = placeAt(
      lengthened(link, seen, first.ask.query, { room: page.room ?? 0, longest }),
      after,
      isGrown ? 0 : seen,
    );
    hidden += rows.hidden;
    // Among many hidden rows a fifth of a page may have none to show, and would be a question more.
    const isDense = 4 * hidden <= page.taken.length;
    // Rows ahead of their joins would be judged as hidden, and that judgement stays.
    const looksAhead =
      page.prepare === undefined && isDense && !hasLookedAhead && page.room === 0 && !isBefore;
    const ahead = looksAhead && (await hasVisibleRow(page, at, first, origin));
    hasLookedAhead ||= looksAhead;
    if (ahead) return ok({ page, next: at });
    if (!isEnough(pages, seen - from) && !(isBefore && seen - start.seen >= lookedForMax)) continue;
    return isBefore ? err({ reason: "page_link_target_absent" }) : ok({ page, next: at });
  }
}

/** As {@link shorterPage}, as the link of a place. */
function shorterPlace(...asked: Parameters<typeof shorterPage>): string | undefined {
  const shorter = shorterPage(...asked);
  return shorter === undefined || "link" in shorter ? shorter?.link : grownLink(countIn(shorter.query) ?? 1);
}

/**
 * The place behind an answer without a link to a next page: at a server that may have cut the list, the same list with
 * twice as many rows.
 */
async function moreThan(
  asked: OriginQuestion,
  { sent, hasLinks }: { readonly sent: number; readonly hasLinks: boolean },
  rowsMax: number,
  origin: OriginSession,
): Promise<string> {
  const count = "query" in asked ? countIn(asked.query) : undefined;
  if (count === undefined) return "end";
  const capabilities = (await origin.traits())?.capabilities;
  if (!mayBeCut({ count, sent, hasLinks }, capabilities)) return "end";
  const longest = Math.min(wholePageMax(capabilities), rowsMax);
  return count < longest ? grownLink(Math.min(count * 2, longest)) : "too many";
}

/**
 * The link for a longer page, if more than half of a page is left to fill: at a server of which less than half of the
 * rows are hidden, two questions fill a page.
 */
const lengthened = (
  link: string,
  seen: number,
  question: string,
  { room, longest }: { readonly room: number; readonly longest: number },
): string =>
  resized(link, seen, question, (count) =>
    Math.min(2 * room > count ? Math.min(2 * room + 1, countMax) : count, longest),
  ) ?? link;

// A fifth: a further page costs 1.2 times its rows, not twice. If all rows of the fifth are hidden, the origin page
// is read as a whole.
const aheadOf = (count: number): number => Math.ceil(count / 5);

/**
 * Answers whether the first rows of the next origin page show that a visible row follows on a full page. The next
 * page of the client reads them again, so a full page asks for a few, where the origin's link can ask for fewer
 * rows. False says nothing, and a question that failed says nothing: the origin's own link decides.
 */
async function hasVisibleRow(
  page: Fillable,
  { link = "", seen }: PagePlace,
  { ask, type }: FirstAsk,
  origin: OriginSession,
): Promise<boolean> {
  const short = resized(link, seen, ask.query, aheadOf);
  if (short === undefined) return false;
  const answer = await origin.ask({ link: short });
  // A server that knows its own link alone may refuse the changed link by any status.
  if (!answer.ok) return false;
  let isFound = false;
  const looking: EntryTaker<EntryBytes, never> = {
    needs: (entry) => (page.isIncluded?.(entry) === true ? undefined : page.needs(entry)),
    take: (entry) => {
      isFound ||= page.lacks?.(entry) === true;
      return undefined;
    },
  };
  const read = await readOriginPage<never>(answer.value.body, looking, origin, type);
  return read.ok && isFound;
}

function refusedSearch(refusal: OriginRefusal, isFurtherPage: boolean): PageRefusal {
  if (isFurtherPage && refusal.reason === "absent") return { reason: "page_link_target_absent" };
  // The search is well-formed by R4, but this server does not support it: the client can ask differently.
  const isRejected =
    refusal.reason === "origin_refused" && (refusal.status === 400 || refusal.status === 422);
  return isRejected && !isFurtherPage
    ? { reason: "origin_rejected_search", status: refusal.status }
    : refusal;
}
