import type { JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import { ok, type Result } from "#kernel/result";
import { allRows, type Asking, type RowsRefusal } from "./all-rows.ts";

/** Ids of a question: a search by more ids would be long, and its answer large. */
const idsMax = 100;

/** The questions for resources by type and id: each has one type and at most a hundred ids. */
export const questionsById = (
  idsByType: Iterable<readonly [string, ReadonlySet<string>]>,
): readonly (readonly [string, readonly string[]])[] =>
  [...idsByType].flatMap(([type, ids]) => {
    const all = [...ids];
    return Array.from(
      { length: Math.ceil(all.length / idsMax) },
      (_, index) => [type, all.slice(index * idsMax, (index + 1) * idsMax)] as const,
    );
  });

/** Reads the resources of a type with these ids. An origin that cannot search for them has none. */
export async function rowsById(
  type: string,
  ids: readonly string[],
  origin: Asking,
  keeps: (row: JsonObject, base: FhirBase) => boolean,
): Promise<Result<undefined, RowsRefusal>> {
  const question = { path: type, query: `_id=${ids.join(",")}&_count=${ids.length}`, posted: true };
  const found = await allRows(question, ids.length, origin, keeps);
  return found.ok || isUnsupported(found.error) ? ok(undefined) : found;
}

/** The origin has no search by id for this type. */
const isUnsupported = (refusal: RowsRefusal): boolean =>
  refusal.reason === "absent" ||
  refusal.reason === "posted_search_not_at_origin" ||
  (refusal.reason === "origin_refused" && refusal.status >= 400 && refusal.status < 500);
