import type { PageLinks, PagePlace } from "#fhir/ports";
import type { Principal } from "#identity/principal";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { Disclosure } from "#phi/disclosure";
import type { ListingGrant } from "#policy/evaluate-listing";
import type { GatherRefusal } from "./gather.ts";
import { listEverything } from "./list-everything.ts";
import { listHistory } from "./list-history.ts";
import { listLastN } from "./list-last-n.ts";
import type { OriginSession } from "#gateway/origin/origin-session";
import { pageBinding, pageUrl, pageUrlBytesMax } from "#gateway/admission/page-links";

/** One listing to be gathered. */
export interface Listed {
  readonly origin: OriginSession;
  readonly at: Instant;
  readonly who: Principal;
  readonly grant: ListingGrant;
  readonly place: PagePlace | undefined;
}

/** Asks the origin for what a listing needs, and makes of its answers what may leave. */
export async function list(asked: Listed, pages: PageLinks): Promise<Result<Disclosure, GatherRefusal>> {
  const { grant, place, origin } = asked;
  switch (grant.kind) {
    case "history": {
      const filled = await listHistory(grant, start(grant.question, place), origin);
      if (!filled.ok) return filled;
      const path = grant.id === undefined ? `${grant.type}/_history` : `${grant.type}/${grant.id}/_history`;
      const next = await linkTo(path, filled.value.next, asked, pages);
      return next.ok ? ok(filled.value.page.finish(next.value)) : next;
    }
    case "everything": {
      const filled = await listEverything(grant, start(grant.question, place), origin);
      if (!filled.ok) return filled;
      const next = await linkTo(`Patient/${grant.id}/$everything`, filled.value.next, asked, pages);
      return next.ok ? ok(filled.value.page.finish(next.value, place === undefined)) : next;
    }
    case "lastn":
      return listLastN(grant, origin);
  }
}

const start = (question: string, place: PagePlace | undefined): PagePlace =>
  place ?? { question, posted: false, link: undefined, after: undefined, seen: 0 };

async function linkTo(
  path: string,
  next: PagePlace | undefined,
  { who, at, origin }: Listed,
  pages: PageLinks,
): Promise<Result<string | undefined, GatherRefusal>> {
  if (next === undefined) return ok(undefined);
  const link = pageUrl(origin.base, path, await pages.seal(next, pageBinding(who, path), at));
  return link.length > pageUrlBytesMax ? err({ reason: "page_link_too_long" }) : ok(link);
}
