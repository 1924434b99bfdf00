import type { Instant } from "#kernel/clock";
import type { LedgerLayout } from "#ledger/layout";
import { logsFor } from "#ledger/shard-choice";
import { alive, anyTakesRecords, type StatusOf } from "./readiness.ts";

// No certificate has this thumbprint: the list of operators is read, and no operator is found.
const unusedThumbprint = "A".repeat(43);

/**
 * Asks the dependencies of the operators' worker for a sign of life: `control` with its registry, and a log.
 * Never throws: a fault is `false`.
 */
export async function opsReadiness(
  roll: { find(x5t: string): Promise<unknown> },
  statusOf: StatusOf,
  layout: LedgerLayout,
  at: Instant,
): Promise<Readonly<Record<"control" | "ledger", boolean>>> {
  const logs = logsFor({ kind: "address", address: "" }, layout, at);
  const [control, ledger] = await Promise.all([
    alive(() => roll.find(unusedThumbprint)),
    anyTakesRecords(statusOf, logs),
  ]);
  return { control, ledger };
}
