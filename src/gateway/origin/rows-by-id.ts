import type { FhirQuestion } from "#fhir/ports";
import { ok, type Result } from "#kernel/result";
import { allRows, type RowJudge } from "#gateway/origin/pages";
import type { Asking, RowsRefusal } from "#gateway/origin/asking";

/**
 * Ids of a question. Servers cap a page at fifty rows or more: the number of pages depends on no row that is there.
 */
const idsMax = 50;
/** An id that no server gives: it is too short. */
export const nobodysId = "-";

/** The questions for resources, given as `Type/id`: each has one type and at most so many ids. */
export function questionsById(
  references: Iterable<string>,
  most = idsMax,
): readonly (readonly [type: string, ids: readonly string[]])[] {
  const byType = Map.groupBy(references, (reference) => reference.slice(0, reference.indexOf("/")));
  return [...byType].flatMap(([type, all]) => {
    const ids = all.map((reference) => reference.slice(type.length + 1));
    return Array.from(
      { length: Math.ceil(ids.length / most) },
      (_, index) => [type, ids.slice(index * most, (index + 1) * most)] as const,
    );
  });
}

/** The question for the resources of a type with these ids. */
export const questionFor = (type: string, ids: readonly string[], count = ids.length): FhirQuestion => ({
  path: type,
  query: `_id=${ids.join(",")}&_count=${count}`,
  posted: true,
});

/**
 * Reads the resources of a type with these ids. An origin that cannot search for them has none. A resource that is too
 * large for an answer counts as absent, alone: resources of one client hide no resource of a further client.
 *
 * @param faults the answers 500 that one of the resources may have caused: such a resource counts as absent, alone, after
 * its second 500.
 */
export async function rowsById(
  type: string,
  ids: readonly string[],
  origin: Asking,
  judge: RowJudge,
  faults = { left: 0 },
  isSecond = false,
): Promise<Result<undefined, RowsRefusal>> {
  const found = await allRows(questionFor(type, ids), ids.length, origin, judge);
  if (found.ok || isUnsupported(found.error)) return ok(undefined);
  const isFault =
    found.error.reason === "origin_refused" && found.error.status === 500 && (faults.left -= 1) >= 0;
  if (!isFault && found.error.reason !== "origin_answer_too_large") return found;
  if (ids.length === 1) {
    if (!isFault) return ok(undefined);
    // An origin that fails for nobody's id, too, fails for a moment: its resources are not to blame.
    return isSecond
      ? rowsById(type, [nobodysId], origin, judge)
      : rowsById(type, ids, origin, judge, faults, true);
  }
  const half = ids.length >> 1;
  const first = await rowsById(type, ids.slice(0, half), origin, judge, faults);
  return first.ok ? rowsById(type, ids.slice(half), origin, judge, faults) : first;
}

/** The origin has no search by id for this type. */
const isUnsupported = (refusal: RowsRefusal): boolean =>
  refusal.reason === "absent" ||
  refusal.reason === "posted_search_not_at_origin" ||
  refusal.reason === "parameter_not_at_origin" ||
  (refusal.reason === "origin_refused" &&
    ((refusal.status >= 400 && refusal.status < 500) || refusal.status === 501));
