import { isArray, isObject, property, type Json, type JsonObject } from "./json.ts";

/** One match of a searchset. */
export interface SearchMatch {
  readonly type: string;
  readonly id: string;
  readonly resource: JsonObject;
}

/**
 * A searchset below `base` (FHIR R4 §3.1.1.3). No `total`, no score: both count what the reader may not see.
 *
 * @param isCut the reader asked for no more than these (`_count`) and there are more that it may see: an entry says so, since no `next` link does.
 */
export function searchset(base: string, self: string, matches: readonly SearchMatch[], isCut: boolean): JsonObject {
  const found = matches.map(({ type, id, resource }) => ({ fullUrl: `${base}/${type}/${id}`, resource, search: { mode: "match" } }));
  const entry = isCut ? [...found, { resource: cutAtCount, search: { mode: "outcome" } }] : found;
  return {
    resourceType: "Bundle",
    type: "searchset",
    link: [{ relation: "self", url: `${base}/${self}` }],
    ...(entry.length > 0 ? { entry } : {}), // an empty array is not FHIR JSON
  };
}

// A fixed sentence: how many there are would count what later pages may not show.
const cutAtCount: JsonObject = {
  resourceType: "OperationOutcome",
  issue: [
    {
      severity: "warning",
      code: "incomplete",
      details: { text: "There are more matches than _count asked for. The list ends here: this server has no further pages yet." },
    },
  ],
};

/** The matches of a searchset as it came, or why it is not one that can be read whole. */
export function readSearchset(bundle: Json): { readonly matches: readonly JsonObject[] } | "not_a_searchset" | "not_whole" {
  if (!isObject(bundle) || bundle["resourceType"] !== "Bundle" || bundle["type"] !== "searchset") return "not_a_searchset";
  const [links, entries] = [property(bundle, "link") ?? [], property(bundle, "entry") ?? []];
  if (!isArray(links) || !isArray(entries)) return "not_a_searchset";
  const matches: JsonObject[] = [];
  for (const entry of entries) {
    const mode = isObject(entry) ? searchMode(entry) : undefined;
    if (!isObject(entry) || mode === undefined) return "not_a_searchset";
    const resource = property(entry, "resource");
    if (mode === "outcome" && saysFailed(resource)) return "not_a_searchset";
    if (mode !== "match") continue;
    if (!isObject(resource)) return "not_a_searchset";
    matches.push(resource);
  }
  const total = totalOf(bundle);
  if (total === undefined) return "not_a_searchset";
  const more = links.some((link) => !isObject(link) || link["relation"] === "next");
  return more || total > matches.length ? "not_whole" : { matches };
}

/** The search was not done as asked: what it found may be the rows of another question. */
function saysFailed(outcome: Json | undefined): boolean {
  const issues = isObject(outcome) ? (property(outcome, "issue") ?? []) : [];
  return (isArray(issues) ? issues : [issues]).some((issue) => {
    if (!isObject(issue)) return true;
    const [severity, code] = [property(issue, "severity"), property(issue, "code")];
    return severity === "error" || severity === "fatal" || code === "not-supported";
  });
}

function searchMode(entry: JsonObject): "match" | "include" | "outcome" | undefined {
  const search = property(entry, "search");
  if (search === undefined) return "match";
  const mode = isObject(search) ? (property(search, "mode") ?? "match") : undefined;
  return mode === "match" || mode === "include" || mode === "outcome" ? mode : undefined;
}

/** Some servers cut a list short without a `next` link; their `total` still tells. `undefined`: it is no count. */
function totalOf(bundle: JsonObject): number | undefined {
  const total = property(bundle, "total");
  if (total === undefined) return 0;
  const text = typeof total === "object" && total !== null && "rawJSON" in total ? total["rawJSON"] : undefined;
  return typeof text === "string" && /^\d+$/u.test(text) ? Number(text) : undefined;
}
