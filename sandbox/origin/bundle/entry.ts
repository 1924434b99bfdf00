import type { HttpMethod } from "@medplum/fhir-router";
import type { BundleEntry, OperationOutcome, Resource } from "@medplum/fhirtypes";
import { headersOf } from "../answer-headers.ts";
import type { Answer, Body, OriginCall } from "../call.ts";
import { parseExact } from "../exact-json.ts";
import { badRequest } from "../refusal.ts";
import { field, items, text } from "../values.ts";

/** An entry of a batch or transaction, as the request in it (R4 http.html#transaction). */
export interface Entry {
  readonly fullUrl: string | undefined;
  readonly call: Omit<OriginCall, "params">;
}

const methods: readonly string[] = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
] satisfies readonly HttpMethod[];
const conditions = {
  ifMatch: "if-match",
  ifNoneMatch: "if-none-match",
  ifModifiedSince: "if-modified-since",
  ifNoneExist: "if-none-exist",
};

/**
 * Reads one entry of a Bundle. The headers of the whole request decide the form of the answers; each entry
 * has its own conditions.
 */
export function readBundleEntry(entry: unknown, { headers }: OriginCall): Entry {
  const request = field(entry, "request");
  const [method = "", url = ""] = [text(request, "method"), text(request, "url")];
  if (!methods.includes(method)) throw badRequest("An entry has no method.");
  if (/^[a-z][a-z0-9+.-]*:|^\/\//iu.test(url))
    throw badRequest("The URL of an entry is relative to the FHIR base.");
  const [path = "", ...query] = url.replace(/^\//u, "").split("?");
  if (path === "") throw badRequest("An entry is about a resource type.");
  const own = Object.entries(conditions).flatMap(([key, name]) =>
    [text(request, key) ?? []].flat().map((value) => [name, value] as const),
  );
  const call = {
    method: method as HttpMethod, // a method of the table
    path,
    query: [...new URLSearchParams(query.join("?"))],
    headers: { prefer: headers["prefer"], accept: "application/fhir+json", ...Object.fromEntries(own) },
    body: method === "PATCH" ? patchIn(field(entry, "resource")) : entryBodyOf(field(entry, "resource")),
  };
  return { fullUrl: text(entry, "fullUrl"), call };
}

/** The entries of a bundle. */
export const entriesOf = (bundle: unknown): unknown[] => items(field(bundle, "entry"));

export const entryBodyOf = (value: unknown, type = "application/fhir+json"): Body =>
  value === undefined ? { kind: "none" } : { kind: "json", value, type, bytes: Buffer.alloc(0) };

/** A JSON Patch is sent as a Binary (R4 http.html#transaction), a FHIRPath Patch as Parameters. */
function patchIn(resource: unknown): Body {
  const [type = "", data] = [text(resource, "contentType"), text(resource, "data")];
  if (data === undefined) return entryBodyOf(resource);
  try {
    return entryBodyOf(parseExact(Buffer.from(data, "base64").toString("utf8")), type);
  } catch {
    throw badRequest("A patch is not JSON."); // the parser's message would quote it
  }
}

/** An answer as an entry of a batch-response or transaction-response. */
export function answered(answer: Answer, base: string): BundleEntry {
  const { etag, location, "content-location": place } = headersOf(answer, base);
  const failed = answer.status >= 400;
  return {
    ...(answer.about && { fullUrl: `${base}/${answer.about.resourceType}/${answer.about.id}` }),
    // every body is a resource
    ...(answer.body !== undefined && !failed && { resource: answer.body as Resource }),
    response: {
      status: String(answer.status),
      ...((location ?? place) !== undefined && { location: location ?? place }),
      ...(etag !== undefined && { etag }),
      ...(answer.about && { lastModified: answer.about.meta.lastUpdated }),
      // the body of a refusal is an OperationOutcome
      ...(failed && { outcome: answer.body as OperationOutcome }),
    },
  };
}
