import type { Instant } from "#kernel/clock";
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

/**
 * An anonymous refusal beyond the cap: counted exactly and durably, without a record or a receipt of its own.
 */
export type Counted = "counted";

/**
 * The ledger as the doors see it. When `record` resolves, the events are durable and in one frame; when it
 * throws, nothing may be released (P1). The same (id, step) again answers the stored position.
 */
export interface AuditSink {
  record(events: readonly AuditEvent[], sender: Sender): Promise<Recorded | Counted>;
}

/** What a worker started with is on record already, of late and unchanged: it was not recorded once more. */
export type Known = "known";

/** Takes down what a worker started with. */
export interface ConfigurationSink {
  /** Resolves when it is on record, just now or of late; when it throws, nothing may be released under it. */
  recordConfiguration(event: AuditEvent): Promise<void>;
}

/** A DPoP proof as the ledger knows it: thumbprint of its key, `jti` and `iat`. */
export interface ProofUse {
  readonly jkt: string;
  readonly id: string;
  readonly made: Instant;
}

/** Shows to others what was recorded. */
export interface RecordProver {
  /**
   * A C2SP tlog-proof that the first record is in its log, for whoever has the log's public key. Takes up to
   * 2.7 s: a checkpoint is signed at most once a second. Undefined when none can be had in that time; the
   * record stands all the same. Never throws.
   */
  prove(at: Recorded): Promise<Uint8Array | undefined>;
}

/**
 * Another request came with this proof before, or may have: nothing was recorded, and nothing may be
 * released.
 */
export type Replayed = "replayed";

/** The ledger as doors see it that take DPoP proofs (RFC 9449 §11.1). */
export interface ProofSink extends AuditSink {
  /**
   * Like `record`, for the first append of a request: uses its proof up in the same commit, in the log of the
   * proof's key. Of all requests with one proof, wherever they arrive at once, one is recorded. A proof that
   * was made too long ago to be remembered is refused alike.
   */
  recordOnce(events: readonly AuditEvent[], proof: ProofUse): Promise<Recorded | Replayed>;
}
