import { listText, readEntry } from "#fhir/bundle";
import type { EntryBytes } from "#fhir/json/entry-splitter";
import { resourceBytesMax, textAt } from "#fhir/json/json";
import { err, ok, type Result } from "#kernel/result";
import type { Grant, SearchExpectation } from "#policy/grant";
import { includedResources, type Candidate, type Linked } from "./included.ts";
import { Discloser, type Joined, type NamedBases, type DisclosureRefusal } from "./disclose.ts";
import { Tally, type Disclosure, type Released } from "./disclosure.ts";

/** Of a page's entries. Above it the page ends early, and the rest is behind its next link. */
export const pageBytesMax = resourceBytesMax;

/**
 * What became of an entry: `beyond` is the first row that may be seen and has no room, and that there is one
 * is all that may be told of it.
 */
export type Offered = "shown" | "hidden" | "no match" | "beyond";

// Of what is brought along: as much again as the page's own rows. What an origin brought along for hidden
// rows counts for nothing, but it has to be held until that is known.
const besideBytesMax = pageBytesMax;
const heldBytesMax = 2 * besideBytesMax;

/**
 * A client's page in the making: rows are offered in the origin's order, and those that may be seen are taken
 * until it is full.
 */
export class Page {
  readonly #grant: Grant;
  readonly #expects: SearchExpectation;
  readonly #bases: NamedBases;
  readonly #discloser: Discloser;
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

  /** The rows that were taken, and one that had no room on any page: they decided a refusal. */
  get taken(): readonly Released[] {
    return this.#taken;
  }

  /** Id of the last row that was taken. */
  get last(): string | undefined {
    return this.#rows.at(-1)?.released.id;
  }

  /** Id of a row on the way past this page; nothing for what is no row. */
  keyOf(bytes: EntryBytes): Result<string | undefined, DisclosureRefusal> {
    const entry = readEntry(bytes);
    if (!entry.ok) return err({ reason: `answer_${entry.error.reason}` });
    if (entry.value.mode === "unreadable") return ok("");
    return ok(entry.value.mode === "match" ? (textAt(entry.value.resource, "id") ?? "") : undefined);
  }

  holdTo(rows: number): void {
    this.#room = Math.min(this.#room, rows);
  }

  /** A row that an earlier page had, or may have had. */
  pass(id: string): void {
    this.#ids.add(id);
  }

  /** The bytes of an entry. Whether it counts is known when its page was read to the end. */
  offer(entry: EntryBytes): Result<Offered, DisclosureRefusal> {
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
        return this.#offerBeside(decided.value);
      case "match":
        return this.#offerRow(decided.value);
    }
  }

  #offerRow(row: Linked): Result<Offered, DisclosureRefusal> {
    const { id, text } = row.released;
    // A searchset has each row once (FHIR R4 §3.1.1.3): said twice, the place after it would be two, and the
    // pages would never end.
    if (this.#ids.has(id)) return ok("hidden");
    if (text.length > pageBytesMax) return this.#hide(); // masks made it longer than any page
    if (this.#rows.length < this.#room) this.#taken.push(row.released);
    // After the cut: what is hidden must not decide whether a page is full.
    if (this.#rows.length >= this.#room || this.#bytes + text.length > pageBytesMax) return ok("beyond");
    this.#rows.push(row);
    this.#ids.add(id);
    this.#bytes += text.length;
    return ok("shown");
  }

  #hide(): Result<Offered, DisclosureRefusal> {
    this.#withheld += 1;
    return ok("hidden");
  }

  #offerBeside(candidate: Candidate): Result<Offered, DisclosureRefusal> {
    const { type, id, text } = candidate.released;
    const key = `${type}/${id}`;
    if (this.#candidates.has(key)) return ok("no match");
    this.#candidates.set(key, candidate);
    this.#candidateBytes += text.length;
    if (this.#candidateBytes <= heldBytesMax) return ok("no match");
    // An origin sends what comes along behind the rows that it belongs to: nothing that none of them leads to
    // is waited for.
    const brought = this.#brought();
    this.#candidateBytes = lengthOf(brought);
    const led = new Set(brought.map(({ type, id }) => `${type}/${id}`));
    for (const key of this.#candidates.keys()) if (!led.has(key)) this.#candidates.delete(key);
    return this.#candidateBytes > besideBytesMax ? err({ reason: "answer_too_large" }) : ok("no match");
  }

  #brought(): readonly Released[] {
    return includedResources(this.#rows, [...this.#candidates.values()], this.#grant.includes);
  }

  /**
   * @param next link of the next page; @param isFirst without a next one it is the whole, and its length may
   * be told.
   */
  finish(next: string | undefined, isFirst: boolean): Result<Disclosure, DisclosureRefusal> {
    const { type, question } = this.#expects;
    const self = `${this.#bases.public}/${type}${question === "" ? "" : `?${question}`}`;
    const total = isFirst && next === undefined ? this.#rows.length : undefined;
    // nothing is brought along without a row
    const text = listText({ self, next, total }, this.#rows.length > 0);
    const brought = this.#brought();
    if (lengthOf(brought) > besideBytesMax) return err({ reason: "answer_too_large" });
    const entries = [...this.#rows.map(({ released }) => released), ...brought];
    const tally = new Tally(this.#bases.name);
    tally.withhold(this.#withheld);
    tally.writeList(text, entries);
    return ok(tally.disclosure(this.#grant.withheldPaths));
  }
}

function lengthOf(several: Iterable<Released>): number {
  let length = 0;
  for (const { text } of several) length += text.length;
  return length;
}
