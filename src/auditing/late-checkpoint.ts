import type { Result } from "#kernel/result";
import type { Finding } from "#ledger/verify";

/**
 * A checkpoint is signed at most once a second and may be cached for a second. A receipt, a proof or the root
 * log can be ahead of it by this much.
 */
export const CHECKPOINT_LAG_MS = 2200;

/**
 * The log's checkpoint does not include yet the leaf of a receipt, or a checkpoint in a proof or in the root
 * log.
 */
const isLate = ({ object, problem }: Finding): boolean =>
  object === "checkpoint" &&
  (problem.startsWith("does not reach the receipt") || problem.startsWith("is behind an earlier checkpoint"));

/**
 * Checks a log. If only its checkpoint was late, checks it once more: a running ledger's next checkpoint
 * includes the missing leaf.
 */
export async function onceMoreIfLate<T>(
  check: () => Promise<Result<T, Finding>>,
  wait: (milliseconds: number) => Promise<unknown>,
): Promise<Result<T, Finding>> {
  const checked = await check();
  if (checked.ok || !isLate(checked.error)) return checked;
  await wait(CHECKPOINT_LAG_MS);
  return check();
}
