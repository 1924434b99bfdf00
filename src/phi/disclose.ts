import { matchesSearch } from "#fhir/search/match";
import { meets as meetsCriteria } from "#fhir/search/criteria";
import { utf8 } from "#fhir/json/bytes";
import { searchEntryText, readEntry, type BundleRefusal } from "#fhir/bundle";
import type { EntryBytes } from "#fhir/json/entry-splitter";
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
import { isId, type FhirBase } from "#fhir/r4/reference";
import { err, ok, type Result } from "#kernel/result";
import type { ResourceView } from "#policy/compile";
import type { Grant } from "#policy/grant";
import type { Candidate, Linked } from "./included.ts";
import type { DecidingRow } from "./additional-patients.ts";
import {
  concernedByBoth,
  patientsMax,
  Tally,
  type Disclosure,
  type ConcernedPatients,
} from "./disclosure.ts";
import { referredAt } from "./links.ts";
import { narrowView } from "./narrow-view.ts";
import { originUrls, type Bases } from "./origin-urls.ts";
import {
  redactResource,
  type RedactContext,
  type RedactRefusal,
  type RedactedResource,
  type UnreadableJson,
} from "./redact.ts";
import type { Residences } from "#residence/row-residences";

/** Why nothing leaves. */
export type DisclosureRefusal =
  | { readonly reason: `answer_${BundleRefusal["reason"]}` }
  /** Another type, id or version than was asked for. */
  | { readonly reason: "answer_mismatch" }
  /** The row is in no rule's reach. Decided by a row: the same public face as absent. */
  | { readonly reason: "row_outside_access" }
  /** Decided by a row as well. */
  | { readonly reason: "resource_withheld"; readonly because: RedactRefusal | UnreadableJson };

/**
 * What became of reading a resource: what leaves its end certain says nothing about the answer, and must not
 * tell that the resource is there.
 */
export const unread = ({ reason }: JsonRefusal): DisclosureRefusal =>
  endsForCertain(reason) ? { reason: "resource_withheld", because: reason } : { reason: `answer_${reason}` };

/**
 * The two addresses of an origin's FHIR base, its name in the registry, and what notes where its patients
 * live.
 */
export type NamedBases = Bases & { readonly name: string; readonly residences: Residences };

/**
 * Decides about the resources of one answer and cuts each to its view. Never throws for a bad answer; nothing
 * is released but what a view shows.
 */
export class Discloser {
  readonly #grant: Grant;
  readonly #bases: NamedBases;
  readonly #context: RedactContext;
  /** Of what is brought along, by its type. */
  readonly #contextOf: (brought: string) => RedactContext;
  readonly #joined: readonly Joined[];
  readonly #narrowed = new Map<ResourceView, ResourceView>();

  /** @param joined what the rows of a search have to refer to, or be, beside what was asked. */
  constructor(grant: Grant, bases: NamedBases, joined: readonly Joined[] = []) {
    this.#joined = joined;
    this.#grant = grant;
    this.#bases = bases;
    const urls = originUrls(bases);
    const mayLinkTo = (other: JsonObject) => grant.mayLinkTo(other, bases.origin);
    this.#context = {
      bases,
      urls,
      mayLinkTo,
      viewInside: (inside, nesting) => grant.viewInside(inside, bases.origin, nesting),
    };
    this.#contextOf = (brought) => ({
      ...this.#context,
      viewInside: (inside, nesting) => grant.viewInside(inside, bases.origin, nesting, brought),
    });
  }

  /** The answer to a read. */
  read(body: Uint8Array, type: string, id: string): Result<Disclosure, DisclosureRefusal> {
    const resource = this.#askedIn(body, type, id);
    return resource.ok ? this.#whole(resource.value, this.#viewOf(resource.value)) : resource;
  }

  /**
   * The answer to a vread. Nothing of an old version leaves but by a rule that reaches the resource as it is
   * now too: a label or a condition that came later hides what was before it.
   */
  version(
    body: Uint8Array,
    current: Uint8Array,
    { type, id, version }: AskedVersion,
  ): Result<Disclosure, DisclosureRefusal> {
    // first: what is wrong with a version of a hidden row must not decide the status
    const now = this.#askedIn(current, type, id);
    if (!now.ok) return now;
    const old = this.#askedIn(body, type, id);
    if (!old.ok) return old;
    this.#bases.residences.note(now.value); // again: where its patient lives now
    const meta = property(old.value, "meta");
    if (!isObject(meta) || textAt(meta, "versionId") !== version) return err({ reason: "answer_mismatch" });
    const view = this.#viewOf(now.value);
    if (view === undefined) return err({ reason: "row_outside_access" });
    const cut = redactResource(now.value, view, this.#context);
    if (!cut.ok) return err({ reason: "resource_withheld", because: cut.error });
    return this.#whole(old.value, this.#viewOf(old.value, now.value), cut.value);
  }

  /** A resource as it is now, if it may leave. */
  current(body: Uint8Array, type: string, id: string): Result<JsonObject, DisclosureRefusal> {
    const now = this.#askedIn(body, type, id);
    return now.ok && !this.sees(now.value) ? err({ reason: "row_outside_access" }) : now;
  }

  /**
   * One of a resource's versions, as {@link version} decides about it; nothing where it does not leave. Whom
   * the resource is about now is concerned too.
   */
  step(old: JsonObject, now: JsonObject): RedactedResource | undefined {
    this.#bases.residences.note(now);
    const [view, viewNow] = [this.#viewOf(old, now), this.#viewOf(now)];
    if (view === undefined || viewNow === undefined) return undefined;
    const [cut, cutNow] = [
      redactResource(old, view, this.#context),
      redactResource(now, viewNow, this.#context),
    ];
    if (!cut.ok || !cutNow.ok) return undefined;
    const named = concernedByBoth(cut.value, cutNow.value);
    return named.patients.size > patientsMax ? undefined : { ...cut.value, ...named };
  }

  /**
   * A resource that comes along with rows that refer to it by these references (`Type:parameter`); nothing
   * where it does not leave.
   */
  brought(resource: JsonObject, through: ReadonlySet<string>): Linked | undefined {
    this.#bases.residences.note(resource);
    const view = this.#grant.viewIncluded(resource, this.#bases.origin, through);
    return view && this.#linked(resource, view, "include");
  }

  /**
   * One entry of a searchset: a match that may leave, a resource that was brought along and may leave with
   * one, or what else it is.
   */
  entry(bytes: EntryBytes, type: string): Result<DisclosedEntry, DisclosureRefusal> {
    const entry = readEntry(bytes);
    if (!entry.ok) return err({ reason: `answer_${entry.error.reason}` });
    if (entry.value.mode === "outcome") return ok({ kind: "outcome" });
    if (entry.value.mode === "unreadable") return ok({ kind: "hidden" });
    const { mode, resource } = entry.value;
    return mode === "include" ? this.#beside(resource) : this.row(resource, type);
  }

  /** A row of a list that may leave, or one that does not. */
  row(
    resource: JsonObject,
    type: string,
  ): Result<Extract<DisclosedEntry, { kind: "match" | "hidden" }>, DisclosureRefusal> {
    this.#bases.residences.note(resource);
    // The row first: what is wrong with a hidden one must not decide the status.
    const view = this.#matchesSearch(resource) ? this.#viewOf(resource) : undefined;
    if (view === undefined) return ok({ kind: "hidden" });
    if (property(resource, "resourceType") !== type) return err({ reason: "answer_mismatch" });
    const linked = this.#linked(resource, view, "match");
    return ok(linked === undefined ? { kind: "hidden" } : { kind: "match", ...linked });
  }

  /** Whether a row of a search is one that was asked for and would leave: what its reader may know of. */
  sees(row: JsonObject): boolean {
    return this.seen(row) !== undefined;
  }

  /** As {@link sees}: such a row, and whom it concerns. */
  seen(row: JsonObject): (DecidingRow & { readonly shown: JsonObject }) | undefined {
    this.#bases.residences.note(row);
    const view = this.#matchesSearch(row) ? this.#viewOf(row) : undefined;
    const cut = view && redactResource(row, view, this.#context);
    if (cut?.ok !== true || !this.#shows(row, cut.value.resource)) return undefined;
    const { resource: shown, patients, unseen, room, unnamed } = cut.value;
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

  #matchesSearch(row: JsonObject): boolean {
    return (
      matchesSearch(row, this.#grant.clientParameters, this.#bases.origin) &&
      this.#joined.every((joined) => meets(row, joined, this.#bases.origin))
    );
  }

  /**
   * Whether a row shows what it has to: not by a value of another system that its origin took for the one
   * asked for.
   */
  #shows(row: JsonObject, cut: JsonObject): boolean {
    return meetsCriteria(cut, this.#grant.mustShow?.(row) ?? [], this.#bases.public);
  }

  #beside(resource: JsonObject): Result<DisclosedEntry, DisclosureRefusal> {
    this.#bases.residences.note(resource);
    const { includes, viewIncluded } = this.#grant;
    // By any of the includes that could lead here; by which one does, the page knows at its end.
    const view = viewIncluded(resource, this.#bases.origin, new Set(includes.map(({ name }) => name)));
    if (view === undefined) return ok({ kind: "dropped" });
    const linked = this.#linked(resource, view, "include");
    const through = (names: ReadonlySet<string>) => {
      const own = viewIncluded(resource, this.#bases.origin, names);
      return own === undefined || own === view ? own && linked : this.#linked(resource, own, "include");
    };
    return ok(linked === undefined ? { kind: "dropped" } : { kind: "include", ...linked, through });
  }

  /**
   * Nothing where it does not leave: what is wrong with one resource must not decide whether there is an
   * answer.
   */
  #linked(resource: JsonObject, view: ResourceView, mode: "match" | "include"): Linked | undefined {
    const [type, id] = [textAt(resource, "resourceType") ?? "", textAt(resource, "id")];
    const cut = redactResource(resource, view, mode === "match" ? this.#context : this.#contextOf(type));
    if (
      !cut.ok ||
      id === undefined ||
      !isId(id) ||
      (mode === "match" && !this.#shows(resource, cut.value.resource))
    )
      return undefined;
    const text = utf8(searchEntryText(this.#bases.public, { mode, type, id, resource: cut.value.resource }));
    const links = this.#grant.includes.map(({ source, paths }) =>
      source === type ? referredAt(cut.value.resource, paths, this.#bases.public) : none,
    );
    return { released: { ...cut.value, type, id, text }, shown: cut.value.resource, links };
  }

  /**
   * The row first, as with an entry: that a hidden one comes under another id or version than it was asked
   * for must not tell that it is there.
   */
  #askedIn(body: Uint8Array, type: string, id: string): Result<JsonObject, DisclosureRefusal> {
    const answer = readJson(body);
    if (!answer.ok) return err(unread(answer.error));
    if (isObject(answer.value)) this.#bases.residences.note(answer.value);
    if (isObject(answer.value) && this.#viewOf(answer.value) === undefined)
      return err({ reason: "row_outside_access" });
    return isAsked(answer.value, type, id) ? ok(answer.value) : err({ reason: "answer_mismatch" });
  }

  #viewOf(resource: JsonObject, ...versions: readonly JsonObject[]): ResourceView | undefined {
    const view = this.#grant.viewOf(resource, this.#bases.origin, ...versions);
    const { elements } = this.#grant;
    if (view === undefined || elements === undefined) return view;
    const narrowed = this.#narrowed.get(view) ?? narrowView(view, elements);
    this.#narrowed.set(view, narrowed);
    return narrowed;
  }

  #whole(
    resource: JsonObject,
    view: ResourceView | undefined,
    now?: ConcernedPatients,
  ): Result<Disclosure, DisclosureRefusal> {
    if (view === undefined) return err({ reason: "row_outside_access" });
    const cut = redactResource(resource, view, this.#context);
    if (!cut.ok) return err({ reason: "resource_withheld", because: cut.error });
    const text = utf8(JSON.stringify(cut.value.resource));
    const named = now === undefined ? cut.value : concernedByBoth(cut.value, now);
    // What stands for hidden elements may be longer than they were.
    if (text.length > resourceBytesMax) return err({ reason: "resource_withheld", because: "too_large" });
    if (named.patients.size > patientsMax)
      return err({ reason: "resource_withheld", because: "too_many_patients" });
    const tally = new Tally(this.#bases.name);
    tally.add({
      ...cut.value,
      ...named,
      type: textAt(resource, "resourceType") ?? "",
      id: textAt(resource, "id") ?? "",
      text,
    });
    const meta = property(cut.value.resource, "meta");
    const lastUpdated = isObject(meta) ? textAt(meta, "lastUpdated") : undefined;
    return ok({ ...tally.disclosure(this.#grant.withheldPaths), representation: { lastUpdated } });
  }
}

export type DisclosedEntry =
  | ({ readonly kind: "match" } & Linked)
  | ({ readonly kind: "include" } & Candidate)
  /** A match that does not leave. */
  | { readonly kind: "hidden" }
  | { readonly kind: "dropped" | "outcome" };

/**
 * What the other resources of a join are, as `Type/id`, and where a row refers to one; without paths the row
 * is one.
 */
export interface Joined {
  readonly paths: readonly (readonly string[])[] | undefined;
  readonly among: ReadonlySet<string>;
}

/** Strictly: an origin may have ignored it. */
function meets(row: JsonObject, { paths, among }: Joined, base: FhirBase): boolean {
  if (paths === undefined) return among.has(`${textAt(row, "resourceType")}/${textAt(row, "id")}`);
  return [...referredAt(row, paths, base)].some((reference) => among.has(reference));
}

const none: ReadonlySet<string> = new Set();

/** A resource's version, as it was asked for. */
export interface AskedVersion {
  readonly type: string;
  readonly id: string;
  readonly version: string;
}

const isAsked = (value: Json, type: string, id: string): value is JsonObject =>
  isObject(value) && property(value, "resourceType") === type && property(value, "id") === id;
