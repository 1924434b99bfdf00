import type { Answer } from "./call.ts";

/** The headers of real servers: validators, and the server's own absolute URLs (R4 http.html). */
export function headersOf({ status, about, raw }: Answer, base: string): Readonly<Record<string, string>> {
  return {
    "content-type": raw === undefined ? "application/fhir+json; charset=utf-8" : raw.type,
    ...(raw?.securityContext !== undefined && { "x-security-context": raw.securityContext }),
    ...(about && {
      etag: `W/"${about.meta.versionId}"`,
      "last-modified": new Date(about.meta.lastUpdated).toUTCString(),
      [status === 201 ? "location" : "content-location"]:
        `${base}/${about.resourceType}/${about.id}/_history/${about.meta.versionId}`,
    }),
  };
}
