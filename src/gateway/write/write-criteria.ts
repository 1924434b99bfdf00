import { meets, undecidable } from "#fhir/search/criteria";
import { isId, type FhirBase } from "#fhir/r4/reference";
import { textAt, type JsonObject } from "#fhir/json/json";
import { namedBy } from "#fhir/patients-named";
import type { Search } from "#fhir/search/search";
import { err, ok, type Result } from "#kernel/result";
import type { DecidingRow } from "#phi/additional-patients";
import { Discloser } from "#phi/disclose";
import { evaluate } from "#policy/evaluate";
import type { PolicyRefusal } from "#policy/grant";
import { allRows, type RowsRefusal } from "#gateway/origin/all-rows";
import type { Permission } from "#gateway/admission/permit";
import type { NamingRefusal, OriginSession } from "#gateway/origin/origin-session";

export type CriteriaRefusal =
  | PolicyRefusal
  | RowsRefusal
  | NamingRefusal
  | { readonly reason: "criteria_not_supported"; readonly parameter: string }
  /** More than one row that may be seen (FHIR R4 http §3.1.0.5.1). */
  | { readonly reason: "criteria_ambiguous" };

// Criteria that find more name no resource.
const rowsMax = 1_000;

/** As {@link findRow}, by its id alone. */
export async function findByCriteria(
  criteria: Search,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<string | undefined, CriteriaRefusal>> {
  const found = await findRow(criteria, permission, origin);
  return found.ok ? ok(found.value?.id) : found;
}

/**
 * The one resource that a conditional form means: among what its writer may search for and see, judged row by row, so that a hidden row
 * neither counts nor shows. The origin is never given the condition itself, since it would count hidden rows. Each row that meets the criteria
 * decides what is answered, and so does each that may be seen where there are too many.
 *
 * @returns `undefined`: there is none.
 */
export async function findRow(
  criteria: Search,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<DecidingRow | undefined, CriteriaRefusal>> {
  const { policy, access } = permission;
  const parameter = undecidable(criteria);
  if (parameter !== undefined) return err({ reason: "criteria_not_supported", parameter });
  const naming = origin.nameAsked(namedBy(criteria), access);
  if (!naming.ok) return naming;
  const grant = evaluate(policy, access, { kind: "search", posted: true, ...criteria });
  if (!grant.ok) return grant;
  const counted: { readonly row: JsonObject; readonly base: FhirBase }[] = [];
  const counts = (row: JsonObject, base: FhirBase) => {
    const isVisible = grant.value.viewOf(row, base) !== undefined; // how many are hidden must not decide
    if (isVisible) counted.push({ row, base });
    return isVisible;
  };
  const found = await allRows(grant.value.ask, rowsMax, origin, counts);
  if (!found.ok) {
    for (const { row, base } of counted) {
      const seen = new Discloser(grant.value, origin.basesAt(base)).seen(row);
      if (seen !== undefined) origin.concerned.decide(seen);
    }
    return found;
  }
  const { rows, base, bytes } = found.value;
  const discloser = new Discloser(grant.value, origin.basesAt(base));
  const matches = new Map<string, DecidingRow>();
  for (const row of rows) {
    const seen = textAt(row, "resourceType") === criteria.type ? discloser.seen(row) : undefined;
    if (seen === undefined || !isId(seen.id)) continue;
    // By what may be seen of it: a value that is hidden finds nothing.
    const isMatch =
      meets(seen.shown, criteria.parameters, base) || meets(seen.shown, criteria.parameters, origin.base);
    if (!isMatch) continue;
    matches.set(seen.id, seen);
    if (!origin.concerned.decide(seen)) return err({ reason: "too_many_rows" });
  }
  origin.held.giveTrees(bytes);
  const [only, ...others] = matches.values();
  return others.length > 0 ? err({ reason: "criteria_ambiguous" }) : ok(only);
}
