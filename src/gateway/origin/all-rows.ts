import type { FhirBase } from "#fhir/r4/reference";
import { readEntry } from "#fhir/bundle";
import type { JsonObject } from "#fhir/json/json";
import { linkBelow } from "#fhir/origin-link";
import type { FhirQuestion, OriginQuestion } from "#fhir/ports";
import { err, ok, type Result } from "#kernel/result";
import type { RowBarrier } from "#fhir/row-barrier";
import type { Answered, OriginRefusal } from "./forward.ts";
import type { HeldBytes } from "./held-bytes.ts";
import { readOriginPage, type OriginPageRefusal } from "./origin-page.ts";

export type RowsRefusal =
  | OriginPageRefusal
  | { readonly reason: "answer_link_outside_origin" }
  /** The search finds more rows than the gateway reads for a decision. */
  | { readonly reason: "too_many_rows" };

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

/** The part of a session with an origin that a decision needs. */
export interface Asking {
  ask(question: OriginQuestion): Promise<Result<Answered, OriginRefusal>>;
  readonly held: HeldBytes;
  /** Around each row that the decision reads. */
  readonly barrier: RowBarrier;
}

/**
 * All matches of a search that the gateway asks for a decision of its own, from all pages. The origin may
 * have ignored the question, so the caller checks each row. The rows hold bytes of the request's budget
 * until the caller returns these.
 *
 * @param counts whether a row is retained and counted: a hidden row must not decide that there are too many
 * rows. An origin with small pages may have only half of the rows of so many pages retained; otherwise a
 * single hidden row could begin a page too many.
 */
export async function allRows(
  question: FhirQuestion,
  rowsMax: number,
  origin: Asking,
  counts: (row: JsonObject, base: FhirBase) => boolean = () => true,
  pagesMax = pagesUsual,
): Promise<Result<Rows, RowsRefusal>> {
  const [rows, held]: [JsonObject[], number[]] = [[], []];
  let next: OriginQuestion = question;
  let room = rowsMax;
  for (let page = 1; page <= pagesMax; page += 1) {
    const read = await rowsOf(next, origin, counts);
    if (!read.ok) return read;
    const { base } = read.value;
    for (const row of read.value.rows) rows.push(row);
    held.push(read.value.bytes);
    if (page === 1 && read.value.next !== undefined)
      room = Math.min(rowsMax, Math.floor((pagesMax * read.value.matches) / 2));
    if (rows.length > room) return err({ reason: "too_many_rows" });
    if (read.value.next === undefined)
      return ok({ rows, base, bytes: held.reduce((sum, bytes) => sum + bytes, 0) });
    const link = linkBelow(base, read.value.next);
    if (link === undefined) return err({ reason: "answer_link_outside_origin" });
    next = { link };
  }
  return err({ reason: "too_many_rows" });
}

/**
 * Shows each match of a search to `visit`, from all pages, and holds none of them. As in {@link allRows}, only half
 * of the rows of so many pages may be visible if the origin has several pages.
 *
 * @param visit answers whether the row is visible.
 * @param rowBytesMax a longer row is passed over, as an unreadable row is.
 */
export async function visitRows(
  question: FhirQuestion,
  origin: Asking,
  visit: (row: JsonObject, base: FhirBase) => boolean,
  pagesMax: number,
  rowBytesMax = Number.POSITIVE_INFINITY,
): Promise<Result<undefined, RowsRefusal>> {
  let [next, visible, room]: [OriginQuestion, number, number] = [question, 0, Number.POSITIVE_INFINITY];
  for (let page = 1; page <= pagesMax; page += 1) {
    const show = (row: JsonObject, base: FhirBase) => {
      if (visit(row, base)) visible += 1;
      return false;
    };
    const read = await rowsOf(next, origin, show, rowBytesMax);
    if (!read.ok) return read;
    if (read.value.next === undefined)
      return visible > room ? err({ reason: "too_many_rows" }) : ok(undefined);
    if (page === 1) room = Math.floor((pagesMax * read.value.matches) / 2);
    if (visible > room) return err({ reason: "too_many_rows" });
    const link = linkBelow(read.value.base, read.value.next);
    if (link === undefined) return err({ reason: "answer_link_outside_origin" });
    next = { link };
  }
  return err({ reason: "too_many_rows" });
}

interface RowsOfPage extends Rows {
  /** The number of matches, retained or not. */
  readonly matches: number;
  readonly next: string | undefined;
}

/**
 * The readable, retained matches of a page, and the origin's own link to the next page. Rows that are not
 * retained hold no bytes.
 *
 * @param keeps is behind the barrier: a row for which it throws is not retained.
 */
export async function rowsOf(
  question: OriginQuestion,
  origin: Asking,
  keeps: (row: JsonObject, base: FhirBase) => boolean,
  rowBytesMax = Number.POSITIVE_INFINITY,
): Promise<Result<RowsOfPage, RowsRefusal>> {
  const rows: JsonObject[] = [];
  let [matches, held] = [0, 0];
  const answer = await origin.ask(question);
  if (!answer.ok) return answer;
  const { body, base } = answer.value;
  const read = await readOriginPage(body, (bytes): RowsRefusal | undefined => {
    const entry = readEntry(bytes.length > rowBytesMax ? "too_large" : bytes);
    if (!entry.ok) return { reason: `answer_${entry.error.reason}` };
    if (entry.value.mode === "match" || entry.value.mode === "unreadable") matches += 1;
    if (entry.value.mode !== "match") return undefined;
    const { resource } = entry.value;
    if (!origin.barrier.judge(resource, () => keeps(resource, base), false)) return undefined;
    if (!origin.held.takeTree(bytes.length)) return { reason: "too_many_rows" };
    held += bytes.length;
    rows.push(resource);
    return undefined;
  });
  return read.ok ? ok({ rows, base, bytes: held, matches, next: read.value.next }) : read;
}
