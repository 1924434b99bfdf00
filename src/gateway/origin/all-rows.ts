import type { FhirBase } from "#fhir/r4/reference";
import { readEntry } from "#fhir/bundle";
import type { JsonObject } from "#fhir/json/json";
import { linkBelow } from "#fhir/origin-link";
import type { FhirQuestion, OriginQuestion } from "#fhir/ports";
import { err, ok, type Result } from "#kernel/result";
import type { OriginSession } from "./origin-session.ts";
import { readOriginPage, type OriginPageRefusal } from "./origin-page.ts";

export type RowsRefusal =
  | OriginPageRefusal
  | { readonly reason: "answer_link_outside_origin" }
  /** More rows than the gateway goes through for one decision. */
  | { readonly reason: "too_many_rows" };

export interface Rows {
  readonly rows: readonly JsonObject[];
  /** FHIR base of the origin that answered. */
  readonly base: FhirBase;
  /** What they are held for, until they are let go of. */
  readonly bytes: number;
}

// Servers cap their pages at fifty rows and more, whatever is asked for.
const pagesUsual = 20;

/** What a decision asks an origin by. */
type Asking = Pick<OriginSession, "ask" | "held">;

/**
 * The matches of a search that the gateway asks for its own decisions, of all its pages. They are the origin's word: whoever decides by
 * them checks each, since an origin may have ignored the question. They are held until they are let go of.
 *
 * @param counts which rows are kept, and count: one that nobody may know of must not decide that there are too many. Where the origin's pages
 * are small only half of the rows on so many of them may be kept, or else a single hidden one could be what begins a page too many.
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
    rows.push(...read.value.rows);
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

interface RowsOfPage extends Rows {
  /** How many matches there were, kept or not. */
  readonly matches: number;
  readonly next: string | undefined;
}

/** The matches of one page that can be read and are kept, and the origin's link to the next one, as it wrote it. A row that is not kept is let go of at once. */
export async function rowsOf(
  question: OriginQuestion,
  origin: Asking,
  keeps: (row: JsonObject, base: FhirBase) => boolean,
): Promise<Result<RowsOfPage, RowsRefusal>> {
  const rows: JsonObject[] = [];
  let [matches, held] = [0, 0];
  const answer = await origin.ask(question);
  if (!answer.ok) return answer;
  const { body, base } = answer.value;
  const read = await readOriginPage(body, (bytes): RowsRefusal | undefined => {
    const entry = readEntry(bytes);
    if (!entry.ok) return { reason: `answer_${entry.error.reason}` };
    if (entry.value.mode === "match" || entry.value.mode === "unreadable") matches += 1;
    if (entry.value.mode !== "match") return undefined;
    if (!keeps(entry.value.resource, base)) return undefined;
    if (!origin.held.takeTree(bytes.length)) return { reason: "too_many_rows" };
    held += bytes.length;
    rows.push(entry.value.resource);
    return undefined;
  });
  return read.ok ? ok({ rows, base, bytes: held, matches, next: read.value.next }) : read;
}
