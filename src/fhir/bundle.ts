import { err, ok, type Result } from "#kernel/result";
import type { EntryBytes } from "#fhir/json/entry-splitter";
import {
  endsForCertain,
  isArray,
  isObject,
  property,
  readJson,
  textAt,
  type Json,
  type JsonObject,
  type JsonRefusal,
} from "#fhir/json/json";

/** `not_a_searchset`: the body is JSON, but no search result that the gateway understands. */
export type BundleRefusal = JsonRefusal | { readonly reason: "not_a_searchset" };

/** The kind of a searchset's entry (FHIR R4 `Bundle.entry.search.mode`; without a mode it is a match). */
export type SearchEntry =
  | { readonly mode: "match" | "include"; readonly resource: JsonObject }
  | { readonly mode: "outcome" };

/**
 * `unreadable`: an entry that this gateway cannot read and that has a certain end, so the next entries are
 * still read. It may be a match.
 */
export type UnreadableEntry = { readonly mode: "unreadable" };

/**
 * Reads an entry of a searchset from its bytes. An outcome that reports that the search was not done as
 * requested refuses the whole answer.
 */
export function readEntry(bytes: EntryBytes): Result<SearchEntry | UnreadableEntry, BundleRefusal> {
  const entry = readJsonEntry(bytes);
  if (!entry.ok) return endsForCertain(entry.error.reason) ? ok({ mode: "unreadable" }) : entry;
  const mode = isObject(entry.value) ? searchMode(entry.value) : undefined;
  if (!isObject(entry.value) || mode === undefined) return refused;
  const resource = property(entry.value, "resource");
  if (mode === "outcome" && saysFailed(resource)) return refused;
  // no resource is included
  if (mode === "outcome" || (mode === "include" && !isObject(resource))) return ok({ mode: "outcome" });
  return isObject(resource) ? ok({ mode, resource }) : refused;
}

/** An entry of a list as JSON. */
export const readJsonEntry = (bytes: EntryBytes): Result<Json, JsonRefusal> =>
  bytes === "too_large" ? err({ reason: "too_large" }) : readJson(bytes);

/** The parts of a searchset outside its entries. */
export interface SearchFrame {
  /** URL of the next page, as the origin wrote it. */
  readonly next: string | undefined;
  /** The number of matches on all pages, by the origin's count. */
  readonly total: number | undefined;
  /** It has links, perhaps to itself alone: a further page would have a link. */
  readonly hasLinks: boolean;
}

/** The types of answers that are lists. */
export type ListType = "searchset" | "history";

/** Reads a searchset, or a history, without its entries (see `EntrySplitter`). */
export function readFrame(
  bytes: Uint8Array,
  type: ListType = "searchset",
): Result<SearchFrame, BundleRefusal> {
  const frame = readJson(bytes);
  if (!frame.ok) return frame;
  const bundle = frame.value;
  if (!isObject(bundle) || property(bundle, "resourceType") !== "Bundle" || property(bundle, "type") !== type)
    return refused;
  const [links, entries] = [property(bundle, "link") ?? [], property(bundle, "entry") ?? []];
  if (!isArray(links) || !links.every(isObject) || !isArray(entries)) return refused;
  const next = links
    .filter((link) => property(link, "relation") === "next")
    .map((link) => textAt(link, "url"));
  const total = totalOf(bundle);
  if (next.length > 1 || (next.length === 1 && next[0] === undefined) || total === "no count") return refused;
  return ok({ next: next[0], total, hasLinks: links.length > 0 });
}

/** An entry as it leaves the gateway. */
export interface SearchMatch {
  readonly mode: "match" | "include";
  readonly type: string;
  readonly id: string;
  readonly resource: JsonObject;
}

/**
 * An entry of a searchset below `base`. It has no score, because the origin computes the score over
 * elements that the reader may not see.
 */
export const searchEntryText = (base: string, { mode, type, id, resource }: SearchMatch): string =>
  JSON.stringify({ fullUrl: `${base}/${type}/${id}`, resource, search: { mode } });

/** The entry of a searchset that names what the search ignored. @param names by the grammar of parameters. */
export const ignoredEntryText = (names: readonly string[]): string => {
  const text = `Ignored, since the type has no such parameter: ${names.join(", ")}.`;
  const issue = [{ severity: "warning", code: "not-supported", details: { text } }];
  return JSON.stringify({
    resource: { resourceType: "OperationOutcome", issue },
    search: { mode: "outcome" },
  });
};

/** The parts of a list outside its entries, below a FHIR base (FHIR R4 §3.1.1.3). */
export interface ListFrame {
  readonly type?: ListType;
  readonly self: string;
  readonly next: string | undefined;
  /** Never the origin's total: it counts rows that the reader may not see. */
  readonly total: number | undefined;
}

/**
 * The text before and after the entries. The caller writes the entries in between, with commas; an empty
 * array is not valid FHIR JSON, so no `entry` member appears without entries.
 */
export function listText(
  { type = "searchset", self, next, total }: ListFrame,
  hasEntries: boolean,
): readonly [before: string, after: string] {
  const link = [
    { relation: "self", url: self },
    ...(next === undefined ? [] : [{ relation: "next", url: next }]),
  ];
  const whole = JSON.stringify({
    resourceType: "Bundle",
    type,
    ...(total === undefined ? {} : { total }),
    link,
  });
  return hasEntries ? [`${whole.slice(0, -1)},"entry":[`, "]}"] : [whole, ""];
}

const refused = err({ reason: "not_a_searchset" } as const);

/** True if the search was not done as requested: the result may contain the rows of a different search. */
function saysFailed(outcome: Json | undefined): boolean {
  const issues = isObject(outcome) ? (property(outcome, "issue") ?? []) : [];
  return (isArray(issues) ? issues : [issues]).some((issue) => {
    if (!isObject(issue)) return true;
    const [severity, code] = [property(issue, "severity"), property(issue, "code")];
    return severity === "error" || severity === "fatal" || code === "not-supported";
  });
}

function searchMode(entry: JsonObject): SearchEntry["mode"] | undefined {
  const search = property(entry, "search");
  if (search === undefined) return "match";
  const mode = isObject(search) ? (property(search, "mode") ?? "match") : undefined;
  return mode === "match" || mode === "include" || mode === "outcome" ? mode : undefined;
}

function totalOf(bundle: JsonObject): number | "no count" | undefined {
  const total = property(bundle, "total");
  if (total === undefined) return undefined;
  const text =
    typeof total === "object" && total !== null && "rawJSON" in total ? total["rawJSON"] : undefined;
  return typeof text === "string" && /^\d+$/u.test(text) ? Number(text) : "no count";
}
