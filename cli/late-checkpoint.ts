import { setTimeout as wait } from "node:timers/promises";
import type { Result } from "#kernel/result";
import type { Finding } from "#ledger/verify";

/** A checkpoint is signed at most once a second and may be cached for one: a receipt, a proof or the root log can be this much ahead of it. */
export const CHECKPOINT_LAG_MS = 2200;

/** A log's checkpoint that has not reached a receipt's leaf, or a checkpoint that a proof or the root log has. */
const isLate = ({ object, problem }: Finding): boolean =>
  object === "checkpoint" &&
  (problem.startsWith("does not reach the receipt") || problem.startsWith("is behind an earlier checkpoint"));

/** Checks a log, and once more where only its checkpoint was late: a running ledger's next checkpoint has what this one lacks. */
export async function onceMoreIfLate<T>(
  check: () => Promise<Result<T, Finding>>,
): Promise<Result<T, Finding>> {
  const checked = await check();
  if (checked.ok || !isLate(checked.error)) return checked;
  await wait(CHECKPOINT_LAG_MS);
  return check();
}
