import { err, type Result } from "#kernel/result";
import { unjudgedRow, type DisclosureRefusal } from "#phi/disclose";
import type { Bases } from "#phi/origin-urls";
import type { WriteGrant } from "#policy/evaluate-write";
import type { RowsRefusal } from "#gateway/origin/asking";
import type { OriginSession } from "#gateway/origin/origin-session";
import { needsOfStored, storedIn, storedRow, type Place, type StoredRow } from "./stored-row.ts";

/** The row of a write as the origin has it, if its writer may see and change the row. */
export async function reachedRow(
  write: Place,
  grant: WriteGrant,
  body: Uint8Array,
  bases: Bases,
  origin: OriginSession,
): Promise<Result<StoredRow, DisclosureRefusal | RowsRefusal>> {
  const stored = storedIn(body);
  if (!stored.ok) return stored;
  const needs = () => needsOfStored(stored.value, write, grant, bases);
  const known = await origin.know(() => origin.barrier.judge(write, needs, undefined));
  if (!known.ok) return known;
  const judge = () => storedRow(stored.value, write, grant, bases);
  return origin.barrier.judge(write, judge, err(unjudgedRow));
}
