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

/** `not_a_searchset`: it is JSON, and no answer to a search that can be understood. */
export type BundleRefusal = JsonRefusal | { readonly reason: "not_a_searchset" };

/** What one entry of a searchset is (FHIR R4 `Bundle.entry.search.mode`; without one it is a match). */
export type SearchEntry =
  | { readonly mode: "match" | "include"; readonly resource: JsonObject }
  | { readonly mode: "outcome" };

/** `unreadable`: it is no entry that this gateway reads, and ends for certain: the others are read. It may be a match. */
export type UnreadableEntry = { readonly mode: "unreadable" };

/** Reads one entry of a searchset from its bytes. An outcome that says that the search was not done as asked refuses the answer. */
export function readEntry(bytes: EntryBytes): Result<SearchEntry | UnreadableEntry, BundleRefusal> {
  const entry = readJsonEntry(bytes);
  if (!entry.ok) return endsForCertain(entry.error.reason) ? ok({ mode: "unreadable" }) : entry;
  const mode = isObject(entry.value) ? searchMode(entry.value) : undefined;
  if (!isObject(entry.value) || mode === undefined) return refused;
  const resource = property(entry.value, "resource");
  if (mode === "outcome" && saysFailed(resource)) return refused;
  if (mode === "outcome" || (mode === "include" && !isObject(resource))) return ok({ mode: "outcome" }); // nothing came along
  return isObject(resource) ? ok({ mode, resource }) : refused;
}

/** An entry of a list as JSON. */
export const readJsonEntry = (bytes: EntryBytes): Result<Json, JsonRefusal> =>
  bytes === "too_large" ? err({ reason: "too_large" }) : readJson(bytes);

/** What a searchset says beside its entries. */
export interface SearchFrame {
  /** URL of the next page, as the origin wrote it. */
  readonly next: string | undefined;
  /** How many matches the origin says there are on all pages. */
  readonly total: number | undefined;
}

/** Of the answers that are lists. */
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
  return ok({ next: next[0], total });
}

/** One entry as it leaves. */
export interface SearchMatch {
  readonly mode: "match" | "include";
  readonly type: string;
  readonly id: string;
  readonly resource: JsonObject;
}

/** An entry of a searchset below `base`. No score: it is reckoned over what the reader may not see. */
export const searchEntryText = (base: string, { mode, type, id, resource }: SearchMatch): string =>
  JSON.stringify({ fullUrl: `${base}/${type}/${id}`, resource, search: { mode } });

/** What a list below a FHIR base says beside its entries (FHIR R4 §3.1.1.3). */
export interface ListFrame {
  readonly type?: ListType;
  readonly self: string;
  readonly next: string | undefined;
  /** Never the origin's: it counts what the reader may not see. */
  readonly total: number | undefined;
}

/** The text before and after the entries, which stand between them with commas; an empty array is not FHIR JSON. */
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

/** The search was not done as asked: what it found may be the rows of another question. */
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
