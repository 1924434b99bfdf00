import { sign } from "node:crypto";
import type { Instant } from "#kernel/clock";
import { type Checkpoint, checkpointText, parseCheckpointText } from "#ledger/checkpoint";
import { checkpointOf, type Head } from "#ledger/commit";
import { sameBytes, utf8 } from "#ledger/bytes";
import { consistencyProof, verifyConsistency } from "#ledger/merkle";
import { noteOf } from "#ledger/signed-note";
import { type LedgerConfig, signerOf } from "./ledger-config.ts";
import type { LedgerStore } from "./ledger-store.ts";
import { hashAt } from "./ledger-view.ts";

const EVERY_MS = 1000;

export interface SignedCheckpoint {
  readonly size: number;
  readonly note: string;
}

/** Signs the checkpoints of one log: at most one a second, and never one that does not extend the one before (C2SP tlog-checkpoint). */
export class CheckpointSigner {
  readonly #config: LedgerConfig;
  readonly #store: LedgerStore;
  #last: { readonly checkpoint: Checkpoint; readonly note: string; readonly at: number } | undefined;

  /** Throws when the log is not what was once signed: a shard that was rolled back must not start. */
  constructor(config: LedgerConfig, store: LedgerStore, head: Head) {
    this.#config = config;
    this.#store = store;
    const signed = store.signed();
    if (signed === undefined) return;
    const checkpoint = parseCheckpointText(signed.text);
    if (!checkpoint.ok || !extendsCheckpoint(store, head, checkpoint.value))
      throw new Error("ledger: a checkpoint was signed that this log does not extend");
    this.#last = { checkpoint: checkpoint.value, note: signText(config, head.origin, signed.text), at: signed.at };
  }

  /** A checkpoint of this committed head, or the last one while it is less than a second old. */
  sign(head: Head, now: Instant): SignedCheckpoint {
    const last = this.#last;
    // A clock that was set back must not freeze the log, hence the absolute difference.
    if (last && (last.checkpoint.size === head.size || Math.abs(now - last.at) < EVERY_MS))
      return { size: last.checkpoint.size, note: last.note };
    if (last && !extendsCheckpoint(this.#store, head, last.checkpoint))
      throw new Error("ledger: a checkpoint was signed that this log does not extend");
    const checkpoint = checkpointOf(head);
    const text = checkpointText(checkpoint);
    // Stored before it is released: the output gate holds the answer back until this row is durable.
    if (head.size > 0) this.#store.setSigned({ size: head.size, text, at: now });
    const note = signText(this.#config, head.origin, text);
    this.#last = { checkpoint, note, at: now };
    return { size: head.size, note };
  }
}

/** Whether a log at this head has an earlier checkpoint's frame, leaves and root in its past. */
export function extendsCheckpoint(store: LedgerStore, head: Head, earlier: Checkpoint): boolean {
  if (earlier.origin !== head.origin || earlier.size > head.size) return false;
  if (earlier.size === 0) return true;
  const frame = store.frame(earlier.frame?.number ?? -1);
  if (frame === undefined || earlier.frame === undefined || frame.size !== earlier.size || !sameBytes(frame.hash, earlier.frame.hash))
    return false;
  const proof = consistencyProof(earlier.size, head.size, hashAt(store, head));
  return verifyConsistency(earlier.size, head.size, proof, earlier.root, checkpointOf(head).root);
}

/** A checkpoint text as a note signed by its log. */
export const signText = (config: LedgerConfig, origin: string, text: string): string =>
  noteOf(text, signerOf(config, origin), new Uint8Array(sign(null, utf8(text), config.checkpointKey.reveal())));
