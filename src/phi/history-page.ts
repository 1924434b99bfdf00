import { utf8 } from "#kernel/encoded";
import { listText } from "#fhir/bundle";
import { deletionText, readHistoryEntry, versionText } from "#fhir/history-entry";
import type { EntryBytes } from "#fhir/json/entry-splitter";
import { isObject, property, textAt, type JsonObject } from "#fhir/json/json";
import { canonicalText } from "#fhir/json/same";
import { isId } from "#fhir/r4/reference";
import { isContentType } from "#fhir/route";
import { err, ok, type Result } from "#kernel/result";
import type { HistoryGrant } from "#policy/evaluate-listing";
import type { RowNeeds } from "#policy/row-needs";
import { Discloser, type DisclosureRefusal } from "./disclose.ts";
import type { NamedBases } from "./row-views.ts";
import { Tally, type Disclosure, type Released } from "./disclosure.ts";
import { pageBytesMax, type Offered } from "./page.ts";

/**
 * A page of a history under construction. Each version is judged as a separate resource and by the current
 * resource. For a deleted resource only the deletion is shown, and only to a principal with access to every
 * row of the type.
 */
export class HistoryPage {
  readonly #grant: HistoryGrant;
  readonly #bases: NamedBases;
  readonly #discloser: Discloser;
  readonly #nowOf: (id: string) => JsonObject | undefined;
  readonly #rows: Released[] = [];
  readonly #taken: Released[] = [];
  readonly #keys = new Set<string>();
  #last: string | undefined;
  #bytes = 0;
  #withheld = 0;
  /** The most rows. */
  #room: number;

  /** @param nowOf the current resource, if it exists and may be seen. */
  constructor(grant: HistoryGrant, bases: NamedBases, nowOf: (id: string) => JsonObject | undefined) {
    this.#grant = grant;
    this.#room = grant.count;
    this.#bases = bases;
    this.#discloser = new Discloser(grant.read, bases);
    this.#nowOf = nowOf;
  }

  /** The rows that were taken, and a row that did not fit on any page: all of them decided a refusal. */
  get taken(): readonly Released[] {
    return this.#taken;
  }

  get last(): string | undefined {
    return this.#last;
  }

  get isEmpty(): boolean {
    return this.#rows.length === 0;
  }

  keyOf(bytes: EntryBytes): Result<string | undefined, DisclosureRefusal> {
    const entry = readHistoryEntry(bytes, this.#bases.origin);
    if (!entry.ok) return err({ reason: `answer_${entry.error.reason}` });
    if (entry.value.kind === "unreadable") return ok("");
    return ok(
      entry.value.kind === "version"
        ? keyOf(entry.value.resource)
        : `${entry.value.id}/deleted/${entry.value.version}`,
    );
  }

  /** What has to be known before an entry is offered. */
  needs(bytes: EntryBytes): RowNeeds | undefined {
    const entry = this.#grant.read.mayNeed() ? readHistoryEntry(bytes, this.#bases.origin) : undefined;
    if (entry?.ok !== true || entry.value.kind !== "version") return undefined;
    const { resource } = entry.value;
    const now = this.#current(resource);
    return now && this.#discloser.needsOfStep(resource, now);
  }

  /** The current resource of a version of the requested type and id. */
  #current(version: JsonObject): JsonObject | undefined {
    const id = textAt(version, "id") ?? "";
    const isOwn = property(version, "resourceType") === this.#grant.type && isId(id) && this.#isRequested(id);
    const now = isOwn ? this.#nowOf(id) : undefined;
    // The context of a content was judged as it is now.
    const isMoved = now !== undefined && contextOf(now) !== contextOf(version);
    return isMoved && isContentType(this.#grant.type) ? undefined : now;
  }

  holdTo(rows: number): void {
    this.#room = Math.min(this.#room, rows);
  }

  pass(key: string): void {
    this.#keys.add(key);
  }

  offer(bytes: EntryBytes): Result<Offered, DisclosureRefusal> {
    const entry = readHistoryEntry(bytes, this.#bases.origin);
    if (!entry.ok) return err({ reason: `answer_${entry.error.reason}` });
    if (entry.value.kind === "unreadable") return this.#hide();
    const { type, showsDeleted } = this.#grant;
    if (entry.value.kind === "deletion") {
      const { id, version } = entry.value;
      if (!showsDeleted || entry.value.type !== type || !this.#isRequested(id)) return this.#hide();
      const text = utf8(deletionText(this.#bases.public, type, id));
      const [patients, unseen] = [new Set(type === "Patient" ? [id] : []), new Set<string>()];
      const named = { patients, unseen, room: 0, unnamed: type !== "Patient" };
      return this.#take(`${id}/deleted/${version}`, { type, id, text, ...named, withheld: 0, records: 1 });
    }
    const { resource, created } = entry.value;
    const id = textAt(resource, "id") ?? "";
    const now = this.#current(resource);
    const redacted = now === undefined ? undefined : this.#discloser.step(resource, now);
    if (redacted === undefined) return this.#hide();
    const text = utf8(versionText(this.#bases.public, type, id, redacted.resource, created));
    return this.#take(keyOf(resource), { ...redacted, type, id, text });
  }

  #isRequested(id: string): boolean {
    return this.#grant.id === undefined || this.#grant.id === id;
  }

  countAgain(rows: number): void {
    this.#withheld -= rows;
  }

  #hide(): Result<Offered, DisclosureRefusal> {
    this.#withheld += 1;
    return ok("hidden");
  }

  #take(key: string, row: Released): Result<Offered, DisclosureRefusal> {
    if (this.#keys.has(key)) return ok("hidden");
    if (row.text.length > pageBytesMax) return this.#hide(); // masks made it longer than any page
    if (this.#rows.length < this.#room) this.#taken.push(row);
    if (this.#rows.length >= this.#room || this.#bytes + row.text.length > pageBytesMax) return ok("beyond");
    this.#rows.push(row);
    this.#keys.add(key);
    this.#last = key;
    this.#bytes += row.text.length;
    return ok("shown");
  }

  /** @param next link of the next page. */
  finish(next: string | undefined): Disclosure {
    const { type, id, question, read } = this.#grant;
    const path = id === undefined ? `${type}/_history` : `${type}/${id}/_history`;
    const self = `${this.#bases.public}/${path}${question === "" ? "" : `?${question}`}`;
    const tally = new Tally(this.#bases);
    tally.withhold(this.#withheld);
    tally.writeList(
      listText({ type: "history", self, next, total: undefined }, this.#rows.length > 0),
      this.#rows,
      false,
    );
    return tally.disclosure(read.withheldPaths);
  }
}

/** If a server does not number versions, all versions of a resource have one key and are shown once. */
const contextOf = (content: JsonObject): string =>
  canonicalText(property(content, "securityContext") ?? null);

function keyOf(resource: JsonObject): string {
  const meta = property(resource, "meta");
  return `${textAt(resource, "id") ?? ""}/${(isObject(meta) && textAt(meta, "versionId")) || ""}`;
}
