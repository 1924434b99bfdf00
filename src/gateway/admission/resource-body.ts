import { isMet } from "#fhir/media-type";
import type { RequestHeaders } from "#entrypoint/header-values";
import { readAtMost } from "#entrypoint/bounded-body";
import { err, ok, type Result } from "#kernel/result";
import type { Arrival } from "./admit.ts";

export type ResourceBodyRefusal = { readonly reason: "body_too_large" | "body_missing" };

/**
 * Limit for a write's body. Read, merged, checked and written out it takes ten times as much of an isolate's
 * 128 MB.
 */
export const writeBytesMax = 1_048_576;

export const resourceTypes: ReadonlySet<string> = new Set([
  "application/fhir+json",
  "application/json",
  "application/json+fhir", // DSTU2's name
]);

/** True if a body has one of these media types, in UTF-8, and no content coding. */
export function hasMediaType(headers: Pick<RequestHeaders, "get">, types: ReadonlySet<string>): boolean {
  if ((headers.get("content-encoding")?.trim().toLowerCase() ?? "identity") !== "identity") return false;
  const [type = "", ...parameters] = (headers.get("content-type") ?? "").toLowerCase().split(";");
  return types.has(type.trim()) && parameters.every(isMet);
}

/** Reads the whole of a body that must not be empty. */
export async function readResourceBody(
  body: Arrival["body"],
  bytesMax = writeBytesMax,
): Promise<Result<Uint8Array, ResourceBodyRefusal>> {
  const bytes = await readAtMost(body, bytesMax);
  if (bytes === undefined) return err({ reason: "body_too_large" });
  return bytes.length === 0 ? err({ reason: "body_missing" }) : ok(bytes);
}
