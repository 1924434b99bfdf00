import { textAt } from "#fhir/json/json";
import { isContentType } from "#fhir/route";
import { err, ok, type Result } from "#kernel/result";
import { referredAt } from "#phi/links";
import type { DecidingRow } from "#phi/additional-patients";
import type { Grant, ReadExpectation, Referrer } from "#policy/grant";
import { eachPage, isUnknownAtOrigin } from "#gateway/origin/pages";
import type { RowsRefusal } from "#gateway/origin/asking";
import type { OriginSession } from "#gateway/origin/origin-session";
import { seenRows } from "#gateway/origin/seen-rows";
import { resolveWhole } from "./resolve-joins.ts";

/** A visible row that leads to a resource. */
export interface Opener {
  /** Undefined: the resource is no content. */
  readonly open: ((id: string) => void) | undefined;
  /** It goes on record if it lets the content leave. Undefined: it is on record. */
  readonly seen?: DecidingRow;
}

interface FoundOpener extends Opener {
  /** Name of the reference. */
  readonly name: string;
}

/** A grant, and for a content what leads to it. */
export type Led = Grant & { readonly openers?: readonly Opener[] };

/** The grant for a content to which these rows lead: it leaves if the patients of one of them let it leave. */
export function openedBy(grant: Grant, id: string, openers: readonly Opener[], origin: OriginSession): Led {
  const viewOf: Grant["viewOf"] = (...row) => {
    for (const { open, seen } of openers) {
      open?.(id);
      const view = grant.viewOf(...row);
      if (view !== undefined && (seen === undefined || origin.names.concerned.decide(seen))) return view;
    }
    return undefined;
  };
  return { ...grant, viewOf, openers };
}

/**
 * The grant for a resource outside all compartments: it may be read through the references of the policy by
 * which a visible row refers to it. The origin gets the same questions whether the resource exists or not: for each
 * reference that the policy lists the pages up to the first visible row, and for a content up to twenty of them. A
 * resource of a patient needs no referrer.
 */
export async function referredTo(
  grant: Grant,
  { id, referrers, needsReferrer, referredBy, mayBeOwned }: ReadExpectation,
  origin: OriginSession,
): Promise<Result<Led, RowsRefusal | { readonly reason: "row_outside_access" }>> {
  if (!needsReferrer && referrers.length === 0) return ok(grant);
  const each = await Promise.all(referrers.map((referrer) => openersOf(referrer, origin)));
  const openers = each.flatMap((found) => (found.ok ? found.value : []));
  if (openers.length > 0)
    return ok(openedBy(referredBy(new Set(openers.map(({ name }) => name))), id, openers, origin));
  const failed = each.find((found) => !found.ok);
  return failed ?? (mayBeOwned ? ok(referredBy(new Set())) : err({ reason: "row_outside_access" }));
}

// As many as a search for such resources reads: hidden rows that fill the first page must not hide a visible row
// behind them.
const pagesMax = 10;
// Visible rows that lead to a content: the patients of each are asked about its labels.
const openersMax = 20;

/** The first visible row that leads to the resource; for a content some more. */
async function openersOf(
  { name, search, paths, reference }: Referrer,
  origin: OriginSession,
): Promise<Result<readonly FoundOpener[], RowsRefusal>> {
  let [hasRoom, pages] = [true, 0];
  const openers: FoundOpener[] = [];
  const ready = await resolveWhole(search, origin);
  // As behind ten pages of rows, a resource is not found behind too many.
  if (!ready.ok)
    return isUnknownAtOrigin(ready.error) || ready.error.reason === "too_many_rows" ? ok(openers) : ready;
  if (ready.value === undefined) return ok(openers);
  const { parameters, joined } = ready.value.resolved;
  const isContent = isContentType(reference.split("/")[0]);
  const most = isContent ? openersMax : 1;
  const judge = seenRows(search, origin, {
    joined,
    isMeant: (row, base) =>
      openers.length < most &&
      (paths === undefined
        ? `${search.expects.type}/${textAt(row, "id")}` === reference
        : referredAt(row, paths, base).has(reference)),
    take: (seen, row) => {
      if (openers.length === 0) hasRoom = origin.names.concerned.decide(seen);
      openers.push({ name, open: isContent ? origin.facts?.opening(row, origin.base) : undefined, seen });
      return false; // its patients alone are retained
    },
  });
  const ask = search.expects.askJoined(parameters);
  const failed = await eachPage(ask, origin, judge, pagesMax, () => {
    pages += 1;
    return openers.length < most ? "next" : "end";
  });
  // A server that does not support this parameter has no referrer.
  if (openers.length === 0 && failed !== undefined && failed.reason !== "too_many_rows")
    return pages === 0 && isUnknownAtOrigin(failed) ? ok(openers) : err(failed);
  return hasRoom ? ok(openers) : err({ reason: "too_many_rows" });
}
