import type { PageBinding, PageLinks, PagePlace } from "#fhir/ports";
import type { Principal } from "#identity/principal";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { linkHolder } from "#gateway/origin/origin-session";

/** The binding of a page's link: the link opens for no other caller and for no other question. */
export const pageBinding = (who: Principal, path: string): PageBinding => ({
  ...linkHolder(who),
  path,
  policyDigest: who.grant.policyDigest,
});

/**
 * The sealed text of a page's link, and the other parts of the query. `_page` is Phylax's own parameter:
 * FHIR leaves the form of paging links to the server (R4 §3.1.1.3.2).
 */
export function sealedPageIn(
  query: string,
): { readonly sealed: string; readonly others: readonly string[] } | undefined {
  const parts = query.split("&").filter((part) => part !== "");
  const index = parts.findIndex((part) => part.startsWith("_page="));
  const page = parts[index];
  return page === undefined
    ? undefined
    : { sealed: page.slice("_page=".length), others: parts.toSpliced(index, 1) };
}

/** The question is too long for the link to its next page. */
export type NextLinkRefusal = { readonly reason: "page_link_too_long" };

/** Makes the links to further pages of a caller's answers. */
export interface NextLinks {
  /**
   * @param path below the FHIR base.
   * @param place the beginning of the next page. `undefined`: there is no next page, and no link.
   * @param parameters further parameters, each with its `&`.
   */
  to(
    path: string,
    place: PagePlace | undefined,
    parameters?: string,
  ): Promise<Result<string | undefined, NextLinkRefusal>>;
}

// The edge refuses a URL over 16 KB; a client may add `_format` and `_pretty` to the link.
const linkBytesMax = 16_000;

export const nextLinks = (pages: PageLinks, who: Principal, base: string, at: Instant): NextLinks => ({
  async to(path, place, parameters = "") {
    if (place === undefined) return ok(undefined);
    const sealed = await pages.seal(place, pageBinding(who, path), at);
    const link = `${base}/${path}?_page=${sealed}${parameters}`;
    return link.length > linkBytesMax ? err({ reason: "page_link_too_long" }) : ok(link);
  },
});
