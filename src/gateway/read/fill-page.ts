import type { FhirBase } from "#fhir/r4/reference";
import type { ListType, SearchFrame } from "#fhir/bundle";
import type { AheadReader, EntryBytes } from "#fhir/json/entry-splitter";
import { grownLink, linkBelow, pageAt, resized } from "#fhir/origin-link";
import type { FhirQuestion, OriginBody, OriginQuestion, PagePlace } from "#fhir/ports";
import { countIn, countMax } from "#fhir/search/page-count";
import { err, ok, type Result } from "#kernel/result";
import type { DecidingRow } from "#phi/additional-patients";
import type { CutEntry } from "#phi/bytes/row-cutter";
import { Discloser, type DisclosureRefusal } from "#phi/disclose";
import type { Joined, NamedBases } from "#phi/row-views";
import { isCut } from "#phi/bytes/entry-cutter";
import { Page, type Offered } from "#phi/page";
import type { Grant, SearchGrant } from "#policy/grant";
import type { RowNeeds } from "#policy/row-needs";
import type { OriginPageRefusal, RowsRefusal } from "#gateway/origin/asking";
import type { OriginRefusal } from "#gateway/origin/forward";
import type { OriginSession } from "#gateway/origin/origin-session";
import { readOriginPage, takeInTurn, waitingOf, type EntryTaker } from "#gateway/origin/origin-page";
import { JoinsByPage } from "./joins-by-page.ts";
import type { Resolved } from "./resolve-joins.ts";
import { mayBeCut, wholePageMax } from "#gateway/origin/page-end";

export type PageRefusal =
  | OriginPageRefusal
  | DisclosureRefusal
  /** The origin has more rows than it sent: a part must not pass for the whole. */
  | { readonly reason: "answer_incomplete" }
  /** A paging link leaves the origin's own base, or returns to a page that was read. */
  | { readonly reason: "answer_link_outside_origin" | "answer_link_loops" }
  /** The origin no longer knows its own paging link, or the last row of the previous page. */
  | { readonly reason: "page_link_target_absent" };

/**
 * A client's page that is being filled, of any list. A further page finds its place by the keys of the rows.
 */
export interface Fillable {
  /** The visible rows that were read for it. */
  readonly taken: readonly DecidingRow[];
  /** Key of the last taken row. */
  readonly last: string | undefined;
  /** Key of a row before this page; `undefined` for an entry that is not a row. */
  keyOf(entry: EntryBytes | CutEntry): Result<string | undefined, DisclosureRefusal>;
  /** What has to be known before an entry is offered. */
  needs(entry: EntryBytes | CutEntry): RowNeeds | undefined;
  /** Answers whether an entry is an included resource. */
  isIncluded?(entry: EntryBytes | CutEntry): boolean;
  /** The included entries of these to which a row of the page leads. */
  reached?<E extends EntryBytes | CutEntry>(entries: readonly E[]): readonly E[];
  /** Passes a row that an earlier page showed, or may have shown. */
  pass(key: string): void;
  offer(entry: EntryBytes | CutEntry): Result<Offered, DisclosureRefusal>;
  /** Reads entries before they are offered. `part`: the next is offered, or asked for its key. */
  ahead?(part: () => "row" | "key"): AheadReader<CutEntry>;
  /** Limits the number of rows. */
  holdTo(rows: number): void;
  /** The rows that have room. Undefined: their number has no limit of its own. */
  readonly room?: number;
  /** Answers whether an entry is a visible row that this page lacks, and takes nothing of it. */
  lacks?(entry: EntryBytes | CutEntry): boolean;
  prepare?(...asked: Parameters<Prepare>): ReturnType<Prepare>;
}

/**
 * Asks for facts about all entries of an origin page, before the first is offered. The entries of the result have no
 * question left: they begin the next page.
 */
type Prepare = (
  entries: readonly EntryBytes[],
) => Promise<Result<ReadonlySet<EntryBytes>, PageRefusal | RowsRefusal>>;

export interface Filled<P> {
  readonly page: P;
  /** The beginning of the next page, if there is a next page. */
  readonly next: PagePlace | undefined;
}

// Limits for an answer: hidden rows may make it short, but never the origin's work long. Five origin pages are
// read, or more short pages until five hundred rows were read. A page is at most as long as an origin page, so
// it is short only if over 80 % of the rows, and of five hundred rows, are hidden; otherwise its length would
// tell their number at an origin with small pages.
const [originPagesMax, shortPagesMax, originRowsMin] = [5, 50, 500];

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

/** A page that asks for the joins of its own rows. */
class JoinedPage extends Page {
  readonly #byPage: JoinsByPage;
  readonly #origin: OriginSession;
  readonly #type: string;
  readonly #work = JoinsByPage.work();
  #discloser: Discloser;

  constructor(
    grant: SearchGrant,
    bases: NamedBases,
    joined: readonly Joined[],
    byPage: JoinsByPage,
    origin: OriginSession,
  ) {
    super(grant, grant.expects, bases, [...joined, ...byPage.joined]);
    this.countNone();
    this.#byPage = byPage;
    this.#origin = origin;
    this.#type = grant.expects.type;
    this.#discloser = new Discloser(grant, bases, joined);
  }

  override turnTo(part: Grant, bases: NamedBases, joined: readonly Joined[]): this {
    this.#discloser = new Discloser(part, bases, joined);
    return super.turnTo(part, bases, [...joined, ...this.#byPage.joined]);
  }

  prepare(entries: readonly EntryBytes[]): ReturnType<Prepare> {
    return this.#byPage.learnPage(
      { discloser: this.#discloser, type: this.#type },
      entries,
      this.#origin,
      this.#work,
    );
  }
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
  const filled = await fillFrom(first, start, origin, (base) => (page ??= open(base))).finally(end);
  if (!filled.ok) for (const row of page?.taken ?? []) origin.names.concerned.decide(row);
  return filled;
}

async function fillFrom<P extends Fillable>(
  first: FirstAsk,
  start: PagePlace,
  origin: OriginSession,
  open: (base: FhirBase) => P,
): Promise<Result<Filled<P>, PageRefusal | RowsRefusal>> {
  const { question, posted, part } = start;
  const placeAt = (link: string | undefined, after: string | undefined, seen: number): PagePlace => ({
    question,
    posted,
    ...(part !== undefined && { part }),
    link,
    after,
    seen,
  });
  let at = start;
  let page: P | undefined;
  let [isHeld, hasLookedAhead, hidden] = [false, false, 0];
  let own: string | undefined;
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
    const rows = new Rows(page, at.after, pages === 1);
    const read = await (page.prepare === undefined
      ? readOriginPage<DisclosureRefusal, CutEntry>(body, rows, origin, first.type, rows.ahead)
      : prepared(origin, page, rows, body, first.type));
    if (!read.ok) return read;
    const unsettled = await rows.settleIncluded(origin);
    if (unsettled !== undefined) return err(unsettled);
    // New rows may have moved the last row of the previous page on to a later origin page.
    const isBefore = rows.stage === "before";
    const seen = at.seen + rows.matches;
    const link: string | undefined =
      read.value.next === undefined
        ? await moreThan(asked, rows.matches, read.value.hasLinks || "link" in asked, origin)
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
    const after = isBefore ? at.after : isGrown ? rows.decided : undefined;
    at = placeAt(lengthened(link, seen, first.ask.query, page.room), after, isGrown ? 0 : seen);
    hidden += rows.hidden;
    // Among many hidden rows a fifth of a page may have none to show, and would be a question more.
    const isDense = 4 * hidden <= page.taken.length;
    // Rows ahead of their joins would be judged as hidden, and that judgement stays.
    const looksAhead =
      page.prepare === undefined && isDense && !hasLookedAhead && page.room === 0 && !isBefore;
    const ahead = looksAhead && (await hasVisibleRow(page, at, first, origin));
    hasLookedAhead ||= looksAhead;
    if (ahead) return ok({ page, next: at });
    if (!isEnough(pages, seen - start.seen)) continue;
    return isBefore ? err({ reason: "page_link_target_absent" }) : ok({ page, next: at });
  }
}

/**
 * The place behind an answer without a link to a next page: at a server that may have cut the list, the same list with
 * twice as many rows.
 */
async function moreThan(
  asked: OriginQuestion,
  sent: number,
  hasLinks: boolean,
  origin: OriginSession,
): Promise<string> {
  const count = "query" in asked ? countIn(asked.query) : undefined;
  if (count === undefined) return "end";
  const capabilities = (await origin.traits())?.capabilities;
  if (!mayBeCut({ count, sent, hasLinks }, capabilities)) return "end";
  const longest = wholePageMax(capabilities);
  return count < longest ? grownLink(Math.min(count * 2, longest)) : "too many";
}

/**
 * The link for a longer page, if more than half of a page is left to fill: at a server of which less than half of the
 * rows are hidden, two questions fill a page.
 */
const lengthened = (link: string, seen: number, question: string, room = 0): string =>
  resized(link, seen, question, (count) => (2 * room > count ? Math.min(2 * room + 1, countMax) : count)) ??
  link;

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

/**
 * Reads a page whose entries wait in memory until their facts are known. A searchset that is longer than the memory ends
 * the client's page early; the next page begins there.
 */
async function prepared(
  origin: OriginSession,
  page: Fillable,
  rows: Rows,
  body: OriginBody,
  type: ListType,
): Promise<Result<SearchFrame, PageRefusal | RowsRefusal>> {
  const entries: EntryBytes[] = [];
  let [bytes, isCut] = [0, false];
  const holding: EntryTaker<EntryBytes, PageRefusal> = {
    take: (entry) => {
      // Only the places of rows count before this page.
      if (type === "searchset" && rows.stage === "before") return rows.take(entry, true);
      if (!isCut && origin.held.takeUnjudged(lengthOf(entry))) {
        bytes += lengthOf(entry);
        entries.push(entry);
        return undefined;
      }
      isCut = type === "searchset" && entries.length > 0 && page.isIncluded?.(entry) !== true;
      return isCut ? undefined : { reason: "answer_too_large" };
    },
  };
  try {
    const read = await readOriginPage<PageRefusal>(body, holding, origin, type);
    if (!read.ok) return read;
    const unreached = await page.prepare?.(entries);
    const taker: EntryTaker<EntryBytes, DisclosureRefusal> = {
      needs: (entry) => rows.needs(entry),
      take: (entry, isFollowed) =>
        rows.take(entry, isFollowed && !(unreached?.ok === true && unreached.value.has(entry))),
    };
    const refusal =
      unreached?.ok === false
        ? unreached.error
        : await takeInTurn(
            entries.map((entry) => waitingOf(entry, taker)),
            taker,
            origin,
          );
    if (isCut && rows.stage === "filling") rows.stage = "unfollowed";
    return refusal === undefined ? read : err(refusal);
  } finally {
    origin.held.giveUnjudged(bytes);
  }
}

/** The bytes of an entry that are in memory. */
const lengthOf = (entry: EntryBytes): number => (entry === "too_large" ? 0 : entry.length);

function refusedSearch(refusal: OriginRefusal, isFurtherPage: boolean): PageRefusal {
  if (isFurtherPage && refusal.reason === "absent") return { reason: "page_link_target_absent" };
  // The search is well-formed by R4, but this server does not support it: the client can ask differently.
  const isRejected =
    refusal.reason === "origin_refused" && (refusal.status === 400 || refusal.status === 422);
  return isRejected && !isFurtherPage
    ? { reason: "origin_rejected_search", status: refusal.status }
    : refusal;
}

// As much as a page holds of included resources whose facts are known.
const unaskedBytesMax = 16_777_216;

const bytesOf = (entry: EntryBytes | CutEntry): number =>
  isCut(entry) ? ("bytes" in entry ? entry.bytes.length : 0) : lengthOf(entry);

/** The rows of an origin page on their way into the client's page. */
class Rows {
  /**
   * `before`: the last row of the previous page did not come yet. `unfollowed`: the rows refer to more resources
   * than a request follows, and the next page begins with the row that is not judged.
   */
  stage: "before" | "filling" | "full" | "unfollowed";
  matches = 0;
  hidden = 0;
  last: string | undefined;
  /** Key of the last row that was judged, shown or hidden. The link to the next page is sealed. */
  decided: string | undefined;
  readonly #page: Fillable;
  readonly #after: string | undefined;
  readonly #isFirst: boolean;
  /**
   * Included entries whose facts are not known: they are asked for once the rows of the page are known, since a hidden
   * row must not have them asked for.
   */
  #unasked: (EntryBytes | CutEntry)[] = [];
  #unaskedBytes = 0;
  #isSettling = false;

  /** @param isFirst of the request's origin pages: the request has to come further by a row at least. */
  constructor(page: Fillable, after: string | undefined, isFirst: boolean) {
    this.#isFirst = isFirst;
    this.#page = page;
    this.#after = after;
    this.stage = after === undefined ? "filling" : "before";
  }

  get ahead(): AheadReader<CutEntry> | undefined {
    return this.#page.ahead?.(() => (this.stage === "filling" ? "row" : "key"));
  }

  /** Before this page only the places of rows count. */
  get isInOrder(): boolean {
    return this.stage === "filling";
  }

  /** A row before this page, or after the last on it, is not judged. */
  needs(entry: EntryBytes | CutEntry): RowNeeds | undefined {
    const needs = this.#page.needs(entry);
    if (needs !== undefined && !this.#isSettling && this.#page.isIncluded?.(entry) === true) return undefined;
    if (needs === undefined || this.stage === "filling") return needs;
    const key = this.#page.keyOf(entry);
    return key.ok && key.value === undefined ? needs : undefined;
  }

  take(entry: EntryBytes | CutEntry, isFollowed: boolean): DisclosureRefusal | undefined {
    if (this.#waits(entry)) return this.#wait(entry);
    if (this.stage !== "filling") return this.#pass(entry);
    const offered = this.#page.offer(entry);
    if (!offered.ok) return offered.error;
    if (!isFollowed && offered.value === "hidden" && !(this.#isFirst && this.decided === undefined)) {
      this.stage = "unfollowed";
      return undefined;
    }
    if (offered.value === "shown") this.decided = this.#page.last;
    if (offered.value === "hidden") {
      this.hidden += 1;
      this.#note(entry);
    }
    if (offered.value !== "no match") this.matches += 1;
    if (offered.value === "shown") this.last = this.#page.last;
    if (offered.value === "beyond") this.stage = "full";
    return undefined;
  }

  #waits(entry: EntryBytes | CutEntry): boolean {
    return (
      !this.#isSettling && this.#page.isIncluded?.(entry) === true && this.#page.needs(entry) !== undefined
    );
  }

  /** Drops the entries to which no row leads by now if they are too long, as a page drops included resources. */
  #wait(entry: EntryBytes | CutEntry): DisclosureRefusal | undefined {
    this.#unasked.push(entry);
    this.#unaskedBytes += bytesOf(entry);
    if (this.#unaskedBytes <= unaskedBytesMax) return undefined;
    this.#unasked = [...(this.#page.reached?.(this.#unasked) ?? [])];
    this.#unaskedBytes = this.#unasked.reduce((sum, each) => sum + bytesOf(each), 0);
    return this.#unaskedBytes > unaskedBytesMax ? { reason: "answer_too_large" } : undefined;
  }

  /** Asks for the facts of the included entries to which the page leads, and offers these. */
  async settleIncluded(origin: OriginSession): Promise<DisclosureRefusal | RowsRefusal | undefined> {
    this.#isSettling = true;
    for (let left = this.#unasked; left.length > 0;) {
      const reached = new Set(this.#page.reached?.(left));
      if (reached.size === 0) return undefined;
      const waiting = [...reached].map((entry) => waitingOf(entry, this));
      const refusal = await takeInTurn<EntryBytes | CutEntry, DisclosureRefusal>(waiting, this, origin);
      if (refusal !== undefined) return refusal;
      left = left.filter((entry) => !reached.has(entry));
    }
    return undefined;
  }

  #note(entry: EntryBytes | CutEntry): void {
    const key = this.#page.keyOf(entry);
    if (key.ok && key.value !== undefined && key.value !== "") this.decided = key.value;
  }

  /**
   * An entry before this page: only the place of a row is read. An entry that is not a row may belong to
   * rows of this page, or report a failed search.
   */
  #pass(bytes: EntryBytes | CutEntry): DisclosureRefusal | undefined {
    const key = this.#page.keyOf(bytes);
    if (!key.ok) return key.error;
    if (key.value === undefined) {
      const offered = this.#page.offer(bytes);
      return offered.ok ? undefined : offered.error;
    }
    this.matches += 1;
    if (this.stage !== "before") return undefined;
    this.#page.pass(key.value);
    if (key.value === this.#after) this.stage = "filling";
    return undefined;
  }
}
