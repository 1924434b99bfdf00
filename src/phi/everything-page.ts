import { listText, readEntry } from "#fhir/bundle";
import { isOwnedBy } from "#fhir/r4/compartment";
import type { AheadReader, EntryBytes } from "#fhir/json/entry-splitter";
import type { Facts } from "#fhir/json/facts";
import { textAt, type JsonObject } from "#fhir/json/json";
import { lastOf } from "#kernel/last-of";
import { err, ok, type Result } from "#kernel/result";
import type { EverythingGrant } from "#policy/evaluate-listing";
import { factsFor } from "#policy/facts";
import type { RowNeeds } from "#policy/row-needs";
import { afterWaiting, EntryCutter, isCut, noneAhead } from "./bytes/entry-cutter.ts";
import type { CutEntry, RowCutter } from "./bytes/row-cutter.ts";
import type { Linked } from "./included.ts";
import { leavingFor } from "./labelled-parts.ts";
import { Discloser, type DisclosureRefusal } from "./disclose.ts";
import type { NamedBases } from "./row-views.ts";
import { Tally, type Disclosure, type Released } from "./disclosure.ts";
import { pageBytesMax, type Offered } from "./page.ts";

/**
 * A page of `$everything` under construction. A row is taken if it belongs to the patient and the grants of its
 * own type permit to find and to read it. A resource that no patient owns is included if a row on the page shows
 * a reference to it.
 */
export class EverythingPage {
  readonly #grant: EverythingGrant;
  readonly #bases: NamedBases;
  readonly #disclosers: ReadonlyMap<string, Discloser>;
  readonly #included: Discloser;
  /** `undefined`: the plain engine alone. */
  readonly #cutter: EntryCutter | undefined;
  /** An entry that does not wait is read once, for its needs and its judgement. */
  readonly #entryIn = lastOf(readEntry);
  readonly #rows: Linked[] = [];
  readonly #includedRows: Released[] = [];
  readonly #taken: Released[] = [];
  readonly #keys = new Set<string>();
  #bytes = 0;
  #withheld = 0;
  /** The most rows. */
  #room: number;

  /** @param engine see `Discloser`. */
  constructor(grant: EverythingGrant, bases: NamedBases, engine: "bytes" | "plain" = "bytes") {
    this.#grant = grant;
    this.#room = grant.count;
    this.#bases = bases;
    this.#disclosers = new Map(
      [...grant.rows].map(([type, { search }]) => [type, new Discloser(search, bases)]),
    );
    this.#included = new Discloser(grant.including, bases);
    this.#cutter = engine === "plain" ? undefined : this.#makeCutter();
  }

  #makeCutter(): EntryCutter | undefined {
    const cutters = new Map<string, RowCutter>();
    const cutterOf = (type: string): RowCutter | undefined => {
      const known =
        cutters.get(type) ?? this.#disclosers.get(type)?.cutterOf(type, (facts) => this.#isOwn(facts, type));
      if (known !== undefined) cutters.set(type, known);
      return known;
    };
    // Most rows of a record are Observations.
    const usual = ["Observation", ...this.#disclosers.keys()].map(cutterOf).find((one) => one !== undefined);
    return usual && new EntryCutter(this.#bases, this.#included.deciding, usual, cutterOf, "one");
  }

  /** The rows that were taken, and a row that did not fit on any page: all of them decided a refusal. */
  get taken(): readonly Released[] {
    return this.#taken;
  }

  get last(): string | undefined {
    const row = this.#rows.at(-1)?.released;
    return row && `${row.type}/${row.id}`;
  }

  ahead(part: () => "row" | "key"): AheadReader<CutEntry> {
    return this.#cutter?.ahead(part) ?? noneAhead;
  }

  /** The facts to learn before an entry is offered. */
  needs(read: EntryBytes | CutEntry): RowNeeds | undefined {
    if (!this.#mayNeed()) return undefined;
    const cut = isCut(read) ? read : this.#cutter?.entry(read);
    if (cut !== undefined && cut.kind !== "waiting") return undefined;
    const entry = this.#entryIn(isCut(read) ? (cut?.bytes ?? "too_large") : read);
    if (!entry.ok || !("resource" in entry.value)) return undefined;
    const { resource } = entry.value;
    const type = textAt(resource, "resourceType") ?? "";
    const grant = this.#grant.rows.get(type)?.read;
    const lacks = () => {
      const facts = grant && factsFor(grant, resource);
      return (
        facts !== undefined && this.#isOwned(facts) && grant?.needsOf(facts, this.#bases.origin) !== undefined
      );
    };
    const isLacking = this.#bases.barrier.judge(resource, lacks, false);
    return isLacking ? this.#disclosers.get(type)?.needs(resource) : undefined;
  }

  #mayNeed(): boolean {
    return this.#disclosers.has("Provenance") || this.#grant.including.mayNeed();
  }

  keyOf(read: EntryBytes | CutEntry): Result<string | undefined, DisclosureRefusal> {
    if (isCut(read)) return ok(`${read.type}/${read.id}`);
    const entry = this.#entryIn(read);
    if (!entry.ok) return err({ reason: `answer_${entry.error.reason}` });
    if (entry.value.mode === "unreadable") return ok("");
    return ok(entry.value.mode === "outcome" ? undefined : keyOf(entry.value.resource));
  }

  holdTo(rows: number): void {
    this.#room = Math.min(this.#room, rows);
  }

  pass(key: string): void {
    this.#keys.add(key);
  }

  offer(read: EntryBytes | CutEntry): Result<Offered, DisclosureRefusal> {
    const known = afterWaiting(read);
    const cut = isCut(known) ? known : this.#cutter?.judged(known);
    if (cut !== undefined) {
      const row = this.#disclosers.get(cut.type)?.disclosed(cut);
      return row?.kind === "match" ? this.#take(row) : this.#hide();
    }
    if (isCut(known)) throw new Error("an entry that was read ahead is never left");
    const entry = this.#entryIn(known);
    if (!entry.ok) return err({ reason: `answer_${entry.error.reason}` });
    if (entry.value.mode === "outcome") return ok("no match");
    if (entry.value.mode === "unreadable") return this.#hide();
    const { resource } = entry.value;
    const type = textAt(resource, "resourceType") ?? "";
    const isOfPatient = () => this.#isOfPatient(resource, type);
    const isOwn = this.#bases.barrier.judge(resource, isOfPatient, false);
    const discloser = isOwn ? this.#disclosers.get(type) : undefined;
    const decided = discloser?.row(resource, type) ?? ok({ kind: "hidden" } as const);
    if (!decided.ok) return decided;
    if (decided.value.kind === "match") return this.#take(decided.value);
    return this.#hide();
  }

  countAgain(rows: number): void {
    this.#withheld -= rows;
  }

  #hide(): Result<Offered, DisclosureRefusal> {
    this.#withheld += 1;
    return ok("hidden");
  }

  /**
   * Checked here: an origin also returns rows of participants, and may have answered a different question.
   */
  #isOfPatient(resource: JsonObject, type: string): boolean {
    const read = this.#grant.rows.get(type)?.read;
    const { origin } = this.#bases;
    if (read === undefined) return false;
    const facts = factsFor(read, resource);
    if (read.needsOf(facts, origin) !== undefined) return false; // the grant to find it hides it
    const part = leavingFor(read, resource, facts, origin);
    if (part === undefined || !this.#isOwned(facts)) return false;
    return read.viewOf(part === resource ? facts : factsFor(read, part), origin) !== undefined;
  }

  /** As {@link #isOfPatient}, by facts. */
  #isOwn(facts: Facts, type: string): boolean {
    const read = this.#grant.rows.get(type)?.read;
    const { origin } = this.#bases;
    if (read === undefined || read.needsOf(facts, origin) !== undefined) return false;
    return read.viewOf(facts, origin) !== undefined && this.#isOwned(facts);
  }

  #isOwned(facts: Facts): boolean {
    const { owner } = this.#grant;
    return owner === undefined || isOwnedBy(facts, new Set([owner]), this.#bases.origin);
  }

  #take(row: Linked): Result<Offered, DisclosureRefusal> {
    const { type, id, text } = row.released;
    const key = `${type}/${id}`;
    if (this.#keys.has(key)) return ok("hidden");
    if (text.length > pageBytesMax) return this.#hide(); // masks made it longer than any page
    if (this.#rows.length < this.#room) this.#taken.push(row.released);
    if (this.#rows.length >= this.#room || this.#bytes + text.length > pageBytesMax) return ok("beyond");
    this.#rows.push(row);
    this.#keys.add(key);
    this.#bytes += text.length;
    return ok("shown");
  }

  /**
   * The resources without an owner that the rows on this page show a reference to, as `Type/id`, each with
   * the references that lead there.
   */
  get referred(): ReadonlyMap<string, ReadonlySet<string>> {
    const through = new Map<string, Set<string>>();
    for (const { released, links } of this.#rows) {
      const includes = this.#grant.rows.get(released.type)?.search.includes ?? [];
      for (const [index, { name, targets }] of includes.entries()) {
        for (const reference of links[index] ?? []) {
          if (!targets.has(reference.slice(0, reference.indexOf("/")))) continue;
          through.set(reference, (through.get(reference) ?? new Set()).add(name));
        }
      }
    }
    return through;
  }

  /** The facts to learn before a resource is brought. */
  needsOfReferred(resource: JsonObject): RowNeeds | undefined {
    return this.#included.needsIncluded(resource);
  }

  /**
   * Adds the referred resources that the origin has. A resource is included even if an earlier origin page
   * listed it: the origin may have listed it there for a hidden row, and an earlier page of the client
   * includes it only for that page's rows.
   */
  bring(resources: readonly JsonObject[]): Result<undefined, DisclosureRefusal> {
    const { referred } = this;
    const included = new Set<string>();
    for (const resource of resources) {
      const key = keyOf(resource);
      const through = referred.get(key);
      if (through === undefined || included.has(key)) continue;
      const linked = this.#included.included(resource, through);
      if (linked === undefined) continue;
      included.add(key);
      this.#bytes += linked.released.text.length;
      if (this.#bytes > 2 * pageBytesMax) return err({ reason: "answer_too_large" });
      this.#includedRows.push(linked.released);
    }
    return ok(undefined);
  }

  /**
   * @param next link of the next page; @param isFirst if there is no next page, this page is the whole list,
   * and its length may be stated.
   */
  finish(next: string | undefined, isFirst: boolean): Disclosure {
    const { path, question, rows } = this.#grant;
    const self = `${this.#bases.public}/${path}${question === "" ? "" : `?${question}`}`;
    const total = isFirst && next === undefined ? this.#rows.length : undefined;
    const entries = [...this.#rows.map(({ released }) => released), ...this.#includedRows];
    const tally = new Tally(this.#bases);
    tally.withhold(this.#withheld);
    tally.writeList(listText({ self, next, total }, entries.length > 0), entries);
    return tally.disclosure(
      [...rows].flatMap(([type, { search }]) => search.withheldPaths.map((path) => `${type}.${path}`)),
    );
  }
}

const keyOf = (resource: JsonObject): string =>
  `${textAt(resource, "resourceType") ?? ""}/${textAt(resource, "id") ?? ""}`;
