import { readEntry, type ListType, type SearchFrame } from "#fhir/bundle";
import type { EntryBytes } from "#fhir/json/entry-splitter";
import { textAt } from "#fhir/json/json";
import type { OriginBody } from "#fhir/ports";
import { err, type Result } from "#kernel/result";
import { Discloser, type DisclosureRefusal } from "#phi/disclose";
import { isCut } from "#phi/bytes/entry-cutter";
import type { CutEntry } from "#phi/bytes/row-cutter";
import { Page } from "#phi/page";
import type { Joined, NamedBases } from "#phi/row-views";
import type { SearchGrant } from "#policy/grant";
import type { RowNeeds } from "#policy/row-needs";
import type { RowsRefusal } from "#gateway/origin/asking";
import { readOriginPage, takeInTurn, waitingOf, type EntryTaker } from "#gateway/origin/origin-page";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { Fillable, PageRefusal, Prepare } from "./fillable.ts";
import { JoinsByPage } from "./joins-by-page.ts";
import { entryBytes, type PageRows } from "./page-rows.ts";

/** A page that asks for the joins of its own rows. */
export class JoinedPage extends Page {
  readonly #byPage: JoinsByPage;
  readonly #origin: OriginSession;
  readonly #work = JoinsByPage.work();
  readonly #judge: { readonly discloser: Discloser; readonly type: string };

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
    this.#judge = { discloser: new Discloser(grant, bases, joined), type: grant.expects.type };
  }

  /** No number is stated beside a row that the questions of a page did not reach. */
  override finish(next: string | undefined, isFirst: boolean, counted?: number): ReturnType<Page["finish"]> {
    return super.finish(next, isFirst && !this.#byPage.hasLeftOut, counted);
  }

  needsToHold(entry: EntryBytes): RowNeeds | undefined {
    const { discloser, type } = this.#judge;
    return discloser.isIncluded(entry) ? undefined : discloser.needsOfEntry(entry, type);
  }

  withoutHidden(entry: EntryBytes): EntryBytes | CutEntry {
    const { discloser, type } = this.#judge;
    const read = readEntry(entry);
    if (!read.ok || read.value.mode !== "match") return entry;
    const { resource } = read.value;
    if (discloser.needs(resource) !== undefined || discloser.seen(resource) !== undefined) return entry;
    return { kind: "hidden", type, mode: "match", id: textAt(resource, "id") ?? "", entryEnd: 0 };
  }

  prepare(entries: readonly (EntryBytes | CutEntry)[]): ReturnType<Prepare> {
    return this.#byPage.learnPage(
      this.#judge,
      entries.flatMap((entry) => (isCut(entry) ? [] : entry)),
      this.#origin,
      this.#work,
    );
  }
}

/**
 * Reads a page whose entries wait in memory until their facts are known. A searchset that is longer than the memory ends
 * the client's page early; the next page begins there.
 */
export async function prepared(
  origin: OriginSession,
  page: Fillable,
  rows: PageRows,
  body: OriginBody,
  type: ListType,
): Promise<Result<SearchFrame, PageRefusal | RowsRefusal>> {
  const held = new HeldEntries(origin, page);
  const holding: EntryTaker<EntryBytes, PageRefusal> = {
    needs: (entry) => (rows.stage === "before" ? undefined : page.needsToHold?.(entry)),
    take: (entry) => {
      // Only the places of rows count before this page.
      if (type === "searchset" && rows.stage === "before") return rows.take(entry, true);
      return held.take(entry, type === "searchset") ? undefined : { reason: "answer_too_large" };
    },
  };
  try {
    const read = await readOriginPage<PageRefusal>(body, holding, origin, type);
    // A page that is too long is asked for again by the number of its rows.
    if (!read.ok) rows.matches += held.rows;
    if (!read.ok) return read;
    const { entries } = held;
    const unreached = await page.prepare?.(entries);
    const taker: EntryTaker<EntryBytes | CutEntry, DisclosureRefusal> = {
      needs: (entry) => rows.needs(entry),
      take: (entry, isFollowed) =>
        rows.take(
          entry,
          isFollowed && !(unreached?.ok === true && !isCut(entry) && unreached.value.has(entry)),
        ),
    };
    const refusal =
      unreached?.ok === false
        ? unreached.error
        : await takeInTurn(
            entries.map((entry) => waitingOf<EntryBytes | CutEntry>(entry, taker)),
            taker,
            origin,
          );
    if (held.isCut && rows.stage === "filling") rows.stage = "unfollowed";
    return refusal === undefined ? read : err(refusal);
  } finally {
    held.end();
  }
}

/** The entries of an origin page that wait in memory for their joins. */
class HeldEntries {
  readonly #origin: OriginSession;
  readonly #page: Fillable;
  #entries: (EntryBytes | CutEntry)[] = [];
  /** So many of the entries are as short as they may be. */
  #shortened = 0;
  #bytes = 0;
  /** The memory ends at a row: this row, and each behind it, begins the next page. */
  isCut = false;

  constructor(origin: OriginSession, page: Fillable) {
    this.#origin = origin;
    this.#page = page;
  }

  get entries(): readonly (EntryBytes | CutEntry)[] {
    return this.#entries;
  }

  get rows(): number {
    return this.#entries.filter((entry) => this.#isRow(entry)).length;
  }

  /** Neither an included resource nor an outcome. */
  #isRow(entry: EntryBytes | CutEntry): boolean {
    const key = this.#page.keyOf(entry);
    return key.ok && key.value !== undefined;
  }

  /**
   * Holds an entry. Hidden rows give up their memory first, then the last rows do, which the next page shows.
   *
   * @param mayEnd a page of the list may end anywhere. @returns false: there is no memory for it.
   */
  take(entry: EntryBytes | CutEntry, mayEnd: boolean): boolean {
    if (this.isCut && this.#isRow(entry)) return true;
    if (this.#hold(entry)) return true;
    this.#shorten();
    if (this.#hold(this.#short(entry))) return true;
    if (!mayEnd) return false;
    if (this.#isRow(entry)) return (this.isCut = this.rows > 0);
    while (this.#dropLast()) if (this.#hold(entry)) return true;
    return false;
  }

  end(): void {
    this.#origin.held.giveUnjudged(this.#bytes);
  }

  #hold(entry: EntryBytes | CutEntry): boolean {
    if (!this.#origin.held.takeUnjudged(entryBytes(entry))) return false;
    this.#bytes += entryBytes(entry);
    this.#entries.push(entry);
    return true;
  }

  #giveBack(bytes: number): void {
    this.#origin.held.giveUnjudged(bytes);
    this.#bytes -= bytes;
  }

  #short(entry: EntryBytes | CutEntry): EntryBytes | CutEntry {
    return isCut(entry) ? entry : (this.#page.withoutHidden?.(entry) ?? entry);
  }

  #shorten(): void {
    for (; this.#shortened < this.#entries.length; this.#shortened += 1) {
      const entry = this.#entries[this.#shortened];
      if (entry === undefined) continue;
      const short = this.#short(entry);
      this.#giveBack(entryBytes(entry) - entryBytes(short));
      this.#entries[this.#shortened] = short;
    }
  }

  /** Gives up the last row, but for the first row. */
  #dropLast(): boolean {
    const last = this.#entries.findLastIndex((entry) => this.#isRow(entry));
    if (this.#entries.findIndex((entry) => this.#isRow(entry)) === last) return false;
    const [dropped] = this.#entries.splice(last, 1);
    if (dropped !== undefined) this.#giveBack(entryBytes(dropped));
    this.#shortened = Math.min(this.#shortened, last);
    this.isCut = true;
    return true;
  }
}
