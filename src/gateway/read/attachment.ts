import { isAttachmentLink } from "#fhir/route";
import { isResourceType } from "#fhir/r4/elements";
import { err, ok, type Result } from "#kernel/result";
import type { DisclosureRefusal } from "#phi/disclose";
import type { ReadExpectation } from "#policy/grant";
import type { RowsRefusal } from "#gateway/origin/asking";
import type { OriginSession } from "#gateway/origin/origin-session";
import { referredTo, type Opener } from "./referrers.ts";

/** What a read means. */
type Target =
  /** `openers`: a visible row leads to the resource by the link of an attachment. */
  | { readonly id: string; readonly openers?: readonly Opener[] }
  /** A visible row, as `Type/id`, leads to content outside of the server. */
  | { readonly stored: string; readonly row: string };

/**
 * The Binary to which the link of an attachment leads, if the caller may see the row behind the link now, and the row
 * still shows the URL in whose place the link was made: today's policy, labels, Consents and view decide about the row
 * as about any read. An id means itself.
 */
export async function behindLink(
  { id, behind }: ReadExpectation,
  origin: OriginSession,
): Promise<Result<Target, DisclosureRefusal | RowsRefusal>> {
  if (!isAttachmentLink(id)) return ok({ id });
  const place = origin.placeOf(id);
  const [rowType = "", rowId = ""] = place?.row.split("/") ?? [];
  const grant = isResourceType(rowType) ? behind(rowType, rowId) : undefined;
  if (place === undefined || grant?.ok !== true || grant.value.expects.kind !== "read")
    return err({ reason: "absent" });
  const { ask, expects } = grant.value;
  const [answer, known] = await Promise.all([origin.read(ask), referredTo(grant.value, expects, origin)]);
  if (!known.ok) return known;
  if (!answer.ok) return answer;
  const { base } = answer.value;
  const bases = origin.basesAt(base);
  let url: string | undefined;
  const noting = (row: string, shown: string) => {
    if (row === place.row && place.isOf(origin.linkedAs(shown))) url = shown;
    return undefined;
  };
  const seen = await origin.standing(known.value, answer.value, rowType, rowId, { ...bases, sealed: noting });
  if (!seen.ok) return seen;
  const target = url === undefined ? undefined : origin.binaryAt(url, base);
  if (target !== undefined)
    return ok({ id: target, openers: [{ open: origin.facts?.opening(seen.value, base) }] });
  return url !== undefined && origin.isStored(url)
    ? ok({ stored: url, row: place.row })
    : err({ reason: "absent" });
}
