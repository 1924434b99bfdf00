import type { PagePlace } from "#fhir/ports";
import { isContentType } from "#fhir/route";
import { err, ok, type Result } from "#kernel/result";
import { Discloser, type DisclosureRefusal } from "#phi/disclose";
import type { Disclosure } from "#phi/disclosure";
import { Page } from "#phi/page";
import type { Grant, SearchExpectation } from "#policy/grant";
import type { PageRefusal } from "./fillable.ts";
import { countRows } from "./count-rows.ts";
import { fillParts, type PartsRefusal } from "./fill-parts.ts";
import type { RowsRefusal } from "#gateway/origin/asking";
import { decidedAt } from "#gateway/origin/at-origin";
import type { OriginSession } from "#gateway/origin/origin-session";
import { behindLink } from "./attachment.ts";
import type { ContentWish } from "./content.ts";
import { areBehindOne, behindContext } from "./security-context.ts";
import { storedContent } from "./stored-content.ts";
import { openedBy, referredTo } from "./referrers.ts";
import { resolveSearch } from "./resolve-joins.ts";
import type { NextLinkRefusal, NextLinks } from "#gateway/admission/page-links";

export type GatherRefusal = PartsRefusal | PageRefusal | DisclosureRefusal | RowsRefusal | NextLinkRefusal;

/**
 * Asks the origin the question of the grant and redacts the answers.
 *
 * @param place the beginning of a further page.
 */
export async function gather(
  grant: Grant,
  place: PagePlace | undefined,
  origin: OriginSession,
  links: NextLinks,
  wanted: ContentWish = {},
): Promise<Result<Disclosure, GatherRefusal>> {
  const { expects } = grant;
  switch (expects.kind) {
    case "read": {
      const target = await behindLink(expects, origin);
      if (!target.ok) return target;
      if ("stored" in target.value) return storedContent(grant, target.value, origin, wanted);
      const { id, openers } = target.value;
      const [one, known] = await Promise.all([
        origin.read({ ...grant.ask, path: `${expects.type}/${id}` }),
        openers === undefined ? referredTo(grant, expects, origin) : ok(openedBy(grant, id, openers, origin)),
      ]);
      const seen = await behindContext(known, { ...expects, id }, one, origin);
      // This comes first: a fault of a resource without referrers must not reveal that it exists.
      if (!seen.ok) return seen;
      if (!one.ok) return one;
      const { body, base } = one.value;
      const discloser = new Discloser(seen.value, origin.basesAt(base));
      const facts = await origin.know(() => discloser.needsToRead(body, expects.type));
      if (!facts.ok) return facts;
      const row = discloser.read(body, expects.type, id);
      const isHidden = !row.ok && row.error.reason === "row_outside_access";
      const least = isHidden ? discloser.idOf(body, id) : undefined;
      return least === undefined ? row : ok(least);
    }
    case "vread": {
      const [old, current, known] = await Promise.all([
        origin.read(grant.ask),
        origin.read(expects.current),
        referredTo(grant, expects, origin),
      ]);
      const seen = await behindContext(known, expects, current, origin);
      if (!seen.ok) return seen;
      if (!current.ok) return current;
      const discloser = new Discloser(seen.value, origin.basesAt(current.value.base));
      if (old.ok) {
        const isOther = isContentType(expects.type) && !areBehindOne(old.value.body, current.value.body);
        if (isOther) return err({ reason: "absent" });
        const bodies = [current.value.body, old.value.body] as const;
        const facts = await origin.know(() => discloser.needsOfVersion(...bodies));
        return facts.ok ? discloser.version(old.value.body, current.value.body, expects) : facts;
      }
      // The fault of the origin at a version must not reveal that a hidden row exists.
      const standing = await origin.standing(seen.value, current.value, expects.type, expects.id);
      return standing.ok ? old : standing;
    }
    case "search":
      return searchPage(grant, expects, place, origin, links);
  }
}

async function searchPage(
  grant: Grant,
  expects: SearchExpectation,
  place: PagePlace | undefined,
  origin: OriginSession,
  links: NextLinks,
): Promise<Result<Disclosure, GatherRefusal>> {
  const here = await decidedAt(origin, { ...grant, expects });
  if (!here.ok) return here;
  const ready = await resolveSearch(here.value, origin);
  if (!ready.ok) return ready;
  if (ready.value === undefined)
    return new Page(grant, expects, origin.basesAt(origin.base)).finish(undefined, true);
  const counted =
    expects.total !== undefined && place === undefined
      ? await countRows(ready.value.grant, expects.total.patients, origin, ready.value.resolved)
      : ok(undefined);
  if (!counted.ok) return counted;
  if (expects.total?.form === "alone")
    return new Page(grant, expects, origin.basesAt(origin.base)).finish(undefined, true, counted.value);
  const filled = await fillParts(ready.value.grant, place, origin, ready.value.resolved);
  if (!filled.ok) return filled;
  const { page, next } = filled.value;
  const link = await links.to(expects.path, next);
  return link.ok ? page.finish(link.value, place === undefined, counted.value) : link;
}
