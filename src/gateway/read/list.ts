import type { PagePlace } from "#fhir/ports";
import { ok, type Result } from "#kernel/result";
import type { Disclosure } from "#phi/disclosure";
import type { ListingGrant } from "#policy/evaluate-listing";
import type { GatherRefusal } from "./gather.ts";
import { listEverything } from "./list-everything.ts";
import { listHistory } from "./list-history.ts";
import { listLastN } from "./list-last-n.ts";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { NextLinks } from "#gateway/admission/page-links";

/**
 * Asks the origin for the rows of a listing and redacts the answers.
 *
 * @param place the beginning of a further page.
 */
export async function list(
  grant: ListingGrant,
  place: PagePlace | undefined,
  origin: OriginSession,
  links: NextLinks,
): Promise<Result<Disclosure, GatherRefusal>> {
  switch (grant.kind) {
    case "history": {
      const filled = await listHistory(grant, start(grant.question, place), origin);
      if (!filled.ok) return filled;
      const path = grant.id === undefined ? `${grant.type}/_history` : `${grant.type}/${grant.id}/_history`;
      const next = await links.to(path, filled.value.next);
      return next.ok ? ok(filled.value.page.finish(next.value)) : next;
    }
    case "everything": {
      const filled = await listEverything(grant, start(grant.question, place), origin);
      if (!filled.ok) return filled;
      const next = await links.to(grant.path, filled.value.next);
      return next.ok ? ok(filled.value.page.finish(next.value, place === undefined)) : next;
    }
    case "lastn":
      return listLastN(grant, origin);
  }
}

const start = (question: string, place: PagePlace | undefined): PagePlace =>
  place ?? { question, posted: false, link: undefined, after: undefined, seen: 0 };
