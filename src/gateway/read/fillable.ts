import type { AheadReader, EntryBytes } from "#fhir/json/entry-splitter";
import type { Result } from "#kernel/result";
import type { DecidingRow } from "#phi/additional-patients";
import type { CutEntry } from "#phi/bytes/row-cutter";
import type { DisclosureRefusal } from "#phi/disclose";
import type { Offered } from "#phi/page";
import type { RowNeeds } from "#policy/row-needs";
import type { OriginPageRefusal, RowsRefusal } from "#gateway/origin/asking";

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
  /** The facts to learn before an entry is offered. */
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
  /** So many hidden rows come again. */
  countAgain?(rows: number): void;
  /** Limits the number of rows. */
  holdTo(rows: number): void;
  /** The rows that have room. Undefined: their number has no limit of its own. */
  readonly room?: number;
  /** Answers whether an entry is a visible row that this page lacks, and takes nothing of it. */
  lacks?(entry: EntryBytes | CutEntry): boolean;
  prepare?(...asked: Parameters<Prepare>): ReturnType<Prepare>;
  /** The facts to learn before an entry waits for its joins. */
  needsToHold?(entry: EntryBytes): RowNeeds | undefined;
  /** The entry; only its place if no join can show it. */
  withoutHidden?(entry: EntryBytes): EntryBytes | CutEntry;
}

/**
 * Asks for facts about all entries of an origin page, before the first is offered. The entries of the result have no
 * question left: they begin the next page.
 */
export type Prepare = (
  entries: readonly (EntryBytes | CutEntry)[],
) => Promise<Result<ReadonlySet<EntryBytes>, PageRefusal | RowsRefusal>>;
