import type { PagePlace } from "#fhir/ports";
import { err, ok, type Result } from "#kernel/result";
import type { Linked } from "#phi/included";
import type { SearchGrant } from "#policy/grant";
import { countMax } from "#fhir/search/page-count";
import type { OriginSession } from "#gateway/origin/origin-session";
import { fillParts, type PartsRefusal } from "./fill-parts.ts";
import type { Resolved } from "./resolve-joins.ts";

// Pages of at most a thousand rows and 1 MiB: a longer list is paged and counted by its reader.
const pagesMax = 5;

/**
 * Counts the visible rows of a search, each judged and cut as for a page: the origin's own count includes
 * hidden rows. Every counted row decides the answer, so the record names its patients, and the patients to
 * whose rows the search is held.
 */
export async function countRows(
  grant: SearchGrant,
  patients: ReadonlySet<string>,
  origin: OriginSession,
  resolved: Resolved,
): Promise<Result<number, PartsRefusal | { readonly reason: "too_many_rows" }>> {
  for (const patient of patients) origin.names.concerned.name(patient);
  const whole = unordered(grant);
  let [rows, place]: [number, PagePlace | undefined] = [0, undefined];
  for (let pages = 1; pages <= pagesMax; pages += 1) {
    const filled = await fillParts(whole, place, origin, resolved);
    if (!filled.ok) return filled;
    const { page, next } = filled.value;
    rows += page.rows.length;
    for (const { released } of page.rows)
      if (!isAbout(released, patients) && !origin.names.concerned.decide(released)) return tooMany;
    if (next === undefined) return resolved.byPage?.hasLeftOut === true ? tooMany : ok(rows);
    place = next;
  }
  return tooMany;
}

const tooMany = err({ reason: "too_many_rows" } as const);

/** A row that concerns no further patient than these, who are on record with the question. */
const isAbout = ({ patients, room, unnamed }: Linked["released"], named: ReadonlySet<string>): boolean =>
  room === 0 && !unnamed && [...patients].every((patient) => named.has(patient));

/** The same rows on the longest pages; their order does not count. */
function unordered(grant: SearchGrant): SearchGrant {
  const { expects } = grant;
  const longest = (part: SearchGrant["expects"]): SearchGrant["expects"] => ({
    ...part,
    count: countMax,
    sort: [],
    askJoined: (joined) => part.askJoined(joined, countMax),
    further: part.further.map((one) => ({ ...one, expects: longest(one.expects) })),
  });
  return { ...grant, expects: longest(expects) };
}
