import type { Sender } from "#ledger/shard-choice";
import type { AuditEvent } from "./event.ts";

/** Where the first record of an append stands, durably. */
export interface Recorded {
  readonly log: string;
  readonly index: number; // of the first record
  readonly count: number; // records of this append, one after another
  readonly frame: number;
  readonly leafHash: Uint8Array;
  readonly frameHash: Uint8Array;
}

/** An anonymous refusal beyond the cap: counted exactly and durably, without a record or a receipt of its own. */
export type Counted = "counted";

/**
 * The ledger as the doors see it. When `record` resolves, the events are durable and in one frame; when it throws, nothing may be
 * released (P1). The same (id, step) again answers the stored position.
 */
export interface AuditSink {
  record(events: readonly AuditEvent[], sender: Sender): Promise<Recorded | Counted>;
}
