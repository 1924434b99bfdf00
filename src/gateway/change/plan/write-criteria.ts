import { readCriteria, type InteractionRefusal } from "#fhir/interaction";
import type { ResourceType } from "#fhir/r4/elements";
import { meets, undecidable } from "#fhir/search/criteria";
import { readQuery, type QueryRefusal } from "#fhir/search/query";
import { isId, type FhirBase } from "#fhir/r4/reference";
import { textAt, type JsonObject } from "#fhir/json/json";
import type { Search } from "#fhir/search/search";
import { err, ok, type Result } from "#kernel/result";
import type { DecidingRow } from "#phi/additional-patients";
import { Discloser } from "#phi/disclose";
import { covers } from "#phi/labelled-parts";
import { factsFor } from "#policy/facts";
import type { PolicyRefusal } from "#policy/grant";
import { allRows } from "#gateway/origin/all-rows";
import type { RelateRefusal, RowsRefusal } from "#gateway/origin/asking";
import { mayHideStrangers } from "#policy/search/searched-unnamed";
import { authorizeRows, type Permission } from "#gateway/admission/authorize";
import { nameAsked } from "#gateway/admission/name-asked";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { NamingRefusal } from "#gateway/origin/named-patients";

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

/** A row with its visible part. */
export type FoundRow = DecidingRow & { readonly shown: JsonObject };

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
): Promise<Result<FoundRow | undefined, CriteriaRefusal | QueryRefusal | InteractionRefusal>> {
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
): Promise<Result<FoundRow | undefined, CriteriaRefusal>> {
  const parameter = undecidable(criteria);
  if (parameter !== undefined) return err({ reason: "criteria_not_supported", parameter });
  const naming = await nameAsked(permission, { kind: "search", posted: true, ...criteria }, origin);
  if (!naming.ok) return naming;
  const grant = authorizeRows(permission, { posted: true, ...criteria });
  if (!grant.ok) return grant;
  const counted: { readonly row: JsonObject; readonly base: FhirBase }[] = [];
  const needs = (row: JsonObject, base: FhirBase) => grant.value.needsOf(factsFor(grant.value, row), base);
  const keeps = (row: JsonObject, base: FhirBase) => {
    // the number of hidden rows must not decide
    const isVisible = covers(grant.value, row, base);
    if (isVisible) counted.push({ row, base });
    return isVisible;
  };
  origin.beginQuestion();
  const found = await allRows(grant.value.ask, rowsMax, origin, { needs, keeps });
  const mayHide = mayHideStrangers({ kind: "search", posted: true, ...criteria });
  const covered = mayHide ? await origin.coverRelation() : undefined;
  if (covered?.ok === false) return covered;
  if (!found.ok) {
    for (const { row, base } of counted) {
      const seen = new Discloser(grant.value, origin.basesAt(base)).seen(row);
      if (seen !== undefined) origin.names.concerned.decide(seen);
    }
    return found;
  }
  const { rows, base, bytes } = found.value;
  const discloser = new Discloser(grant.value, origin.basesAt(base));
  const matches = new Map<string, FoundRow>();
  for (const row of rows) {
    const seen = textAt(row, "resourceType") === criteria.type ? discloser.seen(row) : undefined;
    if (seen === undefined || !isId(seen.id)) continue;
    // Only the visible part is compared: a hidden value finds nothing.
    const isMatch = () =>
      meets(seen.shown, criteria.parameters, base) || meets(seen.shown, criteria.parameters, origin.base);
    if (!origin.barrier.judge(row, isMatch, false)) continue;
    matches.set(seen.id, seen);
    if (!origin.names.concerned.decide(seen)) return err({ reason: "too_many_rows" });
  }
  origin.held.giveTrees(bytes);
  const [only, ...others] = matches.values();
  return others.length > 0 ? err({ reason: "criteria_ambiguous" }) : ok(only);
}
