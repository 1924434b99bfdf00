import type { AheadReader, EntryBytes } from "#fhir/json/entry-splitter";
import { isCut } from "#phi/bytes/entry-cutter";
import type { CutEntry } from "#phi/bytes/row-cutter";
import type { DisclosureRefusal } from "#phi/disclose";
import type { RowNeeds } from "#policy/row-needs";
import type { RowsRefusal } from "#gateway/origin/asking";
import { takeInTurn, waitingOf } from "#gateway/origin/origin-page";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { Fillable } from "./fillable.ts";

/** The bytes of an entry that are in memory. */
const lengthOf = (entry: EntryBytes): number => (entry === "too_large" ? 0 : entry.length);

// As much as a page holds of included resources whose facts are known.
const unaskedBytesMax = 16_777_216;

export const entryBytes = (entry: EntryBytes | CutEntry): number =>
  isCut(entry) ? ("bytes" in entry ? entry.bytes.length : 0) : lengthOf(entry);

/** The rows of an origin page on their way into the client's page. */
export class PageRows {
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
  /** The hidden rows without a key behind {@link decided}: a longer or shorter answer has them again. */
  unkeyed = 0;
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
    if (offered.value === "hidden") {
      this.hidden += 1;
      this.#note(entry);
    }
    if (offered.value !== "no match") this.matches += 1;
    if (offered.value === "shown") this.#decide((this.last = this.#page.last));
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
    this.#unaskedBytes += entryBytes(entry);
    if (this.#unaskedBytes <= unaskedBytesMax) return undefined;
    this.#unasked = [...(this.#page.reached?.(this.#unasked) ?? [])];
    this.#unaskedBytes = this.#unasked.reduce((sum, each) => sum + entryBytes(each), 0);
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
    if (!key.ok || key.value === undefined) return;
    if (key.value === "") this.unkeyed += 1;
    else this.#decide(key.value);
  }

  #decide(key: string | undefined): void {
    this.decided = key;
    this.unkeyed = 0;
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
