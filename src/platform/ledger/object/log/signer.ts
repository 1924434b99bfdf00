import { sign } from "node:crypto";
import type { Instant } from "#kernel/clock";
import { SIGNED_EVERY_MS } from "#ledger/signing-times";
import { type Checkpoint, checkpointText, parseCheckpointText } from "#ledger/tlog/checkpoint";
import { checkpointOf, hasInPast, type Head } from "#ledger/commit";
import { utf8 } from "#kernel/encoded";
import { keyId, noteOf, readNote, signatureLine } from "#ledger/tlog/signed-note";
import { type LedgerConfig, signerOf } from "#platform/ledger/config";
import type { LedgerStore } from "./store.ts";
import { hashAt } from "./stored-log.ts";

export interface SignedCheckpoint {
  readonly size: number;
  readonly note: string;
}

/**
 * Signs the checkpoints of a log: at most one a second, and each extends the checkpoint before (C2SP
 * tlog-checkpoint).
 */
export class CheckpointSigner {
  readonly #config: LedgerConfig;
  readonly #store: LedgerStore;
  #last: { readonly checkpoint: Checkpoint; readonly note: string; readonly at: number } | undefined;

  /** Throws when the log contradicts an earlier signature: a shard that was rolled back must not start. */
  constructor(config: LedgerConfig, store: LedgerStore, head: Head) {
    this.#config = config;
    this.#store = store;
    const signed = store.signed();
    if (signed === undefined) return;
    const checkpoint = parseCheckpointText(signed.text);
    if (!checkpoint.ok || !extendsSigned(store, head, checkpoint.value))
      throw new Error("ledger: a checkpoint was signed that this log does not extend");
    this.#last = {
      checkpoint: checkpoint.value,
      note: signForReaders(config, head.origin, signed.text),
      at: signed.at,
    };
  }

  /** True when each key that signs now has signed this note: a key may be new since. */
  isByEachKey(note: string): boolean {
    const read = readNote(utf8(note));
    const { checkpointPublicKey, furtherCheckpointKeys } = this.#config;
    const signing = [
      checkpointPublicKey,
      ...furtherCheckpointKeys.flatMap(({ key, publicKey }) => (key === undefined ? [] : [publicKey])),
    ];
    return (
      read.ok &&
      signing.every((publicKey) =>
        read.value.signatures.some(({ name, id }) => id === keyId(name, publicKey)),
      )
    );
  }

  /** The size of the last signed checkpoint; undefined before the first. */
  get signedSize(): number | undefined {
    return this.#last?.checkpoint.size;
  }

  /** A checkpoint of this committed head, or the last checkpoint while it is less than a second old. */
  sign(head: Head, now: Instant): SignedCheckpoint {
    const last = this.#last;
    // A clock that was set back must not freeze the log, hence the absolute difference.
    if (last && (last.checkpoint.size === head.size || Math.abs(now - last.at) < SIGNED_EVERY_MS))
      return { size: last.checkpoint.size, note: last.note };
    if (last && !extendsSigned(this.#store, head, last.checkpoint))
      throw new Error("ledger: a checkpoint was signed that this log does not extend");
    const checkpoint = checkpointOf(head);
    const text = checkpointText(checkpoint);
    // Stored before it is released: the output gate holds the answer back until this row is durable.
    if (head.size > 0) this.#store.setSigned({ size: head.size, text, at: now });
    const note = signForReaders(this.#config, head.origin, text);
    this.#last = { checkpoint, note, at: now };
    return { size: head.size, note };
  }
}

/**
 * Like `hasInPast`, for checkpoints whose frames have rows here: the last signed frame is never deleted
 * before a newer checkpoint is signed (LedgerPruner).
 */
const extendsSigned = (store: LedgerStore, head: Head, signed: Checkpoint): boolean =>
  hasInPast(head, signed, store.frame(signed.frame?.number ?? -1), hashAt(store, head));

/**
 * A checkpoint text as a note for readers: with the signature of each key of the log, so that a verifier with
 * the old or the next key accepts it while the key is replaced.
 */
export const signForReaders = (config: LedgerConfig, origin: string, text: string): string =>
  config.furtherCheckpointKeys.reduce(
    (note, { key, publicKey }) =>
      key === undefined
        ? note
        : note +
          signatureLine(
            { name: origin, id: keyId(origin, publicKey) },
            new Uint8Array(sign(null, utf8(text), key.reveal())),
          ),
    signText(config, origin, text),
  );

/** A checkpoint text as a note with its log's signature alone, as a leaf of the root log has it. */
export const signText = (config: LedgerConfig, origin: string, text: string): string =>
  noteOf(
    text,
    signerOf(config, origin),
    new Uint8Array(sign(null, utf8(text), config.checkpointKey.reveal())),
  );
