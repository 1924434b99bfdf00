import { readEntry } from "#fhir/bundle";
import type { JsonObject } from "#fhir/json";
import { linkBelow } from "#fhir/origin-link";
import type { FhirQuestion, OriginQuestion } from "#fhir/ports";
import { err, ok, type Result } from "#kernel/result";
import type { Answered, OriginRefusal } from "./forward.ts";
import { readOriginPage, type OriginPageRefusal } from "./origin-page.ts";

export type RowsRefusal =
  | OriginPageRefusal
  | { readonly reason: "answer_link_outside_origin" }
  /** More rows than the gateway goes through for one decision. */
  | { readonly reason: "too_many_rows" };

export interface Rows {
  readonly rows: readonly JsonObject[];
  /** FHIR base of the origin that answered. */
  readonly base: string;
}

/** Asks the one origin of a request. */
export type Ask = (question: OriginQuestion) => Promise<Result<Answered, OriginRefusal>>;

// Servers cap their pages at fifty rows and more, whatever is asked for.
const pagesUsual = 20;

/**
 * The matches of a search that the gateway asks for its own decisions, of all its pages. They are the origin's word: whoever decides by
 * them checks each, since an origin may have ignored the question.
 *
 * @param counts which rows are kept, and count: one that nobody may know of must not decide that there are too many. Where the origin's pages
 * are small only half of the rows on so many of them may be kept, or else a single hidden one could be what begins a page too many.
 */
export async function allRows(
  question: FhirQuestion,
  rowsMax: number,
  ask: Ask,
  counts: (row: JsonObject, base: string) => boolean = () => true,
  pagesMax = pagesUsual,
): Promise<Result<Rows, RowsRefusal>> {
  const rows: JsonObject[] = [];
  let next: OriginQuestion = question;
  let room = rowsMax;
  for (let page = 1; page <= pagesMax; page += 1) {
    const read = await rowsOf(next, ask);
    if (!read.ok) return read;
    const { base } = read.value;
    rows.push(...read.value.rows.filter((row) => counts(row, base)));
    if (page === 1 && read.value.next !== undefined) room = Math.min(rowsMax, Math.floor((pagesMax * read.value.rows.length) / 2));
    if (rows.length > room) return err({ reason: "too_many_rows" });
    if (read.value.next === undefined) return ok({ rows, base });
    const link = linkBelow(base, read.value.next);
    if (link === undefined) return err({ reason: "answer_link_outside_origin" });
    next = { link };
  }
  return err({ reason: "too_many_rows" });
}

/** The matches of one page, and the origin's link to the next one, as it wrote it. */
export async function rowsOf(
  question: OriginQuestion,
  ask: Ask,
): Promise<Result<Rows & { readonly next: string | undefined }, RowsRefusal>> {
  const rows: JsonObject[] = [];
  const answer = await ask(question);
  if (!answer.ok) return answer;
  const { body, base } = answer.value;
  const read = await readOriginPage(body, (bytes): RowsRefusal | undefined => {
    const entry = readEntry(bytes);
    if (!entry.ok) return { reason: `answer_${entry.error.reason}` };
    if (entry.value.mode === "match") rows.push(entry.value.resource);
    return undefined;
  });
  return read.ok ? ok({ rows, base, next: read.value.next }) : read;
}
