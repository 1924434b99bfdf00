import type { PageBinding } from "#fhir/ports";
import type { Principal } from "#identity/principal";

/** What a page's link is sealed to: it opens for nobody else, and for nothing else. */
export function pageBinding({ client, grant, patient }: Principal, type: string): PageBinding {
  const { origin, purpose, policyDigest } = grant;
  return { client: client.id, origin, type, purpose, policyDigest, patient };
}

/** Finds the link in a query, whatever stands beside it. Phylax's own parameter: FHIR leaves the form of paging links to the server (R4 §3.1.1.3.2). */
export const sealedIn = (query: string): string | undefined => /(?:^|&)_page=(?<sealed>[^&]*)/u.exec(query)?.groups?.["sealed"];

/** The query without it. */
export const besidePage = (query: string): string =>
  query
    .split("&")
    .filter((part) => !part.startsWith("_page="))
    .join("&");

export const pageUrl = (base: string, type: string, sealed: string): string => `${base}/${type}?_page=${sealed}`;

// The edge refuses a URL over 16 KB; a client may add `_format` and `_pretty` to the link.
export const pageUrlBytesMax = 16_000;
