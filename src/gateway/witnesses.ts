import { textAt } from "#fhir/json";
import { ok, type Result } from "#kernel/result";
import { Discloser, type NamedBases } from "#phi/disclose";
import { referredAt } from "#phi/links";
import type { Witness } from "#policy/grant";
import { rowsOf, type Ask, type RowsRefusal } from "./all-rows.ts";

/**
 * Whether a row that its reader may see refers to a resource which is nobody's own (DESIGN §6, PATRQT). Asks the same of the origin whether
 * it is there or not, one page for each reference that the policy lists. Without witnesses nothing needs one.
 */
export async function isWitnessed(
  witnesses: readonly Witness[],
  ask: Ask,
  names: Omit<NamedBases, "origin">,
): Promise<Result<boolean, RowsRefusal>> {
  if (witnesses.length === 0) return ok(true);
  const each = await Promise.all(witnesses.map((witness) => hasWitness(witness, ask, names)));
  if (each.some((one) => one.ok && one.value)) return ok(true);
  return each.find((one) => !one.ok) ?? ok(false);
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
