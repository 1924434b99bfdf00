import { ok, type Result } from "#kernel/result";
import { readJsonEntry, type BundleRefusal } from "./bundle.ts";
import type { EntryBytes } from "#fhir/json/entry-splitter";
import { endsForCertain, isObject, objectAt, property, textAt, type JsonObject } from "#fhir/json/json";
import { isId, parseReference, type FhirBase } from "#fhir/r4/reference";

/** A version in the history of a resource (FHIR R4 http §3.1.0.9). */
export type HistoryEntry =
  /** `created`: by POST, as the server reports. */
  | { readonly kind: "version"; readonly resource: JsonObject; readonly created: boolean }
  /** `version` is empty if the server does not state it. */
  | { readonly kind: "deletion"; readonly type: string; readonly id: string; readonly version: string }
  /** An entry that this gateway cannot read and that has a certain end. */
  | { readonly kind: "unreadable" };

/** The version that a resource states. */
export const statedVersion = (resource: JsonObject): string | undefined =>
  textAt(objectAt(resource, "meta") ?? {}, "versionId");

/** Reads an entry of a history from its bytes. `base`: FHIR base of the server that wrote it. */
export function readHistoryEntry(bytes: EntryBytes, base: FhirBase): Result<HistoryEntry, BundleRefusal> {
  const entry = readJsonEntry(bytes);
  if (!entry.ok) return endsForCertain(entry.error.reason) ? unreadable : entry;
  if (!isObject(entry.value)) return unreadable;
  const [resource, request] = [property(entry.value, "resource"), property(entry.value, "request")];
  const stated = isObject(request) ? textAt(request, "method") : undefined;
  // Some servers state no method: an entry without a resource is then a deletion. Others (Medplum) state the
  // question that finds the deletion: GET, answered with 410.
  const method = stated ?? (resource === undefined ? "DELETE" : "PUT");
  if (isObject(resource) && method !== "DELETE")
    return ok({ kind: "version", resource, created: method === "POST" });
  const isDeletion = method === "DELETE" || (method === "GET" && isGone(entry.value));
  if (resource !== undefined || !isDeletion) return unreadable;
  const named = [isObject(request) ? textAt(request, "url") : undefined, textAt(entry.value, "fullUrl")].map(
    (url) => parseReference(url ?? "", base),
  );
  const deleted = named.find((reference) => reference.kind === "local");
  // A deletion that names no resource is one that no client may see.
  if (deleted === undefined) return unreadable;
  return ok({ kind: "deletion", type: deleted.type, id: deleted.id, version: versionOf(entry.value) });
}

// A single odd entry is hidden, as a hidden version is: it must not end the history of everybody else.
const unreadable = ok({ kind: "unreadable" } as const);

const responseText = (entry: JsonObject, name: string): string => {
  const response = property(entry, "response");
  return (isObject(response) && textAt(response, name)) || "";
};

const isGone = (entry: JsonObject): boolean => /^410(?:\D|$)/u.test(responseText(entry, "status"));

function versionOf(entry: JsonObject): string {
  const version = /^(?:W\/)?"(?<id>.*)"$/u.exec(responseText(entry, "etag"))?.groups?.["id"] ?? "";
  return isId(version) ? version : "";
}

/**
 * An entry as it leaves the gateway: it contains only the version details that the resource itself shows.
 */
export function versionText(
  base: string,
  type: string,
  id: string,
  resource: JsonObject,
  created: boolean,
): string {
  const meta = property(resource, "meta");
  const [version, changed] = isObject(meta) ? [textAt(meta, "versionId"), textAt(meta, "lastUpdated")] : [];
  return JSON.stringify({
    fullUrl: `${base}/${type}/${id}`,
    resource,
    request: created ? { method: "POST", url: type } : { method: "PUT", url: `${type}/${id}` },
    response: {
      status: created ? "201" : "200",
      ...(version === undefined ? {} : { etag: `W/"${version}"` }),
      ...(changed === undefined ? {} : { lastModified: changed }),
    },
  });
}

/** Reports that a resource was deleted, without its content. */
export const deletionText = (base: string, type: string, id: string): string =>
  JSON.stringify({
    fullUrl: `${base}/${type}/${id}`,
    request: { method: "DELETE", url: `${type}/${id}` },
    response: { status: "204" },
  });
