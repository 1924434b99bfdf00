import { doneOutcome } from "#fhir/outcome";
import type { Call } from "#gateway/admission/admit";
import { outcomeAnswer } from "./answer.ts";
import { etagOf, lastModified } from "#gateway/read/etag";
import { faceOf } from "#entrypoint/gateway-face";
import type { WriteOutcome } from "#gateway/change/write-outcome";

/**
 * The answer to a recorded write (FHIR R4 http §3.1.0.4, §3.1.0.8). It contains only the redacted resource
 * of the origin.
 */
export function writeAnswer(
  { status, refusal, reason, location, returns, disclosure }: WriteOutcome,
  {
    id,
    mediaType,
    policyDigest,
    headers,
  }: { id: string; mediaType: Call["mediaType"]; policyDigest: string; headers: Headers },
): Response {
  if (refusal !== undefined) {
    if ("retryAfterSeconds" in refusal) headers.set("retry-after", String(refusal.retryAfterSeconds));
    return outcomeAnswer(id, faceOf(refusal), mediaType, headers);
  }
  if (location !== undefined) headers.set("location", location);
  if (reason !== undefined) return new Response(null, { status, headers });
  if (returns === "OperationOutcome") {
    headers.set("content-type", `${mediaType}; charset=utf-8`);
    return new Response(JSON.stringify(doneOutcome(id)), { status: status === 204 ? 200 : status, headers });
  }
  const [window] = disclosure?.windows ?? [];
  if (window === undefined || disclosure === undefined) return new Response(null, { status, headers });
  headers.set("content-type", `${mediaType}; charset=utf-8`);
  headers.set("etag", etagOf(window.body, policyDigest));
  const modified = lastModified(disclosure.representation?.lastUpdated);
  if (modified !== undefined) headers.set("last-modified", modified);
  return new Response(window.body, { status, headers });
}
