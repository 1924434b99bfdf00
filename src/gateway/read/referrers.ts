import { textAt, type JsonObject } from "#fhir/json/json";
import { linkBelow } from "#fhir/origin-link";
import type { OriginQuestion } from "#fhir/ports";
import type { FhirBase } from "#fhir/r4/reference";
import { err, ok, type Result } from "#kernel/result";
import { Discloser } from "#phi/disclose";
import { referredAt } from "#phi/links";
import type { Grant, ReadExpectation, Referrer } from "#policy/grant";
import { isUnknownAtOrigin, rowsOf, type RowsRefusal } from "#gateway/origin/all-rows";
import type { OriginSession } from "#gateway/origin/origin-session";

/**
 * The grant for a resource outside all compartments: it may be read through the references of the policy by
 * which a visible row refers to it. The origin gets the same questions whether the resource exists or not: for each
 * reference that the policy lists the pages up to the first visible row. A resource of a patient needs no referrer.
 */
export async function referredTo(
  grant: Grant,
  { referrers, referredBy, mayBeOwned }: ReadExpectation,
  origin: OriginSession,
): Promise<Result<Grant, RowsRefusal | { readonly reason: "row_outside_access" }>> {
  if (referrers.length === 0) return ok(grant);
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
  let [discloser, hasRoom, isLed]: [Discloser | undefined, boolean, boolean] = [undefined, true, false];
  const leads = (row: JsonObject, base: FhirBase) => {
    if (
      isLed ||
      textAt(row, "resourceType") !== search.expects.type ||
      !referredAt(row, paths, base).has(reference)
    )
      return false;
    discloser ??= new Discloser(search, origin.basesAt(base));
    const seen = discloser.seen(row);
    isLed = seen !== undefined;
    if (seen !== undefined) hasRoom = origin.names.concerned.decide(seen);
    return false; // the gateway only needs to know that a referrer exists
  };
  let next: OriginQuestion = search.ask;
  for (let page = 1; page <= pagesMax; page += 1) {
    const found = await rowsOf(next, origin, leads);
    // A server that does not support this parameter has no referrer.
    if (!found.ok) return page === 1 && isUnknownAtOrigin(found.error) ? ok(false) : found;
    if (isLed || found.value.next === undefined) break;
    const link = linkBelow(found.value.base, found.value.next);
    if (link === undefined) return err({ reason: "answer_link_outside_origin" });
    next = { link };
  }
  return hasRoom ? ok(isLed) : err({ reason: "too_many_rows" });
}
