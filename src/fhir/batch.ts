import { httpVerbs, type HttpVerb } from "./http-verb.ts";
import { idForm } from "#fhir/r4/names";
import { err, ok, type Result } from "#kernel/result";
import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { isContentType } from "./route.ts";
import { encodedQuery } from "#fhir/search/query";

/**
 * A batch or a transaction (FHIR R4 http §3.1.0.11), read into requests. Nothing is judged yet. The entries of a
 * batch are independent: an entry that cannot be read is refused alone. A transaction is done as a whole, or not
 * at all.
 */
export type BatchBundle =
  | { readonly kind: "batch"; readonly entries: readonly Result<BatchEntry, EntryFault>[] }
  | { readonly kind: "transaction"; readonly entries: readonly BatchEntry[] };

export interface BatchEntry {
  /** The name of its resource in references of further entries. */
  readonly fullUrl: string | undefined;
  readonly method: HttpVerb;
  /** Below the FHIR base, as raw as the segments of a URL. */
  readonly segments: readonly string[];
  readonly query: string;
  readonly resource: JsonObject | undefined;
  /** The entry's HTTP headers, by name: null if the entry does not set the header. */
  readonly header: (name: string) => string | null;
}

/** Why an entry cannot be read as a request. `at`: the index of the entry. */
export type EntryFault =
  | { readonly reason: "entry_malformed"; readonly at: number }
  /** A URL that is not below the base, or has a path that FHIR does not define. */
  | { readonly reason: "entry_url_malformed"; readonly at: number };

export type BatchRefusal =
  | { readonly reason: "not_a_batch_or_transaction" }
  | { readonly reason: "too_many_entries" }
  | EntryFault
  /** Two entries of a transaction have the same `fullUrl`, or are about the same resource. */
  | { readonly reason: "entry_repeated"; readonly at: number };

// The entries of a batch are separate requests, and some need several origin requests: a Worker may send a
// thousand in a request. A transaction goes to the origin as a single request; Synthea's have some hundreds
// of entries.
const entriesMax = { batch: 50, transaction: 1_000 } as const;

// R4's own examples begin with a slash (bundle-request-medsallergies.json).
const url = /^\/?(?:(?<path>[A-Za-z0-9$_.*-]+(?:\/[A-Za-z0-9$_.*-]+)*)\/?)?(?:\?(?<query>.*))?$/u;
const headers: Readonly<Record<string, string>> = {
  "if-match": "ifMatch",
  "if-none-match": "ifNoneMatch",
  "if-modified-since": "ifModifiedSince",
  "if-none-exist": "ifNoneExist",
};

/**
 * Reads the body of a POST to the base. Strict: an unknown element of an entry could change its meaning.
 * @param base the FHIR base that the client calls (no trailing slash): a URL below it is the relative URL.
 */
export function readBatch(body: Json, base: string): Result<BatchBundle, BatchRefusal> {
  const kind =
    isObject(body) && property(body, "resourceType") === "Bundle" ? property(body, "type") : undefined;
  if (!isObject(body) || (kind !== "batch" && kind !== "transaction"))
    return err({ reason: "not_a_batch_or_transaction" });
  const list = property(body, "entry") ?? [];
  if (!isArray(list)) return err({ reason: "not_a_batch_or_transaction" });
  if (list.length > entriesMax[kind]) return err({ reason: "too_many_entries" });
  const entries = list.map((item, at) => readEntry(item, at, base));
  return kind === "batch" ? ok({ kind, entries }) : readTransaction(entries);
}

function readTransaction(read: readonly Result<BatchEntry, EntryFault>[]): Result<BatchBundle, BatchRefusal> {
  const entries: BatchEntry[] = [];
  for (const entry of read) {
    if (!entry.ok) return entry;
    entries.push(entry.value);
  }
  // Reads inside a transaction are separate requests too.
  const reads = entries.filter(({ method }) => method === "GET" || method === "HEAD");
  if (reads.length > entriesMax.batch) return err({ reason: "too_many_entries" });
  const repeated = repeatedIn(entries);
  return repeated === undefined
    ? ok({ kind: "transaction", entries: withNames(entries) })
    : err({ reason: "entry_repeated", at: repeated });
}

/**
 * True for a write whose row the server chooses: a create, or a conditional update, patch or delete, which names its
 * row by a search.
 */
export const isWriteOfType = ({ method, segments }: Pick<BatchEntry, "method" | "segments">): boolean =>
  segments.length === 1 && method !== "GET" && method !== "HEAD";

/**
 * A resource without an id whose `fullUrl` is an address gets a name in its place, in the references to it too: the
 * origin gets no address as a name, since it could be the address of a patient, and it redirects references after
 * they were judged. A relative reference is first read below the root of its own entry's `fullUrl` (FHIR R4 bundle,
 * "Resolving references"): `Patient/1` of a Bundle from another server is no Patient of this server.
 */
function withNames(entries: readonly BatchEntry[]): readonly BatchEntry[] {
  const taken = new Set(entries.map(({ fullUrl }) => fullUrl));
  const names = new Map<string, string>();
  const contentNames = new Set(entries.flatMap((entry) => (isNewContent(entry) ? [entry.fullUrl] : [])));
  let last = 0;
  for (const entry of entries) {
    const { fullUrl } = entry;
    if (fullUrl === undefined || !isWriteOfType(entry) || !isAddress(fullUrl)) continue;
    do last += 1;
    while (taken.has(nameOf(last)));
    names.set(fullUrl, nameOf(last));
  }
  if (![...taken].some(isAddress)) return entries;
  const contentAt = (url: string) => (contentNames.has(url) ? names.get(url) : undefined);
  return entries.map(({ fullUrl, resource, ...entry }) => {
    const { root = "" } = restful.exec(fullUrl ?? "")?.groups ?? {};
    const meant = (reference: string) => {
      const address = root + reference;
      return names.get(reference) ?? (taken.has(address) ? (names.get(address) ?? address) : undefined);
    };
    return {
      ...entry,
      fullUrl: names.get(fullUrl ?? "") ?? fullUrl,
      resource: resource && (withMembers(withReferences(resource, meant), "url", contentAt) as JsonObject),
    };
  });
}

const isAddress = (fullUrl: string | undefined): boolean => /^https?:\/\//iu.test(fullUrl ?? "");
const restful = new RegExp(`^(?<root>https?://.+/)[A-Za-z]+/${idForm}$`, "u");

const nameOf = (place: number): string =>
  `urn:uuid:5ca1ab1e-0000-8000-8000-${place.toString(16).padStart(12, "0")}`;

const known: ReadonlySet<string> = new Set([
  "id",
  "extension",
  "link",
  "fullUrl",
  "resource",
  "request",
  "response",
  "search",
]);
const knownOfRequest: ReadonlySet<string> = new Set([
  "id",
  "extension",
  "method",
  "url",
  ...Object.values(headers),
]);

function readEntry(item: Json, at: number, base: string): Result<BatchEntry, EntryFault> {
  const malformed = err({ reason: "entry_malformed", at } as const);
  if (!isObject(item) || !Object.keys(item).every((name) => known.has(name))) return malformed;
  const [request, resource, fullUrl] = [
    property(item, "request"),
    property(item, "resource"),
    property(item, "fullUrl"),
  ];
  if (!isObject(request) || !Object.keys(request).every((name) => knownOfRequest.has(name))) return malformed;
  const method = httpVerbs.find((each) => each === property(request, "method"));
  const texts = ["url", ...Object.values(headers)].map((name) => property(request, name));
  const isText = (value: Json | undefined): value is string | undefined =>
    value === undefined || typeof value === "string";
  if (
    method === undefined ||
    !texts.every(isText) ||
    !isText(fullUrl) ||
    (resource !== undefined && !isObject(resource))
  )
    return malformed;
  // A URL of another server, `//host`, dots and escapes lead elsewhere than they seem to.
  const { path, query } = url.exec(relativeUrl(textAt(request, "url") ?? "", base))?.groups ?? {};
  if (path === undefined && query === undefined) return err({ reason: "entry_url_malformed", at });
  const header = (name: string) => {
    const text = textAt(request, headers[name] ?? "");
    return text === undefined ? null : name === "if-none-exist" ? encodedQuery(text.trim()) : text;
  };
  const segments = path === undefined ? [] : path.split("/"); // a search of the base (`?_type=…`)
  return ok({ fullUrl, method, segments, query: encodedQuery(query ?? ""), resource, header });
}

function relativeUrl(text: string, base: string): string {
  const rest = text.slice(base.length);
  return text.startsWith(base) && /^[/?]/u.test(rest) ? rest : text;
}

/**
 * FHIR R4 http §3.1.0.11.2: a transaction names each resource only once. A condition counts as a name: the row that it
 * finds is known later.
 */
function repeatedIn(entries: readonly BatchEntry[]): number | undefined {
  const names = new Set<string>();
  for (const [at, entry] of entries.entries()) {
    const { fullUrl, method, segments, query } = entry;
    const path = segments.join("/");
    const target =
      method === "GET" || method === "HEAD" || method === "POST"
        ? []
        : [isWriteOfType(entry) ? `${path}?${query}` : path];
    for (const name of new Set(fullUrl === undefined ? target : [...target, fullUrl])) {
      if (names.has(name)) return at;
      names.add(name);
    }
  }
  return undefined;
}

/**
 * Copies a tree and replaces the text of each reference (only `Reference.reference`, not `canonical` and
 * the like). A reference stays if `replaced` returns `undefined`.
 */
export const withReferences = (value: Json, replaced: (reference: string) => string | undefined): Json =>
  withMembers(value, "reference", replaced);

function withMembers(
  value: Json,
  called: "reference" | "url",
  replaced: (text: string) => string | undefined,
): Json {
  if (isArray(value)) return value.map((item) => withMembers(item, called, replaced));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      name === called && typeof member === "string"
        ? (replaced(member) ?? member)
        : withMembers(member, called, replaced),
    ]),
  );
}

const isNewContent = ({ method, segments: [type] }: BatchEntry): boolean =>
  method === "POST" && isContentType(type);

/**
 * The new Binaries of a transaction to which another entry leads: by the URL of an attachment, or because the Binary's
 * `securityContext` names a resource that the transaction creates.
 */
export function attachedContent(entries: readonly BatchEntry[]): ReadonlySet<BatchEntry> {
  const [urls, created] = [new Set<string>(), new Set<string>()];
  for (const { method, segments, fullUrl, resource } of entries) {
    if (resource === undefined || isContentType(segments[0])) continue;
    if (method === "POST" && fullUrl !== undefined) created.add(fullUrl);
    withMembers(resource, "url", (url) => void urls.add(url));
  }
  const isLedTo = ({ fullUrl, resource }: BatchEntry) =>
    (fullUrl !== undefined && urls.has(fullUrl)) ||
    [...referencesIn(resource?.["securityContext"] ?? {})].some((name) => created.has(name));
  return new Set(entries.filter((entry) => isNewContent(entry) && isLedTo(entry)));
}

/** All references of a resource, once. */
export function referencesIn(value: Json): ReadonlySet<string> {
  const found = new Set<string>();
  withReferences(value, (reference) => {
    found.add(reference);
    return undefined;
  });
  return found;
}

/**
 * The conditional references of a resource (`Practitioner?identifier=…`, FHIR R4 http §3.1.0.11.2): all
 * references with a `?`, since servers accept a `?` at any position, behind a slash or an address.
 */
export const conditionalReferences = (value: Json): readonly string[] =>
  [...referencesIn(value)].filter((reference) => reference.includes("?") && !reference.startsWith("#"));
