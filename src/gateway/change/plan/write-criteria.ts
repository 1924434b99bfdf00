import { readCriteria, type InteractionRefusal } from "#fhir/interaction";
import type { ResourceType } from "#fhir/r4/elements";
import { meets, undecidable } from "#fhir/search/criteria";
import { readQuery, type QueryRefusal } from "#fhir/search/query";
import { isId } from "#fhir/r4/reference";
import type { Search } from "#fhir/search/search";
import { err, ok, type Result } from "#kernel/result";
import type { SeenRow } from "#phi/disclose";
import type { PolicyRefusal } from "#policy/grant";
import { allRows } from "#gateway/origin/pages";
import type { RelateRefusal, RowsRefusal } from "#gateway/origin/asking";
import { mayHideStrangers } from "#policy/search/searched-unnamed";
import { authorizeRows, type Permission } from "#gateway/admission/authorize";
import { nameAsked } from "#gateway/admission/name-asked";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { NamingRefusal } from "#gateway/origin/named-patients";
import { seenRows } from "#gateway/origin/seen-rows";

export type CriteriaRefusal =
  | PolicyRefusal
  | RowsRefusal
  | NamingRefusal
  | RelateRefusal
  | { readonly reason: "criteria_not_supported"; readonly parameter: string }
  /** Several visible rows meet the criteria (FHIR R4 http §3.1.0.5.1). */
  | { readonly reason: "criteria_ambiguous" };

// Criteria that find more rows do not name a resource.
const rowsMax = 1_000;

/** As {@link findRow}, but returns only the id. */
export async function findByCriteria(
  criteria: Search,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<string | undefined, CriteriaRefusal>> {
  const found = await findRow(criteria, permission, origin);
  return found.ok ? ok(found.value?.id) : found;
}

/** As {@link findRow}, for the text of a search. */
export async function findByQuery(
  type: ResourceType,
  query: string,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<SeenRow | undefined, CriteriaRefusal | QueryRefusal | InteractionRefusal>> {
  const pairs = readQuery(query);
  if (!pairs.ok) return pairs;
  const criteria = readCriteria(type, pairs.value, origin.base);
  return criteria.ok ? findRow(criteria.value, permission, origin) : criteria;
}

/**
 * Finds the resource that a conditional form means, among the rows that its writer may search for and see.
 * Each row is judged by itself, so a hidden row neither counts nor shows. The origin never gets the
 * condition itself, because it would count hidden rows. Each row that meets the criteria decides the answer;
 * if there are too many rows, each visible row does.
 *
 * @returns `undefined`: no row meets the criteria.
 */
export async function findRow(
  criteria: Search,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<SeenRow | undefined, CriteriaRefusal>> {
  const parameter = undecidable(criteria);
  if (parameter !== undefined) return err({ reason: "criteria_not_supported", parameter });
  const naming = await nameAsked(permission, { kind: "search", posted: true, ...criteria }, origin);
  if (!naming.ok) return naming;
  const grant = authorizeRows(permission, { posted: true, ...criteria });
  if (!grant.ok) return grant;
  const visible: SeenRow[] = []; // the number of hidden rows must not decide
  const judge = seenRows(grant.value, origin, { take: (row) => visible.push(row) > 0 });
  origin.beginQuestion();
  let isWhole = true;
  const unfollowed = () => {
    isWhole = false;
  };
  const read = await allRows(grant.value.ask, rowsMax, origin, { ...judge, unfollowed });
  // A row that is not judged may meet the criteria: a conditional create would then make it twice.
  const found = isWhole || !read.ok ? read : err({ reason: "too_many_rows" } as const);
  const mayHide = mayHideStrangers({ kind: "search", posted: true, ...criteria });
  const covered = mayHide ? await origin.coverRelation() : undefined;
  if (covered?.ok === false) return covered;
  if (!found.ok) {
    for (const row of visible) origin.names.concerned.decide(row);
    return found;
  }
  const { base, bytes } = found.value;
  const matches = new Map<string, SeenRow>();
  for (const row of visible) {
    // Only the visible part is compared: a hidden value finds nothing.
    const isMatch = () =>
      meets(row.shown, criteria.parameters, base) || meets(row.shown, criteria.parameters, origin.base);
    if (!isId(row.id) || !origin.barrier.judge(row, isMatch, false)) continue;
    matches.set(row.id, row);
    if (!origin.names.concerned.decide(row)) return err({ reason: "too_many_rows" });
  }
  origin.held.giveTrees(bytes);
  const [only, ...others] = matches.values();
  return others.length > 0 ? err({ reason: "criteria_ambiguous" }) : ok(only);
}
