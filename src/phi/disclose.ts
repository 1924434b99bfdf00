import { meets as meetsCriteria } from "#fhir/search/criteria";
import { utf8 } from "#kernel/encoded";
import { searchEntryText, readEntry, type BundleRefusal } from "#fhir/bundle";
import { Facts } from "#fhir/json/facts";
import type { AheadReader, EntryBytes } from "#fhir/json/entry-splitter";
import {
  endsForCertain,
  isObject,
  property,
  readJson,
  resourceBytesMax,
  textAt,
  type Json,
  type JsonObject,
  type JsonRefusal,
} from "#fhir/json/json";
import { isId } from "#fhir/r4/reference";
import { lastOf } from "#kernel/last-of";
import { err, ok, type Result } from "#kernel/result";
import type { ResourceView } from "#policy/compile";
import type { Grant } from "#policy/grant";
import type { RowNeeds } from "#policy/row-needs";
import type { WithheldBy } from "#policy/row-weight";
import type { Candidate, Linked } from "./included.ts";
import type { DecidingRow } from "./additional-patients.ts";
import {
  concernedByBoth,
  patientsMax,
  Tally,
  type Disclosure,
  type ConcernedPatients,
  type Released,
} from "./disclosure.ts";
import { afterWaiting, isCut, noneAhead } from "./bytes/entry-cutter.ts";
import { CutCandidate, CutLinked, CutMatch } from "./bytes/cut-linked.ts";
import type { Deciding } from "./bytes/isolate-cutter.ts";
import type { CutEntry, CutRow, JudgedEntry, RowCutter } from "./bytes/row-cutter.ts";
import { referredAt } from "./links.ts";
import { withoutMembersOf } from "./labelled-parts.ts";
import { part2Entry, part2ScopeOf, withPart2Labels } from "./part2.ts";
import { statementEntry, statementLink, withStatements } from "./extension.ts";
import { redactResource, type RedactRefusal, type RedactedResource, type UnreadableJson } from "./redact.ts";
import type { RowBarrier } from "#fhir/row-barrier";
import { rowCounts } from "./bytes/row-counts.ts";
import { RowCutters } from "./row-cutters.ts";
import { RowViews, type Joined, type NamedBases } from "./row-views.ts";

/** A row that does not leave, and what keeps it back, as far as that is known. */
export interface HiddenRow {
  readonly reason: "row_outside_access";
  readonly decision?: WithheldBy;
}

/** The reason why nothing leaves. */
export type DisclosureRefusal =
  | { readonly reason: `answer_${BundleRefusal["reason"]}` }
  /** A different type, id or version than the request names. */
  | { readonly reason: "answer_mismatch" }
  /** No rule covers the row. A row decides this, so the public answer equals that for an absent row. */
  | HiddenRow
  /** A row decides this too. */
  | { readonly reason: "resource_withheld"; readonly because: RedactRefusal | UnreadableJson | "form" }
  | UnjudgedRow;

/** The judgement of the row threw: the barrier around the row hides it, and the public answer is that for an absent row. */
interface UnjudgedRow {
  readonly reason: "row_unjudged";
}
export const unjudgedRow: UnjudgedRow = { reason: "row_unjudged" };

/**
 * The refusal for a body that could not be read. If the body's end is known for certain, the fault lies in
 * the resource: the answer must then not reveal that the resource exists.
 */
export const unread = ({ reason }: JsonRefusal): DisclosureRefusal =>
  endsForCertain(reason) ? { reason: "resource_withheld", because: reason } : { reason: `answer_${reason}` };

/**
 * Decides about the resources of an answer and redacts each by its view, each behind the barrier around its row. It
 * never throws for a bad answer, and it releases only elements that a view shows.
 */
export class Discloser {
  /** The grant by which it judges. */
  readonly grant: Grant;
  readonly #bases: NamedBases;
  readonly #rows: RowViews;
  readonly #cutters: RowCutters;
  readonly #engine: "bytes" | "plain";
  /** A body that was cut when it was asked for its needs. */
  #cutBody: { readonly body: Uint8Array; readonly cut: ReturnType<RowCutter["resource"]> } | undefined;
  /** An entry that does not wait is read once, for its needs and its judgement. */
  readonly #entryIn = lastOf(readEntry);
  /** The current resource of versions is judged once, and not with each version. */
  readonly #redactedNow = lastOf((now: JsonObject): RedactedResource | undefined => {
    const view = this.#rows.viewOf(now);
    const redacted = view && redactResource(now, view, this.#rows.context);
    return redacted?.ok === true ? redacted.value : undefined;
  });

  /**
   * @param joined the results of the joins: a row of the search has to refer to one of these resources, or be
   * one. @param engine `plain`: without the byte engine, which is compared with the plain engine.
   */
  constructor(
    grant: Grant,
    bases: NamedBases,
    joined: readonly Joined[] = [],
    engine: "bytes" | "plain" = "bytes",
  ) {
    this.grant = grant;
    this.#bases = bases;
    this.#rows = new RowViews(grant, bases, joined);
    this.#cutters = new RowCutters(grant, bases, this.#rows);
    this.#engine = engine;
  }

  /** The answer to a read. */
  read(body: Uint8Array, type: string, id: string): Result<Disclosure, DisclosureRefusal> {
    return this.#barrier.judge({ type, id }, () => this.#read(body, type, id), err(unjudgedRow));
  }

  #read(body: Uint8Array, type: string, id: string): Result<Disclosure, DisclosureRefusal> {
    const known = this.#cutBody;
    const first = known?.body === body ? known.cut : this.#cutOf(body, type);
    const isWaiting = typeof first === "object" && first.kind === "waiting";
    const cut = isWaiting ? (first.judged() ?? this.#cutOf(body, type)) : first;
    // Whatever is refused, the plain engine refuses.
    if (typeof cut === "object" && cut.kind === "row" && cut.released.id === id) {
      rowCounts.count("bytes");
      return ok(this.#disclosure(cut.released, cut.lastUpdated));
    }
    const requested = this.#requestedIn(body, type, id);
    return requested.ok ? this.#whole(requested.value.part, requested.value.view) : requested;
  }

  /**
   * The id of a Patient whose Consents permit other data alone: rows that leave refer to it. Only for a plain read of
   * the Patient as it is now, after {@link read} found it hidden: no version, search or write decides by this form.
   */
  idOf(body: Uint8Array, id: string): Disclosure | undefined {
    const shown = this.#shownAsId(body, id, (view) => this.#whole({ resourceType: "Patient", id }, view));
    return shown?.ok === true ? shown.value : undefined;
  }

  /** What the reader of {@link idOf} sees; undefined: nothing. */
  seenAsId(body: Uint8Array, id: string): DecidingRow | undefined {
    return this.#shownAsId(body, id, (view) => this.#seenBy({ resourceType: "Patient", id }, view));
  }

  #shownAsId<T>(body: Uint8Array, id: string, show: (view: ResourceView) => T): T | undefined {
    const { viewOfId } = this.grant;
    if (viewOfId === undefined) return undefined;
    const judge = () => {
      const answer = readJson(body);
      const row = answer.ok && isObject(answer.value) ? this.#rows.leaving(answer.value) : undefined;
      if (row === undefined || !isRequested(row, "Patient", id)) return undefined;
      const view = viewOfId(this.#rows.factsOf(row), this.#bases.origin);
      return view && show(view);
    };
    return this.#barrier.judge({ type: "Patient", id }, judge, undefined);
  }

  #cutOf(body: Uint8Array, type: string): ReturnType<RowCutter["resource"]> {
    return this.#engine === "bytes" ? this.#cutters.of(type, "read").resource(body) : undefined;
  }

  /**
   * The answer to a vread. An old version leaves only by a rule that also covers the current resource: a
   * label or a condition that came later hides earlier versions too.
   */
  version(
    body: Uint8Array,
    current: Uint8Array,
    asked: RequestedVersion,
  ): Result<Disclosure, DisclosureRefusal> {
    return this.#barrier.judge(asked, () => this.#version(body, current, asked), err(unjudgedRow));
  }

  #version(
    body: Uint8Array,
    current: Uint8Array,
    { type, id, version }: RequestedVersion,
  ): Result<Disclosure, DisclosureRefusal> {
    rowCounts.count("versions");
    // first: a fault in a version of a hidden row must not decide the status
    const now = this.#requestedIn(current, type, id);
    if (!now.ok) return now;
    const requested = this.#requestedIn(body, type, id);
    if (!requested.ok) return requested;
    const { part, view } = now.value;
    const old = withoutMembersOf(part, requested.value.part);
    if (old === undefined) return err(hiddenByPart);
    this.#rows.note(part); // again: the patient's current residence counts
    const meta = property(old, "meta");
    if (!isObject(meta) || textAt(meta, "versionId") !== version) return err({ reason: "answer_mismatch" });
    const redacted = redactResource(part, view, this.#rows.context);
    if (!redacted.ok) return err({ reason: "resource_withheld", because: redacted.error });
    return this.#whole(old, this.#rows.viewOf(old, part), redacted.value);
  }

  /** A resource as it is now, if it may leave, and what its reader sees of it. */
  current(body: Uint8Array, type: string, id: string): Result<CurrentRow, DisclosureRefusal> {
    const judge = (): Result<CurrentRow, DisclosureRefusal> => {
      const requested = this.#requestedIn(body, type, id);
      if (!requested.ok) return requested;
      const { part: now, view } = requested.value;
      const seen = this.#rows.matchesSearch(now) ? this.#seenBy(now, view) : undefined;
      return seen === undefined ? this.#hidden(now) : ok({ now, seen });
    };
    return this.#barrier.judge({ type, id }, judge, err(unjudgedRow));
  }

  /**
   * One version of a resource in a history, judged like {@link version}; `undefined` if it does not leave.
   * The patients of the current resource are concerned too.
   */
  step(version: JsonObject, current: JsonObject): RedactedResource | undefined {
    return this.#barrier.judge(version, () => this.#step(version, current), undefined);
  }

  #step(version: JsonObject, current: JsonObject): RedactedResource | undefined {
    rowCounts.count("versions");
    this.#rows.note(current);
    const now = this.#rows.leaving(current);
    const leaving = this.#rows.leaving(version);
    const old = now && leaving && withoutMembersOf(now, leaving);
    if (now === undefined || old === undefined) return undefined;
    const view = this.#rows.viewOf(old, now);
    const redactedNow = view && this.#redactedNow(now);
    if (view === undefined || redactedNow === undefined) return undefined;
    const redacted = redactResource(old, view, this.#rows.context);
    if (!redacted.ok) return undefined;
    const named = concernedByBoth(redacted.value, redactedNow);
    const { resource } = this.#marked(old, redacted.value.resource);
    return named.patients.size > patientsMax ? undefined : { ...redacted.value, ...named, resource };
  }

  /**
   * A resource included for rows that refer to it by these references (`Type:parameter`); `undefined` if it
   * does not leave.
   */
  included(whole: JsonObject, through: ReadonlySet<string>): Linked | undefined {
    rowCounts.count("included");
    const judge = () => {
      this.#rows.note(whole);
      const resource = this.#rows.leaving(whole);
      if (resource === undefined) return undefined;
      const view = this.grant.viewIncluded(this.#rows.factsOf(resource), this.#bases.origin, through);
      return view && this.#linked(resource, view, "include");
    };
    return this.#barrier.judge(whole, judge, undefined);
  }

  /**
   * An entry of a searchset: a match that may leave, an included resource that may leave with a match, or
   * neither.
   */
  entry(read: EntryBytes | CutEntry, type: string): Result<DisclosedEntry, DisclosureRefusal> {
    const known = afterWaiting(read);
    if (isCut(known)) return ok(this.disclosed(known));
    const cut = this.#engine === "plain" ? undefined : this.#cutters.ofEntries(type).judged(known);
    return cut === undefined ? this.#plainEntry(known, type) : ok(this.disclosed(cut));
  }

  #plainEntry(known: EntryBytes, type: string): Result<DisclosedEntry, DisclosureRefusal> {
    const entry = this.#entryIn(known);
    if (!entry.ok) return err({ reason: `answer_${entry.error.reason}` });
    if (entry.value.mode === "outcome") return ok({ kind: "outcome" });
    if (entry.value.mode === "unreadable") return ok(hiddenEntry);
    const { mode, resource } = entry.value;
    return mode === "include"
      ? this.#barrier.judge(resource, () => this.#includedEntry(resource), ok(droppedEntry))
      : this.row(resource, type);
  }

  /** An entry that was cut by a cutter of this answer. */
  disclosed(cut: JudgedEntry): DisclosedEntry {
    if (cut.kind === "key") throw new Error("an entry of which only the key was read cannot leave");
    rowCounts.count("bytes");
    if (cut.kind === "hidden") return cut.mode === "match" ? hiddenEntry : droppedEntry;
    if (cut.mode === "include") return this.#cutIncluded(cut);
    const match = new CutMatch(cut, this.grant.includes, this.#bases);
    return cut.mustShow.length === 0 ? match : this.#shownMatch(match, cut);
  }

  #shownMatch(match: CutMatch, cut: CutRow): DisclosedEntry {
    const isShown = () => meetsCriteria(match.shown, cut.mustShow, this.#bases.public);
    return this.#barrier.judge(cut.released, isShown, false) ? match : hiddenEntry;
  }

  /** As {@link #includedEntry}. */
  #cutIncluded(cut: CutRow): DisclosedEntry {
    const { includes, viewIncluded } = this.grant;
    const linked = new CutLinked(cut, includes, this.#bases);
    // The cutter leaves a row to the plain engine if its view depends on the references that lead to it.
    const through = (names: ReadonlySet<string>) => {
      const view = () => viewIncluded(cut.facts, this.#bases.origin, names);
      return this.#barrier.judge(cut.released, view, undefined) === undefined ? undefined : linked;
    };
    return new CutCandidate(cut, includes, this.#bases, through);
  }

  /** Reads entries of a searchset where they begin, for {@link entry}. @param part see `EntryCutter.ahead`. */
  ahead(type: string, part: () => "row" | "key"): AheadReader<CutEntry> {
    return this.#engine === "plain" ? noneAhead : this.#cutters.ofEntries(type).ahead(part);
  }

  /** The parts of a resource that decide and are not facts. */
  get deciding(): Deciding {
    return this.#cutters;
  }

  get #barrier(): RowBarrier {
    return this.#bases.barrier;
  }

  /**
   * The cutter for rows of a list of several types.
   *
   * @param isRow asked before a row of the type is judged: a further resource is hidden, and its residence does
   * not count.
   */
  cutterOf(type: string, isRow: (facts: Facts) => boolean): RowCutter {
    return this.#cutters.of(type, "search", isRow);
  }

  /** A row of a list: it may leave, or it is hidden. */
  row(whole: JsonObject, type: string): Result<DisclosedRow, DisclosureRefusal> {
    return this.#barrier.judge(whole, () => this.#row(whole, type), ok(hiddenEntry));
  }

  #row(whole: JsonObject, type: string): Result<DisclosedRow, DisclosureRefusal> {
    this.#rows.note(whole);
    // The row first: a fault in a hidden row must not decide the status.
    const resource = this.#rows.leaving(whole);
    const view = resource && this.#rows.matchesSearch(resource) ? this.#rows.viewOf(resource) : undefined;
    if (resource === undefined || view === undefined) return ok(hiddenEntry);
    if (property(resource, "resourceType") !== type) return err({ reason: "answer_mismatch" });
    const linked = this.#linked(resource, view, "match");
    return ok(linked === undefined ? hiddenEntry : { kind: "match", ...linked });
  }

  /**
   * The resources to which a row refers at these paths, as `Type/id`, by what leaves of it: a reference with a
   * label of its own may be cut.
   */
  leadsTo(row: JsonObject, paths: readonly (readonly string[])[]): ReadonlySet<string> {
    const judge = () => {
      const part = this.#rows.leaving(row);
      return part === undefined ? none : referredAt(part, paths, this.#bases.origin);
    };
    return this.#barrier.judge(row, judge, none);
  }

  /** The facts to learn before a row of the search is judged. */
  needs(row: JsonObject): RowNeeds | undefined {
    const judge = () => {
      const facts = this.#rows.factsOf(row);
      const needs = this.grant.needsOf(facts, this.#bases.origin);
      // A label inside may cut what the search reads: then the part that leaves is searched.
      const mayBeFound = () => Facts.inlineLabelsOf(facts).length > 0 || this.#rows.isFound(facts);
      return needs !== undefined && mayBeFound() ? needs : undefined;
    };
    return this.#barrier.judge(row, judge, undefined);
  }

  /** {@link needs} of a resource as a whole body, for {@link read}. */
  needsToRead(body: Uint8Array, type: string): RowNeeds | undefined {
    if (!this.grant.mayNeed()) return undefined;
    const cut = this.#cutOf(body, type);
    this.#cutBody = { body, cut };
    if (typeof cut === "object" && cut.kind === "waiting") return cut.needs;
    return cut === undefined ? this.needsIn(body) : undefined;
  }

  /** {@link needs} of a resource as a whole body. */
  needsIn(body: Uint8Array): RowNeeds | undefined {
    const read = this.grant.mayNeed() ? readJson(body) : undefined;
    return read?.ok === true && isObject(read.value) ? this.needs(read.value) : undefined;
  }

  /** {@link needs} of a version of a resource by its whole body, and of the resource as it is now. */
  needsOfVersion(current: Uint8Array, version: Uint8Array): RowNeeds | undefined {
    if (!this.grant.mayNeed()) return undefined;
    const [now, old] = [readJson(current), readJson(version)];
    if (!now.ok || !isObject(now.value)) return undefined;
    return old.ok && isObject(old.value)
      ? (this.needsOfStep(old.value, now.value) ?? this.needs(now.value))
      : this.needs(now.value);
  }

  /** {@link needs} of a version of a resource, and of the resource as it is now. */
  needsOfStep(version: JsonObject, current: JsonObject): RowNeeds | undefined {
    const judge = () => {
      const [old, now] = [this.#rows.factsOf(version), this.#rows.factsOf(current)];
      return this.grant.needsOf(old, this.#bases.origin, now);
    };
    return this.#barrier.judge(version, judge, undefined);
  }

  /** {@link needs} of an entry of a searchset. */
  needsOfEntry(read: EntryBytes | CutEntry, type: string): RowNeeds | undefined {
    if (isCut(read)) return needsOfCut(read); // most entries
    if (!this.grant.mayNeed()) return undefined;
    const cut = this.#engine === "plain" ? undefined : this.#cutters.ofEntries(type).entry(read);
    if (cut !== undefined) return needsOfCut(cut);
    const entry = this.#entryIn(read);
    if (!entry.ok || !("resource" in entry.value)) return undefined;
    const { mode, resource } = entry.value;
    return mode === "match" ? this.needs(resource) : this.needsIncluded(resource);
  }

  /** Answers whether the origin included an entry. */
  isIncluded(read: EntryBytes): boolean {
    const entry = this.#entryIn(read);
    return entry.ok && entry.value.mode === "include";
  }

  /** {@link needs} of a resource that is included. */
  needsIncluded(resource: JsonObject): RowNeeds | undefined {
    const judge = () => this.grant.needsIncluded(this.#rows.factsOf(resource), this.#bases.origin);
    return this.#barrier.judge(resource, judge, undefined);
  }

  /** A row that matches the search and would leave, and the patients it concerns: only such a row may decide an answer. */
  seen(row: JsonObject): SeenRow | undefined {
    return this.#barrier.judge(row, () => this.#seen(row), undefined);
  }

  #seen(whole: JsonObject): SeenRow | undefined {
    rowCounts.count("deciding");
    this.#rows.note(whole);
    const row = this.#rows.leaving(whole);
    const view = row && this.#rows.matchesSearch(row) ? this.#rows.viewOf(row) : undefined;
    return row && view && this.#seenBy(row, view);
  }

  #seenBy(row: JsonObject, view: ResourceView): SeenRow | undefined {
    const redacted = redactResource(row, view, this.#rows.context);
    if (!redacted.ok || !this.#rows.shows(row, redacted.value.resource)) return undefined;
    const { resource: shown, patients, unseen, room, unnamed } = redacted.value;
    return {
      type: textAt(row, "resourceType") ?? "",
      id: textAt(row, "id") ?? "",
      shown,
      patients,
      unseen,
      room,
      unnamed,
    };
  }

  #includedEntry(whole: JsonObject): Result<DisclosedEntry, DisclosureRefusal> {
    this.#rows.note(whole);
    const resource = this.#rows.leaving(whole);
    if (resource === undefined) return ok({ kind: "dropped" });
    const { includes, viewIncluded } = this.grant;
    // The view by every include that could lead here; the page finds out at its end which include does.
    const view = viewIncluded(
      this.#rows.factsOf(resource),
      this.#bases.origin,
      new Set(includes.map(({ name }) => name)),
    );
    if (view === undefined) return ok({ kind: "dropped" });
    const linked = this.#linked(resource, view, "include");
    const through = (names: ReadonlySet<string>) => {
      const judge = () => {
        const viewThrough = viewIncluded(this.#rows.factsOf(resource), this.#bases.origin, names);
        return viewThrough === undefined || viewThrough === view
          ? viewThrough && linked
          : this.#linked(resource, viewThrough, "include");
      };
      return this.#barrier.judge(resource, judge, undefined);
    };
    return ok(linked === undefined ? { kind: "dropped" } : { kind: "include", ...linked, through });
  }

  /**
   * `undefined` if it does not leave: a fault in a single resource must not decide whether there is an
   * answer.
   */
  #linked(resource: JsonObject, view: ResourceView, mode: "match" | "include"): Linked | undefined {
    const [type, id] = [textAt(resource, "resourceType") ?? "", textAt(resource, "id")];
    const redacted = redactResource(
      resource,
      view,
      mode === "match" ? this.#rows.context : this.#rows.contextOf(type),
    );
    if (
      !redacted.ok ||
      id === undefined ||
      !isId(id) ||
      (mode === "match" && !this.#rows.shows(resource, redacted.value.resource))
    )
      return undefined;
    const { resource: shown, notices } = this.#marked(resource, redacted.value.resource);
    const text = utf8(searchEntryText(this.#bases.public, { mode, type, id, resource: shown }));
    const links = this.grant.includes.map(({ source, paths }) =>
      source === type ? referredAt(shown, paths, this.#bases.public) : none,
    );
    return { released: { ...redacted.value, type, id, text, notices }, shown, links };
  }

  /** The part of a resource that leaves, with what the law attaches to it (42 CFR 2.32, 45 CFR 164.526(d)(5)). */
  #marked(
    resource: JsonObject,
    shown: JsonObject,
  ): {
    readonly resource: JsonObject;
    readonly notices: readonly string[] | undefined;
    readonly link?: string | undefined;
  } {
    const { origin, public: base } = this.#bases;
    const { part2Scope, statementsOn } = this.grant;
    const stated = withStatements(shown, statementsOn(this.#rows.factsOf(resource), origin), base);
    const link = stated === shown ? undefined : statementLink(stated, base);
    const scope = part2ScopeOf(part2Scope, resource, shown, (each) => this.#rows.factsOf(each), origin);
    const stating = link === undefined ? undefined : [statementEntry];
    const notices = scope === undefined ? stating : [part2Entry(scope), ...(stating ?? [])];
    return { resource: scope === undefined ? stated : withPart2Labels(stated, scope), link, notices };
  }

  /**
   * The row first, as for an entry: a hidden row under a different id or version must not reveal that it
   * exists.
   */
  #requestedIn(body: Uint8Array, type: string, id: string): Result<RequestedRow, DisclosureRefusal> {
    const answer = readJson(body);
    if (!answer.ok) return err(unread(answer.error));
    if (isObject(answer.value)) this.#rows.note(answer.value);
    const part = isObject(answer.value) ? this.#rows.leaving(answer.value) : answer.value;
    if (part === undefined) return err(hiddenByPart);
    const view = isObject(part) ? this.#rows.viewOf(part) : undefined;
    if (isObject(part) && view === undefined) return this.#hidden(part);
    return view !== undefined && isRequested(part, type, id)
      ? ok({ part, view })
      : err({ reason: "answer_mismatch" });
  }

  #hidden(row: JsonObject): Result<never, HiddenRow> {
    const decision = this.grant.whyHidden(this.#rows.factsOf(row), this.#bases.origin);
    return err({ reason: "row_outside_access", decision });
  }

  #whole(
    resource: JsonObject,
    view: ResourceView | undefined,
    now?: ConcernedPatients,
  ): Result<Disclosure, DisclosureRefusal> {
    if (view === undefined) return this.#hidden(resource);
    const redacted = redactResource(resource, view, this.#rows.context);
    if (!redacted.ok) return err({ reason: "resource_withheld", because: redacted.error });
    const { resource: shown, link } = this.#marked(resource, redacted.value.resource);
    const text = utf8(JSON.stringify(shown));
    const named = now === undefined ? redacted.value : concernedByBoth(redacted.value, now);
    // Placeholders may be longer than the elements they replace.
    if (text.length > resourceBytesMax) return err({ reason: "resource_withheld", because: "too_large" });
    if (named.patients.size > patientsMax)
      return err({ reason: "resource_withheld", because: "too_many_patients" });
    const meta = property(redacted.value.resource, "meta");
    const lastUpdated = isObject(meta) ? textAt(meta, "lastUpdated") : undefined;
    const [type, id] = [textAt(resource, "resourceType") ?? "", textAt(resource, "id") ?? ""];
    const disclosure = this.#disclosure({ ...redacted.value, ...named, type, id, text }, lastUpdated);
    return ok(link === undefined ? disclosure : { ...disclosure, headers: { link } });
  }

  #disclosure(released: Released, lastUpdated: string | undefined): Disclosure {
    const tally = new Tally(this.#bases);
    tally.add(released);
    return tally.disclosure(this.grant.withheldPaths, { lastUpdated });
  }
}

const needsOfCut = (cut: CutEntry) => (cut.kind === "waiting" ? cut.needs : undefined);

/** A match: `hidden` does not leave. */
export type DisclosedRow = ({ readonly kind: "match" } & Linked) | { readonly kind: "hidden" };

export type DisclosedEntry =
  | DisclosedRow
  | ({ readonly kind: "include" } & Candidate)
  | { readonly kind: "dropped" | "outcome" };

/** A row that may decide an answer. */
export type SeenRow = DecidingRow & { readonly shown: JsonObject };

export interface CurrentRow {
  readonly now: JsonObject;
  readonly seen: SeenRow;
}

/** The part of a row that leaves, and its view. */
interface RequestedRow {
  readonly part: JsonObject;
  readonly view: ResourceView;
}

/** A part of the row that cannot be cut has a label. */
const hiddenByPart: HiddenRow = {
  reason: "row_outside_access",
  decision: { by: "label", place: "inside" },
};
const none: ReadonlySet<string> = new Set();
const hiddenEntry = { kind: "hidden" } as const;
const droppedEntry = { kind: "dropped" } as const;

/** The version of a resource that the request names. */
export interface RequestedVersion {
  readonly type: string;
  readonly id: string;
  readonly version: string;
}

const isRequested = (value: Json, type: string, id: string): value is JsonObject =>
  isObject(value) && property(value, "resourceType") === type && property(value, "id") === id;
