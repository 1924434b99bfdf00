import { patientsAsked } from "#fhir/asked";
import { utf8 } from "#fhir/bytes";
import { searchsetText } from "#fhir/bundle";
import { resourceBytesMax } from "#fhir/json";
import { err, ok, type Result } from "#kernel/result";
import type { Grant, SearchExpectation } from "#policy/evaluate";
import { Discloser, type NamedBases, type Withheld } from "./disclose.ts";
import { Tally, type Disclosure, type Released } from "./disclosure.ts";

/** Of a page's entries. Above it the page ends early, and the rest is behind its next link. */
export const pageBytesMax = resourceBytesMax;

/** What became of an entry: `beyond` is the first row that may be seen and has no room, and that there is one is all that may be told of it. */
export type Offered = "shown" | "hidden" | "no match" | "beyond";

/** A client's page in the making: rows are offered in the origin's order, and those that may be seen are taken until it is full. */
export class Page {
  readonly #grant: Grant;
  readonly #expects: SearchExpectation;
  readonly #bases: NamedBases;
  readonly #discloser: Discloser;
  readonly #rows: Released[] = [];
  readonly #ids = new Set<string>();
  #bytes = 0;
  #withheld = 0;

  constructor(grant: Grant, expects: SearchExpectation, bases: NamedBases) {
    this.#grant = grant;
    this.#expects = expects;
    this.#bases = bases;
    this.#discloser = new Discloser(grant, bases);
  }

  /** Id of the last row that was taken. */
  get last(): string | undefined {
    return this.#rows.at(-1)?.id;
  }

  /** A row that an earlier page had, or may have had. */
  pass(id: string): void {
    this.#ids.add(id);
  }

  /** The bytes of an entry. Whether it counts is known when its page was read to the end. */
  offer(entry: Uint8Array): Result<Offered, Withheld> {
    const decided = this.#discloser.entry(entry, this.#expects.type);
    if (!decided.ok) return decided;
    const row = decided.value;
    if (row === "no match") return ok(row);
    if (row === "hidden") {
      this.#withheld += 1;
      return ok(row);
    }
    // A searchset has each row once (FHIR R4 §3.1.1.3): said twice, the place after it would be two, and the pages would never end.
    if (this.#ids.has(row.id)) return ok("hidden");
    if (row.text.length > pageBytesMax) return err({ reason: "answer_too_large" });
    // After the cut: what is hidden must not decide whether a page is full.
    if (this.#rows.length >= this.#expects.count || this.#bytes + row.text.length > pageBytesMax) return ok("beyond");
    this.#rows.push(row);
    this.#ids.add(row.id);
    this.#bytes += row.text.length;
    return ok("shown");
  }

  /** @param next link of the next page; @param isFirst without a next one it is the whole, and its length may be told. */
  finish(next: string | undefined, isFirst: boolean): Disclosure {
    const { type, question } = this.#expects;
    const self = `${this.#bases.public}/${type}${question === "" ? "" : `?${question}`}`;
    const total = isFirst && next === undefined ? this.#rows.length : undefined;
    const [before, after] = searchsetText({ self, next, total }, this.#rows.length > 0);
    const tally = new Tally(this.#bases.name);
    for (const patient of patientsAsked(type, this.#grant.asked)) tally.name(patient);
    tally.withhold(this.#withheld);
    tally.write(utf8(before));
    for (const [index, row] of this.#rows.entries()) {
      if (index > 0) {
        tally.mayClose(row);
        tally.write(comma);
      }
      tally.add(row);
    }
    tally.write(utf8(after));
    return tally.disclosure(this.#grant.withheldPaths);
  }
}

const comma = utf8(",");
