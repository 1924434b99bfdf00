import type { AuditEvent } from "#audit/event";
import type { AuditSink, Counted, Recorded } from "#audit/ports";
import type { Clock } from "#kernel/clock";
import { chooseLog, type Sender } from "#ledger/shard-choice";
import { within } from "./within.ts";
import type { LedgerShard } from "./ledger-shard.ts";

const TRIES = 3;
const PATIENCE_MS = 5000;

/** The ledger over its Durable Objects: one call an append. A broken object is asked again, an overloaded one never. */
export function ledgerSink(shards: DurableObjectNamespace<LedgerShard>, count: number, clock: Clock): AuditSink {
  return {
    async record(events: readonly AuditEvent[], sender: Sender): Promise<Recorded | Counted> {
      const log = chooseLog(sender, count, clock());
      for (let attempt = 1; ; attempt++) {
        try {
          // A new stub each time: one whose object was reset stays broken. The same (id, step) is recorded once.
          const answer: Promise<Recorded | Counted> = shards.getByName(log).append(events);
          return await within(PATIENCE_MS, answer, "ledger: no answer in time");
        } catch (fault) {
          if (attempt === TRIES || !mayBeTriedAgain(fault)) throw fault;
        }
      }
    },
  };
}

/** What Durable Objects say of a fault (docs: durable-objects/best-practices/error-handling). */
function mayBeTriedAgain(fault: unknown): boolean {
  if (!(fault instanceof Error)) return false;
  const said = fault as Error & { readonly retryable?: boolean; readonly overloaded?: boolean; readonly durableObjectReset?: boolean }; // workerd sets them
  return said.overloaded !== true && (said.retryable === true || said.durableObjectReset === true);
}
