import type { PageBinding } from "#fhir/ports";
import type { Principal } from "#identity/principal";

/** What a page's link is sealed to: it opens for nobody else, and for nothing else. */
export function pageBinding({ client, grant, patient, user }: Principal, path: string): PageBinding {
  const { origin, purpose, policyDigest } = grant;
  return { client: client.id, origin, path, purpose, policyDigest, patient, user };
}

/**
 * The sealed text of a page's link, and the parts of the query beside it. Phylax's own parameter: FHIR leaves the form of paging links to
 * the server (R4 §3.1.1.3.2).
 */
export function sealedIn(
  query: string,
): { readonly sealed: string; readonly beside: readonly string[] } | undefined {
  const parts = query.split("&").filter((part) => part !== "");
  const at = parts.findIndex((part) => part.startsWith("_page="));
  const page = parts[at];
  return page === undefined
    ? undefined
    : { sealed: page.slice("_page=".length), beside: parts.toSpliced(at, 1) };
}

export const pageUrl = (base: string, path: string, sealed: string): string =>
  `${base}/${path}?_page=${sealed}`;

// The edge refuses a URL over 16 KB; a client may add `_format` and `_pretty` to the link.
export const pageUrlBytesMax = 16_000;
