import { textAt } from "#fhir/json";
import { err, ok, type Result } from "#kernel/result";
import { Discloser, type NamedBases } from "#phi/disclose";
import { referredAt } from "#phi/links";
import type { Grant, ReadExpectation, Witness } from "#policy/grant";
import { rowsOf, type Ask, type RowsRefusal } from "./all-rows.ts";

/**
 * What may be read of a resource by those of the policy's references through which rows that the reader may see lead to it, where it is
 * nobody's own (DESIGN §6, PATRQT). Asks the same of the origin whether it is there or not, one page for each reference that the policy
 * lists. What is somebody's needs no witness.
 */
export async function referredTo(
  grant: Grant,
  { witnesses, referredBy }: ReadExpectation,
  ask: Ask,
  names: Omit<NamedBases, "origin">,
): Promise<Result<Grant, RowsRefusal | { readonly reason: "row_outside_access" }>> {
  if (witnesses.length === 0) return ok(grant);
  const each = await Promise.all(witnesses.map(async (witness) => ({ witness, found: await hasWitness(witness, ask, names) })));
  const leading = each.flatMap(({ witness, found }) => (found.ok && found.value ? [witness.name] : []));
  if (leading.length > 0) return ok(referredBy(new Set(leading)));
  const failed = each.flatMap(({ found }) => (found.ok ? [] : [found]));
  return failed[0] ?? err({ reason: "row_outside_access" });
}

async function hasWitness(
  { search, paths, reference }: Witness,
  ask: Ask,
  names: Omit<NamedBases, "origin">,
): Promise<Result<boolean, RowsRefusal>> {
  const found = await rowsOf(search.ask, ask);
  // A server that does not know this parameter has no such row to show.
  if (!found.ok) return isUnknown(found.error) ? ok(false) : found;
  const { rows, base } = found.value;
  const discloser = new Discloser(search, { ...names, origin: base });
  return ok(
    rows.some(
      (row) => textAt(row, "resourceType") === search.expects.type && referredAt(row, paths, base).has(reference) && discloser.sees(row),
    ),
  );
}

const isUnknown = (refusal: RowsRefusal) =>
  refusal.reason === "absent" || (refusal.reason === "origin_refused" && refusal.status >= 400 && refusal.status < 500);
