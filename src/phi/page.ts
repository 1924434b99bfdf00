import { ignoredEntryText, listText, readEntry } from "#fhir/bundle";
import type { AheadReader, EntryBytes } from "#fhir/json/entry-splitter";
import { resourceBytesMax, textAt } from "#fhir/json/json";
import { err, ok, type Result } from "#kernel/result";
import { mergeSorted, type SortOrder } from "#fhir/search/sort-order";
import type { Grant, SearchExpectation } from "#policy/grant";
import type { RowNeeds } from "#policy/row-needs";
import { includedResources, type Candidate, type Linked } from "./included.ts";
import { Discloser, type DisclosureRefusal } from "./disclose.ts";
import type { Joined, NamedBases } from "./row-views.ts";
import { referredAt } from "./links.ts";
import { isCut } from "./bytes/entry-cutter.ts";
import type { CutEntry } from "./bytes/row-cutter.ts";
import { Tally, type Disclosure, type Released } from "./disclosure.ts";

/**
 * Bytes of a page's entries. At this length the page ends early, and the remaining rows follow on the next
 * page.
 */
export const pageBytesMax = resourceBytesMax;

/**
 * The outcome of an entry. `beyond`: the first visible row without room; only its existence may be revealed.
 */
export type Offered = "shown" | "hidden" | "no match" | "beyond";

// Bytes of included resources: as many again as for the page's own rows. Resources that the origin included
// for hidden rows do not count, but are held until that is known.
const includedBytesMax = pageBytesMax;
const heldBytesMax = 2 * includedBytesMax;

/**
 * A client's page under construction: it is offered rows in the origin's order and takes the visible rows
 * until it is full.
 */
export class Page {
  readonly #grant: Grant;
  readonly #expects: SearchExpectation;
  #bases: NamedBases;
  #discloser: Discloser;
  /** In a further part of a search, a row of an earlier part is no withheld row: no hidden row counts there. */
  #countsHidden = true;
  readonly #rows: Linked[] = [];
  readonly #candidates = new Map<string, Candidate>();
  #candidateBytes = 0;
  readonly #taken: Released[] = [];
  readonly #ids = new Set<string>();
  #bytes = 0;
  #withheld = 0;
  /** The most rows. */
  #room: number;

  constructor(grant: Grant, expects: SearchExpectation, bases: NamedBases, joined: readonly Joined[] = []) {
    this.#grant = grant;
    this.#expects = expects;
    this.#room = expects.count;
    this.#bases = bases;
    this.#discloser = new Discloser(grant, bases, joined);
  }

  /** Goes on with a further part of the search: its grant decides about the rows that follow. */
  turnTo(part: Grant, bases: NamedBases, joined: readonly Joined[]): this {
    this.#bases = bases;
    this.#discloser = new Discloser(part, bases, joined);
    this.#countsHidden = false;
    // An earlier page may have passed a row of this part: an origin that ignores the question sends it twice.
    this.#ids.clear();
    for (const { released } of this.#rows) this.#ids.add(released.id);
    return this;
  }

  /** From here on no hidden row counts as withheld: a join may not meet it. */
  countNone(): void {
    this.#countsHidden = false;
  }

  /** The rows that were taken, and a row that did not fit on any page: all of them decided a refusal. */
  get taken(): readonly Released[] {
    return this.#taken;
  }

  /** Id of the last row that was taken. */
  get last(): string | undefined {
    return this.#rows.at(-1)?.released.id;
  }

  /** The rows on the page. */
  get rows(): readonly Linked[] {
    return this.#rows;
  }

  /**
   * Takes the rows of other pages of this request in one order, from the row after `after` on; and the
   * resources that the origin included for them. `absent`: no page has that row. `part`: further rows follow.
   */
  join(
    pages: readonly Page[],
    order: SortOrder,
    after: string | undefined,
  ): Result<"whole" | "part" | "absent", DisclosureRefusal> {
    const rows = mergeSorted(
      pages.map((page) => this.#ordered(page.#rows, order)),
      (one, other) => order.compare(one.values, other.values),
    );
    const from = after === undefined ? 0 : rows.findIndex(({ row }) => row.released.id === after) + 1;
    if (after !== undefined && from === 0) return ok("absent");
    for (const page of pages) {
      this.#withheld += page.#withheld;
      for (const candidate of page.#candidates.values()) {
        const offered = this.#offerIncluded(candidate);
        if (!offered.ok) return offered;
      }
    }
    for (const { row } of rows.slice(from)) {
      const offered = this.#offerRow(row);
      if (!offered.ok) return offered;
      if (offered.value === "beyond") return ok("part");
    }
    return ok("whole");
  }

  /** Rows with the values that order them. A row whose values cannot be read is hidden. */
  #ordered(rows: readonly Linked[], order: SortOrder) {
    return rows.flatMap((row) => {
      const judge = () => ({ row, values: order.valuesOf(row.shown) });
      const ordered = this.#bases.barrier.judge(row.released, judge, undefined);
      if (ordered === undefined) this.#withheld += 1;
      return ordered ?? [];
    });
  }

  ahead(part: () => "row" | "key"): AheadReader<CutEntry> {
    return this.#discloser.ahead(this.#expects.type, part);
  }

  /** The facts to learn before an entry is offered. */
  needs(entry: EntryBytes | CutEntry): RowNeeds | undefined {
    return this.#discloser.needsOfEntry(entry, this.#expects.type);
  }

  /** Answers whether the origin included an entry, for a page that includes any. */
  isIncluded(entry: EntryBytes | CutEntry): boolean {
    if (this.#grant.includes.length === 0) return false;
    return isCut(entry) ? entry.mode === "include" : this.#discloser.isIncluded(entry);
  }

  /** The included entries of these by which a resource of the page includes something, as far as is known now. */
  reached<E extends EntryBytes | CutEntry>(entries: readonly E[]): readonly E[] {
    const { includes } = this.#grant;
    const found: E[] = [];
    const unjudged = entries.flatMap((entry): Candidate | [] => {
      const read = readEntry(isCut(entry) ? ("bytes" in entry ? entry.bytes : "too_large") : entry);
      if (!read.ok || read.value.mode !== "include") return [];
      const { resource: shown } = read.value;
      const [type, id] = [textAt(shown, "resourceType") ?? "", textAt(shown, "id") ?? ""];
      if (this.#candidates.has(`${type}/${id}`)) return [];
      const links = includes.map(({ direction, source, paths }) =>
        direction === "revinclude" && source === type
          ? referredAt(shown, paths, this.#bases.origin)
          : noLinks,
      );
      const through = () => void found.push(entry);
      return { released: { ...nothing, type, id }, shown, links, through };
    });
    const known = [...this.#candidates.values()];
    includedResources(this.#rows, [...known, ...unjudged], includes);
    return [...new Set(found)];
  }

  /** Id of a row that is skipped before this page starts; `undefined` for an entry that is not a row. */
  keyOf(read: EntryBytes | CutEntry): Result<string | undefined, DisclosureRefusal> {
    if (isCut(read)) return ok(read.mode === "match" ? read.id : undefined);
    const entry = readEntry(read);
    if (!entry.ok) return err({ reason: `answer_${entry.error.reason}` });
    if (entry.value.mode === "unreadable") return ok("");
    return ok(entry.value.mode === "match" ? (textAt(entry.value.resource, "id") ?? "") : undefined);
  }

  countAgain(rows: number): void {
    if (this.#countsHidden) this.#withheld -= rows;
  }

  holdTo(rows: number): void {
    this.#room = Math.min(this.#room, rows);
  }

  get room(): number {
    return Math.max(0, this.#room - this.#rows.length);
  }

  /** Answers whether an entry is a visible row that this page lacks, and takes nothing of it. */
  lacks(entry: EntryBytes | CutEntry): boolean {
    const decided = this.#discloser.entry(entry, this.#expects.type);
    return decided.ok && decided.value.kind === "match" && !this.#ids.has(decided.value.released.id);
  }

  /** Marks a row that an earlier page showed, or may have shown. */
  pass(id: string): void {
    this.#ids.add(id);
  }

  /** Takes the bytes of an entry. The entry counts once its origin page was read to the end. */
  offer(entry: EntryBytes | CutEntry): Result<Offered, DisclosureRefusal> {
    const decided = this.#discloser.entry(entry, this.#expects.type);
    if (!decided.ok) return decided;
    switch (decided.value.kind) {
      case "outcome":
        return ok("no match");
      case "dropped":
        this.#withheld += 1;
        return ok("no match");
      case "hidden":
        return this.#hide();
      case "include":
        return this.#offerIncluded(decided.value);
      case "match":
        return this.#offerRow(decided.value);
    }
  }

  #offerRow(row: Linked): Result<Offered, DisclosureRefusal> {
    const { id, text } = row.released;
    // A searchset has each row once (FHIR R4 §3.1.1.3). A repeated row would give the position after it two
    // meanings, and the pages would never end.
    const ids = this.#ids;
    const { size } = ids;
    ids.add(id);
    if (ids.size === size) return repeated;
    const { length } = text;
    const hasRoom = this.#rows.length < this.#room;
    // After the redaction: hidden elements must not decide whether a page is full.
    if (hasRoom && this.#bytes + length <= pageBytesMax) {
      this.#taken.push(row.released);
      this.#rows.push(row);
      this.#bytes += length;
      return shown;
    }
    ids.delete(id);
    if (length > pageBytesMax) return this.#hide(); // masks made it longer than any page
    if (hasRoom) this.#taken.push(row.released);
    return ok("beyond");
  }

  #hide(): Result<Offered, DisclosureRefusal> {
    if (this.#countsHidden) this.#withheld += 1;
    return ok("hidden");
  }

  #offerIncluded(candidate: Candidate): Result<Offered, DisclosureRefusal> {
    const { type, id, text } = candidate.released;
    const key = `${type}/${id}`;
    if (this.#candidates.has(key)) return ok("no match");
    this.#candidates.set(key, candidate);
    this.#candidateBytes += text.length;
    if (this.#candidateBytes <= heldBytesMax) return ok("no match");
    // An origin sends an included resource after the rows that refer to it: a resource that no row has
    // referred to by now can be dropped.
    const included = this.#included();
    this.#candidateBytes = lengthOf(included);
    const referred = new Set(included.map(({ type, id }) => `${type}/${id}`));
    for (const key of this.#candidates.keys()) if (!referred.has(key)) this.#candidates.delete(key);
    return this.#candidateBytes > includedBytesMax ? err({ reason: "answer_too_large" }) : ok("no match");
  }

  #included(): readonly Released[] {
    return includedResources(this.#rows, [...this.#candidates.values()], this.#grant.includes);
  }

  /**
   * @param next link of the next page; @param isFirst if there is no next page, this page is the whole list,
   * and its length may be stated; @param counted the number of all visible rows, if it was asked for.
   */
  finish(
    next: string | undefined,
    isFirst: boolean,
    counted?: number,
  ): Result<Disclosure, DisclosureRefusal> {
    const { type, path, question, total: asked, ignored } = this.#expects;
    const self = `${this.#bases.public}/${path}${question === "" ? "" : `?${question}`}`;
    const total = counted ?? (isFirst && next === undefined ? this.#rows.length : undefined);
    // without a row there is no included resource
    const hasRows = this.#rows.length > 0;
    const [before, after] = listText({ self, next, total }, hasRows || ignored !== undefined);
    const told = ignored === undefined ? "" : ignoredEntryText(ignored) + (hasRows ? "," : "");
    const included = this.#included();
    if (lengthOf(included) > includedBytesMax) return err({ reason: "answer_too_large" });
    const entries = [...this.#rows.map(({ released }) => released), ...included];
    const tally = new Tally(this.#bases);
    tally.withhold(this.#withheld);
    tally.writeList([before + told, after], entries);
    if (counted !== undefined && asked?.patients.size === 0) tally.state(type, counted);
    return ok(tally.disclosure(this.#grant.withheldPaths));
  }
}

const noLinks: ReadonlySet<string> = new Set();
const nothing = {
  patients: noLinks,
  unseen: noLinks,
  room: 0,
  unnamed: false,
  text: new Uint8Array(),
  withheld: 0,
  records: 0,
} as const;
const [shown, repeated] = [ok("shown" as const), ok("hidden" as const)];

function lengthOf(several: Iterable<Released>): number {
  let length = 0;
  for (const { text } of several) length += text.length;
  return length;
}
