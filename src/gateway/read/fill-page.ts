import type { FhirBase } from "#fhir/r4/reference";
import type { ListType, SearchFrame } from "#fhir/bundle";
import type { EntryBytes } from "#fhir/json/entry-splitter";
import { linkBelow } from "#fhir/origin-link";
import type { FhirQuestion, OriginBody, PagePlace } from "#fhir/ports";
import { err, ok, type Result } from "#kernel/result";
import type { DecidingRow } from "#phi/additional-patients";
import type { Joined, DisclosureRefusal } from "#phi/disclose";
import { Page, type Offered } from "#phi/page";
import type { Grant, SearchExpectation } from "#policy/grant";
import type { RowsRefusal } from "#gateway/origin/all-rows";
import type { OriginRefusal } from "#gateway/origin/forward";
import type { OriginSession } from "#gateway/origin/origin-session";
import { readOriginPage, type OriginPageRefusal } from "#gateway/origin/origin-page";

export type PageRefusal =
  | OriginPageRefusal
  | DisclosureRefusal
  /** The origin has more than it gave: a part is never passed off as the whole. */
  | { readonly reason: "answer_incomplete" }
  /** A paging link that leads away from the origin's own base, or back to a page that was read. */
  | { readonly reason: "answer_link_outside_origin" | "answer_link_loops" }
  /** The origin does not know its own paging link any longer, or the row that the last page ended with. */
  | { readonly reason: "page_link_target_absent" };

/** A client's page in the making, of whatever list. Its rows have keys by which a further page finds its place. */
export interface Fillable {
  /** The rows that may be seen and were gone through for it. */
  readonly taken: readonly DecidingRow[];
  /** Key of the last row that was taken. */
  readonly last: string | undefined;
  /** Key of a row on the way past this page; nothing for what is no row. */
  keyOf(entry: EntryBytes): Result<string | undefined, DisclosureRefusal>;
  /** A row that an earlier page had, or may have had. */
  pass(key: string): void;
  offer(entry: EntryBytes): Result<Offered, DisclosureRefusal>;
  /** It takes no more rows than these. */
  holdTo(rows: number): void;
  /** What has to be known of all entries of one of the origin's pages before any is offered. */
  prepare?(entries: readonly EntryBytes[]): Promise<PageRefusal | RowsRefusal | undefined>;
}

export interface Filled<P> {
  readonly page: P;
  /** Where the next page begins, when there is one. */
  readonly next: PagePlace | undefined;
}

// For one answer: hidden rows may make it short, never the origin's work long. A page is no longer than one of the origin's, so that it is
// short only where four of five rows are hidden: else its length would tell how many are, at an origin of small pages.
const originPagesMax = 5;

/**
 * Fills a client's page from the origin's, from a place on. It is full when a row that may be seen found no room, so that what is hidden
 * behind the last one shows neither in the page's length nor in its having a next link; only after five of the origin's pages it is given
 * as it is.
 */
export async function fillPage(
  grant: Grant,
  expects: SearchExpectation,
  place: PagePlace | undefined,
  origin: OriginSession,
  joined: readonly Joined[] = [],
): Promise<Result<Filled<Page>, PageRefusal | RowsRefusal>> {
  const { question, posted } = expects;
  const start = place ?? { question, posted, link: undefined, after: undefined, seen: 0 };
  return fill(
    { ask: grant.ask, type: "searchset" },
    start,
    origin,
    (base) => new Page(grant, expects, origin.basesAt(base), joined),
  );
}

/** As {@link fillPage}, of any list. @param open begins the page, once the origin's base is known. */
export async function fill<P extends Fillable>(
  first: { readonly ask: FhirQuestion; readonly type: ListType },
  start: PagePlace,
  origin: OriginSession,
  open: (base: FhirBase) => P,
): Promise<Result<Filled<P>, PageRefusal | RowsRefusal>> {
  let page: P | undefined;
  const filled = await fillFrom(first, start, origin, (base) => (page ??= open(base)));
  if (!filled.ok) for (const row of page?.taken ?? []) origin.concerned.decide(row);
  return filled;
}

async function fillFrom<P extends Fillable>(
  first: { readonly ask: FhirQuestion; readonly type: ListType },
  start: PagePlace,
  origin: OriginSession,
  open: (base: FhirBase) => P,
): Promise<Result<Filled<P>, PageRefusal | RowsRefusal>> {
  const { question, posted } = start;
  let at = start;
  let page: P | undefined;
  const followed = new Set<string | undefined>();
  for (let pages = 1; ; pages += 1) {
    const answer = await origin.ask(at.link === undefined ? first.ask : { link: at.link });
    if (!answer.ok) return err(refusedSearch(answer.error, at.link !== undefined));
    const { body, base } = answer.value;
    page ??= open(base);
    const rows = new Rows(page, at.after);
    const read = await (page.prepare === undefined
      ? readOriginPage(body, (entry) => rows.take(entry), first.type)
      : prepared(origin, page, rows, body, first.type));
    if (!read.ok) return read;
    if (rows.stage === "before") return err({ reason: "page_link_target_absent" });
    followed.add(at.link);
    if (pages === 1 && read.value.next !== undefined) page.holdTo(Math.max(1, rows.matches));
    if (rows.stage === "full") return ok({ page, next: { ...at, after: rows.last ?? at.after } });

    const seen = at.seen + rows.matches;
    if (read.value.next === undefined) {
      // Some servers cut a list short without a `next` link; their total still tells.
      return (read.value.total ?? 0) > seen
        ? err({ reason: "answer_incomplete" })
        : ok({ page, next: undefined });
    }
    const link = linkBelow(base, read.value.next);
    if (link === undefined) return err({ reason: "answer_link_outside_origin" });
    if (followed.has(link)) return err({ reason: "answer_link_loops" });
    at = { question, posted, link, after: undefined, seen };
    if (pages === originPagesMax) return ok({ page, next: at });
  }
}

/** As of any page, of which the entries are held until something is known of them. */
async function prepared(
  origin: OriginSession,
  page: Fillable,
  rows: Rows,
  body: OriginBody,
  type: ListType,
): Promise<Result<SearchFrame, PageRefusal | RowsRefusal>> {
  const entries: EntryBytes[] = [];
  let held = 0;
  const read = await readOriginPage<PageRefusal>(
    body,
    (entry) => {
      if (!origin.held.take(lengthOf(entry))) return { reason: "answer_too_large" };
      held += lengthOf(entry);
      entries.push(entry);
      return undefined;
    },
    type,
  );
  if (!read.ok) return read;
  const refusal =
    (await page.prepare?.(entries)) ??
    entries.map((entry) => rows.take(entry)).find((one) => one !== undefined);
  origin.held.give(held);
  return refusal === undefined ? read : err(refusal);
}

/** Of what is held of an entry. */
const lengthOf = (entry: EntryBytes): number => (entry === "too_large" ? 0 : entry.length);

function refusedSearch(refusal: OriginRefusal, isFurtherPage: boolean): PageRefusal {
  if (isFurtherPage && refusal.reason === "absent") return { reason: "page_link_target_absent" };
  // A search that is well-formed by R4 and that this server does not know: the client can ask otherwise.
  const isRejected =
    refusal.reason === "origin_refused" && (refusal.status === 400 || refusal.status === 422);
  return isRejected && !isFurtherPage
    ? { reason: "origin_rejected_search", status: refusal.status }
    : refusal;
}

/** The rows of one page of the origin's on their way into the client's. */
class Rows {
  /** `before`: the row that the last page ended with did not come yet. */
  stage: "before" | "filling" | "full";
  matches = 0;
  last: string | undefined;
  readonly #page: Fillable;
  readonly #after: string | undefined;

  constructor(page: Fillable, after: string | undefined) {
    this.#page = page;
    this.#after = after;
    this.stage = after === undefined ? "filling" : "before";
  }

  take(entry: EntryBytes): DisclosureRefusal | undefined {
    if (this.stage !== "filling") return this.#pass(entry);
    const offered = this.#page.offer(entry);
    if (!offered.ok) return offered.error;
    if (offered.value !== "no match") this.matches += 1;
    if (offered.value === "shown") this.last = this.#page.last;
    if (offered.value === "beyond") this.stage = "full";
    return undefined;
  }

  /** An entry of another page than this: of a row its place alone is read. What is no row may belong to rows of this page, or say that the search failed. */
  #pass(bytes: EntryBytes): DisclosureRefusal | undefined {
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
