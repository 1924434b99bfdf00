import type { PageLinks, PagePlace } from "#fhir/ports";
import type { Principal } from "#identity/principal";
import type { Instant } from "#kernel/clock";
import { err, type Result } from "#kernel/result";
import { Discloser, type DisclosureRefusal } from "#phi/disclose";
import type { Disclosure } from "#phi/disclosure";
import { Page } from "#phi/page";
import type { Grant, SearchExpectation } from "#policy/grant";
import { fillPage, type PageRefusal } from "./fill-page.ts";
import type { RowsRefusal } from "#gateway/origin/all-rows";
import type { OriginSession } from "#gateway/origin/origin-session";
import { behindContext } from "./security-context.ts";
import { referredTo } from "./witnesses.ts";
import { resolveJoins } from "./resolve-joins.ts";
import { pageBinding, pageUrl, pageUrlBytesMax } from "#gateway/admission/page-links";

export type GatherRefusal =
  | PageRefusal
  | DisclosureRefusal
  | RowsRefusal
  /** The question is too long for the link to its next page. */
  | { readonly reason: "page_link_too_long" };

/** One read or search to be gathered. */
export interface Gathering {
  readonly origin: OriginSession;
  readonly at: Instant;
  readonly who: Principal;
  readonly grant: Grant;
  readonly place: PagePlace | undefined;
}

/** Asks the origin whatever the grant says, and makes of the answers what may leave. */
export async function gather(asked: Gathering, pages: PageLinks): Promise<Result<Disclosure, GatherRefusal>> {
  const { grant, origin } = asked;
  const { expects } = grant;
  switch (expects.kind) {
    case "read": {
      const [one, known] = await Promise.all([origin.read(grant.ask), referredTo(grant, expects, origin)]);
      // First: what is wrong with a resource that nothing leads to must not tell that it is there.
      if (!known.ok) return known;
      if (!one.ok) return one;
      const seen = await behindContext(known.value, expects, one.value, origin);
      return new Discloser(seen, origin.basesAt(one.value.base)).read(
        one.value.body,
        expects.type,
        expects.id,
      );
    }
    case "vread": {
      const [old, current, known] = await Promise.all([
        origin.read(grant.ask),
        origin.read(expects.current),
        referredTo(grant, expects, origin),
      ]);
      if (!known.ok) return known;
      if (!current.ok) return current;
      const discloser = new Discloser(known.value, origin.basesAt(current.value.base));
      if (old.ok) return discloser.version(old.value.body, current.value.body, expects);
      // How an origin fails at a version must not tell that there is a row which is not to be seen.
      const seen = origin.standing(known.value, current.value, expects.type, expects.id);
      return seen.ok ? old : seen;
    }
    case "search":
      return searchPage(asked, expects, pages);
  }
}

async function searchPage(
  { origin, at, who, grant, place }: Gathering,
  expects: SearchExpectation,
  pages: PageLinks,
): Promise<Result<Disclosure, GatherRefusal>> {
  const resolved = await resolveJoins(expects.joins, origin);
  if (!resolved.ok) return resolved;
  if (resolved.value === undefined)
    return new Page(grant, expects, origin.basesAt(origin.base)).finish(undefined, true);
  const { parameters, joined } = resolved.value;
  const filled = await fillPage(
    { ...grant, ask: expects.askJoined(parameters) },
    expects,
    place,
    origin,
    joined,
  );
  if (!filled.ok) return filled;
  const { page, next } = filled.value;
  const link =
    next && pageUrl(origin.base, expects.type, await pages.seal(next, pageBinding(who, expects.type), at));
  if (link !== undefined && link.length > pageUrlBytesMax) return err({ reason: "page_link_too_long" });
  return page.finish(link, place === undefined);
}
