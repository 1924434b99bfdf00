import type { Instant } from "#kernel/clock";
import type { Home } from "#kernel/region";
import type { Sender } from "#ledger/shard-choice";
import type { AuditEvent } from "./event.ts";

/** The position of an append's first record; it is durable. */
export interface Recorded {
  readonly log: string;
  readonly index: number; // of the first record
  readonly count: number; // records of this append, consecutive
  readonly frame: number;
  readonly leafHash: Uint8Array;
  readonly frameHash: Uint8Array;
}

/** An anonymous refusal beyond the cap: counted exactly and durably, without its own record or receipt. */
export type Counted = "counted";

/** A worker that records its configuration: a single log of a half-year takes it, or its stand-in. */
export interface StartedWorker {
  readonly kind: "worker";
}

/**
 * The ledger as the public surfaces see it. When `record` resolves, the events are durable and in a single
 * frame; when it throws, nothing may be released (P1). A repeated (id, step) returns the stored position, and
 * so does a configuration that is on record already, recently and unchanged.
 */
export interface AuditSink {
  record(events: readonly AuditEvent[], sender: Sender | StartedWorker): Promise<Recorded | Counted>;
}

/**
 * The log lacks a definition that the events name, and its content did not come along: nothing was recorded.
 */
export type DefinitionMissing = "definition missing";

/**
 * The caller chose the log of a proof's key by other regions or another number of shards than the ledger: nothing
 * was recorded. Two logs could take the proof otherwise.
 */
export type LayoutDiffers = "layout differs";

/**
 * The log takes no records, and recorded nothing of this append. Only this answer lets a different log take the
 * append: after a fault or a time-out the append may be on record.
 */
export type LogRefuses = "refused";

/** A DPoP proof as the ledger knows it: thumbprint of its key, `jti` and `iat`. */
export interface ProofUse {
  readonly jkt: string;
  readonly id: string;
  readonly made: Instant;
  /** The client whose key it is, and its home. */
  readonly client?: string | undefined;
  readonly home?: Home | undefined;
}

/** Proves to third parties that a record exists. */
export interface RecordProver {
  /**
   * A C2SP tlog-proof that the first record is in its log, for holders of the log's public key. Takes up to
   * 2.7 s: a checkpoint is signed at most once a second. Undefined if no proof is available in that time; the
   * record stands all the same. Never throws.
   */
  prove(at: Recorded): Promise<Uint8Array | undefined>;
}

/** A second request with this proof, or possibly one: nothing was recorded, and nothing may be released. */
export type Replayed = "replayed";

/** The ledger for public surfaces that take DPoP proofs (RFC 9449 §11.1). */
export interface ProofSink extends AuditSink {
  /**
   * Like `record`, for the first append of a request: it also uses up the request's proof in the same commit,
   * in the log of the proof's key. If several requests present the same proof, at any places at once, only
   * one is recorded. A proof that is too old to be remembered is refused alike.
   */
  recordOnce(events: readonly AuditEvent[], proof: ProofUse): Promise<Recorded | Replayed>;
}
