import type { Instant } from "#kernel/clock";
import { chooseLog } from "#ledger/shard-choice";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import { alive, takesRecords } from "./readiness.ts";

// No certificate has this thumbprint: the list of operators is read, and no operator is found.
const unusedThumbprint = "A".repeat(43);

/**
 * Asks the dependencies of the operators' worker for a sign of life: `control` with its registry, and a log.
 * Never throws: a fault is `false`.
 */
export async function opsReadiness(
  roll: { find(x5t: string): Promise<unknown> },
  shards: DurableObjectNamespace<LedgerShard>,
  count: number,
  at: Instant,
): Promise<Readonly<Record<"control" | "ledger", boolean>>> {
  const log = chooseLog({ kind: "address", address: "" }, count, at);
  const [control, ledger] = await Promise.all([
    alive(roll.find(unusedThumbprint)),
    alive(takesRecords(shards, log)),
  ]);
  return { control, ledger };
}
