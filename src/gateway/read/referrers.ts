import { textAt } from "#fhir/json/json";
import { isContentType } from "#fhir/route";
import { err, ok, type Result } from "#kernel/result";
import { referredAt } from "#phi/links";
import type { Grant, ReadExpectation, Referrer } from "#policy/grant";
import { eachPage, isUnknownAtOrigin } from "#gateway/origin/pages";
import type { RowsRefusal } from "#gateway/origin/asking";
import type { OriginSession } from "#gateway/origin/origin-session";
import { seenRows } from "#gateway/origin/seen-rows";
import { resolveWhole } from "./resolve-joins.ts";

/**
 * The grant for a resource outside all compartments: it may be read through the references of the policy by
 * which a visible row refers to it. The origin gets the same questions whether the resource exists or not: for each
 * reference that the policy lists the pages up to the first visible row. A resource of a patient needs no referrer.
 */
export async function referredTo(
  grant: Grant,
  { referrers, needsReferrer, referredBy, mayBeOwned }: ReadExpectation,
  origin: OriginSession,
): Promise<Result<Grant, RowsRefusal | { readonly reason: "row_outside_access" }>> {
  if (!needsReferrer && referrers.length === 0) return ok(grant);
  const each = await Promise.all(
    referrers.map(async (referrer) => ({ referrer, found: await hasReferrer(referrer, origin) })),
  );
  const leading = each.flatMap(({ referrer, found }) => (found.ok && found.value ? [referrer.name] : []));
  if (leading.length > 0) return ok(referredBy(new Set(leading)));
  const failed = each.flatMap(({ found }) => (found.ok ? [] : [found]));
  return failed[0] ?? (mayBeOwned ? ok(referredBy(new Set())) : err({ reason: "row_outside_access" }));
}

// As many as a search for such resources reads: hidden rows that fill the first page must not hide a visible row
// behind them.
const pagesMax = 10;

async function hasReferrer(
  { search, paths, reference }: Referrer,
  origin: OriginSession,
): Promise<Result<boolean, RowsRefusal>> {
  let [hasRoom, isLed, pages] = [true, false, 0];
  const ready = await resolveWhole(search, origin);
  // As behind ten pages of rows, a resource is not found behind too many.
  if (!ready.ok)
    return isUnknownAtOrigin(ready.error) || ready.error.reason === "too_many_rows" ? ok(false) : ready;
  if (ready.value === undefined) return ok(false);
  const { parameters, joined } = ready.value.resolved;
  const [type, id = ""] = reference.split("/");
  const judge = seenRows(search, origin, {
    joined,
    isMeant: (row, base) =>
      !isLed &&
      (paths === undefined
        ? `${search.expects.type}/${textAt(row, "id")}` === reference
        : referredAt(row, paths, base).has(reference)),
    take: (seen, row) => {
      isLed = true;
      if (isContentType(type)) origin.facts?.openContent(id, row, origin.base);
      hasRoom = origin.names.concerned.decide(seen);
      return false; // the gateway only needs to know that a referrer exists
    },
  });
  const ask = search.expects.askJoined(parameters);
  const failed = await eachPage(ask, origin, judge, pagesMax, () => {
    pages += 1;
    return isLed ? "end" : "next";
  });
  // A server that does not support this parameter has no referrer.
  if (failed !== undefined && failed.reason !== "too_many_rows")
    return pages === 0 && isUnknownAtOrigin(failed) ? ok(false) : err(failed);
  return hasRoom ? ok(isLed) : err({ reason: "too_many_rows" });
}
