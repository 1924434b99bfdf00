import type { FhirBase } from "#fhir/r4/reference";
import { readEntry } from "#fhir/bundle";
import type { EntryBytes } from "#fhir/json/entry-splitter";
import { textAt, type JsonObject } from "#fhir/json/json";
import { linkBelow, shorterPage } from "#fhir/origin-link";
import type { FhirQuestion, OriginQuestion } from "#fhir/ports";
import { countIn, withCount } from "#fhir/search/page-count";
import { utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import { sha256 } from "#ledger/bytes/hash";
import type { RowNeeds } from "#policy/row-needs";
import type { Asking, RowsRefusal } from "./asking.ts";
import { pageTooLarge, readOriginPage } from "./origin-page.ts";
import { mayBeCut, RowTimes, wholePageMax } from "./page-end.ts";

// A 401, 403 or 408 says nothing about the rows: a decision without them would rest on a fault.
const unknownStatuses: ReadonlySet<number> = new Set([400, 404, 422]);

/** Answers whether the origin does not know the type or a parameter of the question. */
export const isUnknownAtOrigin = (refusal: RowsRefusal): boolean =>
  refusal.reason === "absent" || (refusal.reason === "origin_refused" && unknownStatuses.has(refusal.status));

export interface Rows {
  readonly rows: readonly JsonObject[];
  /** FHIR base of the origin that answered. */
  readonly base: FhirBase;
  /** The bytes that they hold in the request's budget, until the caller returns these. */
  readonly bytes: number;
}

// Servers cap a page at fifty rows or more, whatever `_count` asks for.
export const pagesUsual = 20;

/** Judges the rows of an answer. Both methods are behind the barrier around the row. */
export interface RowJudge {
  /** The facts to learn before the row is judged; by default nothing. */
  readonly needs?: (row: JsonObject, base: FhirBase) => RowNeeds | undefined;
  /** Answers whether a row is retained and counted: a hidden row must not decide that there are too many rows. */
  readonly keeps: (row: JsonObject, base: FhirBase) => boolean;
  /** A row is not retained, and refers to more resources than the request follows: it may be visible. */
  readonly unfollowed?: () => void;
}

/**
 * All matches of a search that the gateway asks for a decision of its own, from all pages. The origin may
 * have ignored the question, so the judge checks each row. The rows hold bytes of the request's budget
 * until the caller returns these. An origin with small pages may have only half of the rows of so many pages retained;
 * otherwise a single hidden row could begin a page too many.
 */
export async function allRows(
  question: FhirQuestion,
  rowsMax: number,
  origin: Asking,
  judge: RowJudge = { keeps: () => true },
  pagesMax = pagesUsual,
): Promise<Result<Rows, RowsRefusal>> {
  const [rows, held]: [JsonObject[], number[]] = [[], []];
  let base: FhirBase = "";
  const refusal = await eachPage(question, origin, judge, pagesMax, (page, room) => {
    ({ base } = page);
    for (const row of page.rows) rows.push(row);
    held.push(page.bytes);
    return rows.length > Math.min(rowsMax, room) ? "too many" : "next";
  });
  if (refusal !== undefined) return err(refusal);
  return ok({ rows, base, bytes: held.reduce((sum, bytes) => sum + bytes, 0) });
}

/**
 * Reads the pages of a search until one has no next page. A server without paging links is asked again for a longer
 * page, and then for the rows in the order of their last changes, each time from the last row on.
 *
 * @param take a page, and the rows for which a search of several pages has room: half of the rows of so many pages.
 * `end`: no further page is needed.
 */
export async function eachPage(
  question: FhirQuestion,
  origin: Asking,
  judge: RowJudge,
  pagesMax: number,
  take: (page: RowsOfPage, room: number) => "next" | "end" | "too many",
  rowBytesMax?: number,
): Promise<RowsRefusal | undefined> {
  let [next, room, sent]: [OriginQuestion, number, number] = [question, Number.POSITIVE_INFINITY, 0];
  let judged: ReadonlySet<string> | undefined;
  let times: RowTimes | undefined;
  let longest: number | undefined;
  for (let page = 1; page <= pagesMax; page += 1) {
    const read = await rowsOf(next, origin, judge, rowBytesMax, judged, times);
    // A server may refuse a long page by any status: no such refusal says that there are no rows.
    if (!read.ok && judged !== undefined) break;
    // A server without the type has no such row.
    if (!read.ok) return read.error.reason === "type_not_at_origin" ? undefined : read.error;
    const { value } = read;
    if (room === Number.POSITIVE_INFINITY && (value.next ?? times) !== undefined)
      room = Math.floor(((pagesMax - page + 1) * (value.sent - (times === undefined ? 0 : 1))) / 2);
    const taken = take(value, room);
    if (taken === "end") return undefined;
    if (taken === "too many" || times?.isSound === false) break;
    // Ids are asked for in halves.
    const shorter: OriginQuestion | undefined =
      value.isCut && !byIds.test(question.query)
        ? shorterPage(question, next, { before: sent, read: value.sent })
        : undefined;
    if (shorter !== undefined) {
      judged = new Set([...(judged ?? []), ...value.keys]);
      longest = "query" in shorter ? countIn(shorter.query) : longest;
      times &&= new RowTimes(times.from);
      next = shorter;
      continue;
    }
    if (value.isCut) return { reason: "origin_answer_too_large" };
    sent += value.sent;
    if (value.next === undefined) {
      const isLinked = value.hasLinks || "link" in next;
      const behind = await questionBehind(
        question,
        next,
        { sent: value.sent, isLinked, times, longest },
        origin,
      );
      if (behind === undefined && (value.total ?? 0) <= sent) return undefined;
      if (behind === undefined || behind === "unknown") break;
      judged = new Set([...(judged ?? []), ...value.keys]);
      [next, times, sent] = [behind.question, behind.times, 0];
    } else {
      const link = linkBelow(value.base, value.next);
      if (link === undefined) return { reason: "answer_link_outside_origin" };
      next = { link };
    }
  }
  return { reason: "too_many_rows" };
}

const byIds = /(?:^|&)_id=/u;

/**
 * The question for the rows that may stand behind an answer without a link to them. Undefined: there is no such row. A
 * question by ids has as many rows at most.
 */
async function questionBehind(
  first: FhirQuestion,
  asked: OriginQuestion,
  {
    sent,
    isLinked,
    times,
    longest: rowsMax = Number.POSITIVE_INFINITY,
  }: {
    readonly sent: number;
    readonly isLinked: boolean;
    readonly times: RowTimes | undefined;
    /** The rows of a page that is not too long. */
    readonly longest: number | undefined;
  },
  origin: Asking,
): Promise<{ readonly question: FhirQuestion; readonly times?: RowTimes } | "unknown" | undefined> {
  const count = "query" in asked ? countIn(asked.query) : undefined;
  if (count === undefined) return undefined;
  const capabilities = (await origin.traits())?.capabilities;
  const longest = Math.min(wholePageMax(capabilities), rowsMax);
  // A question by ids has as many rows at most: only a longest page that is shorter may cut it.
  if (byIds.test(first.query) && sent < longest) return undefined;
  if (!mayBeCut({ count, sent, hasLinks: isLinked }, capabilities)) return undefined;
  if (count < longest) return { question: { ...first, query: withCount(first.query, longest) } };
  const last = times?.last;
  const isUnordered = /(?:^|&)_sort=/u.test(first.query) || (times !== undefined && last === undefined);
  if (isUnordered || longest === 1) return "unknown";
  const from = last === undefined ? "" : `&_lastUpdated=ge${encodeURIComponent(last.time)}`;
  const query = `${withCount(first.query, Math.max(count, longest))}&_sort=_lastUpdated${from}`;
  return { question: { ...first, query }, times: new RowTimes(last) };
}

interface RowsOfPage extends Rows {
  /** The number of matches that no answer before had, retained or not. */
  readonly matches: number;
  /** The number of all matches. */
  readonly sent: number;
  /** See {@link keyOf}. */
  readonly keys: readonly string[];
  readonly next: string | undefined;
  readonly hasLinks: boolean;
  /** The answer is longer than a page of the origin may be: its first rows alone were read. */
  readonly isCut: boolean;
  /** The matches of all pages, as the origin counts them. */
  readonly total: number | undefined;
}

/**
 * The readable, retained matches of a page, and the origin's own link to the next page. Rows that are not
 * retained hold no bytes. A row for which the judge throws is not retained.
 *
 * @param judged keys of the matches of answers before: they are passed over. @param times sees each match.
 */
async function rowsOf(
  question: OriginQuestion,
  origin: Asking,
  { needs, keeps, unfollowed }: RowJudge,
  rowBytesMax = Number.POSITIVE_INFINITY,
  judged?: ReadonlySet<string>,
  times?: RowTimes,
): Promise<Result<RowsOfPage, RowsRefusal>> {
  const rows: JsonObject[] = [];
  const keys: string[] = [];
  let [sent, matches, held] = [0, 0, 0];
  const answer = await origin.ask(question);
  if (!answer.ok) return answer;
  const { body, base } = answer.value;
  const { barrier } = origin;
  let last: { readonly bytes: EntryBytes; readonly entry: ReturnType<typeof readEntry> } | undefined;
  // An entry that does not wait is read once, for its needs and its judgement.
  const entryIn = (bytes: EntryBytes) => {
    if (last?.bytes !== bytes)
      last = { bytes, entry: readEntry(bytes.length > rowBytesMax ? "too_large" : bytes) };
    return last.entry;
  };
  const needsOf = (bytes: EntryBytes): RowNeeds | undefined => {
    const entry = entryIn(bytes);
    if (!entry.ok || entry.value.mode !== "match") return undefined;
    const { resource } = entry.value;
    if (judged?.has(keyOf(resource)) === true) return undefined;
    return barrier.judge(resource, () => needs?.(resource, base), undefined);
  };
  const take = (bytes: EntryBytes, isFollowed: boolean): RowsRefusal | undefined => {
    const entry = entryIn(bytes);
    if (!entry.ok) return { reason: `answer_${entry.error.reason}` };
    if (entry.value.mode !== "match" && entry.value.mode !== "unreadable") return undefined;
    sent += 1;
    const key = entry.value.mode === "match" ? keyOf(entry.value.resource) : "";
    if (entry.value.mode === "match") times?.see(entry.value.resource, key);
    if (judged?.has(key) === true) return undefined;
    matches += 1;
    if (entry.value.mode !== "match") return undefined;
    keys.push(key);
    const { resource } = entry.value;
    if (!barrier.judge(resource, () => keeps(resource, base), false)) {
      if (!isFollowed) unfollowed?.();
      return undefined;
    }
    if (!origin.held.takeTree(bytes.length)) return { reason: "too_many_rows" };
    held += bytes.length;
    rows.push(resource);
    return undefined;
  };
  const taker = { needs: needs && needsOf, take };
  const read = await readOriginPage<RowsRefusal>(body, taker, origin);
  const isCut = !read.ok && read.error === pageTooLarge;
  if (!read.ok && !isCut) return read;
  const frame = read.ok ? read.value : { next: undefined, hasLinks: false, total: undefined };
  return ok({ ...frame, rows, base, bytes: held, matches, sent, keys, isCut });
}

/** `Type/id`; for a row without an id the hash of its content. */
const keyOf = (row: JsonObject): string =>
  `${textAt(row, "resourceType")}/${textAt(row, "id") ?? sha256(utf8(JSON.stringify(row))).join()}`;
