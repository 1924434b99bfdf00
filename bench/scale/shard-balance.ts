import { createHash } from "node:crypto";
import { instant } from "#kernel/clock";
import { layoutWithoutRegions } from "#ledger/layout";
import { chooseLog } from "#ledger/shard-choice";

/**
 * The imbalance of a ledger's shards: the busiest shard's share of the requests as a multiple of the mean.
 */
export interface Balance {
  readonly peak: number;
  /** The busiest client's share of all requests. */
  readonly largestClient: number;
}

// The number of requests placed for a client: enough for a large client to load all of its shards about
// equally.
const requestsOf = (rank: number): number => (rank < 50 ? 256 : 8);
const at = instant(Date.UTC(2026, 10, 26));

/** Places the requests of clients by the ledger's own rule. The clients' shares fall as 1/rank^`skew`. */
export function simulateBalance(clients: number, skew: number, shards: number, spread: number): Balance {
  const weights = Array.from({ length: clients }, (_, rank) => (rank + 1) ** -skew);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const layout = layoutWithoutRegions(shards);
  const loads = new Map<string, number>();
  for (const [number, weight] of weights.entries()) {
    const requests = requestsOf(number);
    for (let request = 0; request < requests; request++) {
      // turns are random hex digits; a hash stands for them, so that each run has the same
      const turn = createHash("sha256").update(`request\0${number}-${request}`).digest("hex");
      const log = chooseLog({ kind: "client", client: `client-${number}`, turn, spread }, layout, at);
      loads.set(log, (loads.get(log) ?? 0) + weight / requests / total);
    }
  }
  return { peak: Math.max(...loads.values()) * shards, largestClient: (weights[0] ?? 0) / total };
}
