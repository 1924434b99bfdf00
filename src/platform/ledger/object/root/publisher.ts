import { instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import type { Head } from "#ledger/commit";
import { consistencyProof } from "#ledger/tlog/merkle";
import type { LedgerObjects } from "#platform/ledger/object/log/objects";
import type { WitnessPlace } from "./config.ts";
import type { Published, RootRows } from "./rows.ts";
import { type WitnessReply, askWitness } from "./witnesses.ts";
import type { CheckpointSigner, SignedCheckpoint } from "#platform/ledger/object/log/signer";
import { log } from "#platform/log";

// While a witness does not answer, the last fully cosigned checkpoint stays published for this long. After
// that, a checkpoint without that witness is published.
const HOLD_MS = 300_000;

/**
 * Publishes the root log's checkpoint: signed, cosigned by every witness that answers, and never smaller
 * than the checkpoint before.
 */
export class RootPublisher {
  readonly #objects: LedgerObjects;
  readonly #rows: RootRows;
  readonly #signer: CheckpointSigner;
  readonly #witnesses: readonly WitnessPlace[];
  readonly #head: () => Head;
  #publishing: Promise<Published> | undefined;

  constructor(
    objects: LedgerObjects,
    rows: RootRows,
    signer: CheckpointSigner,
    witnesses: readonly WitnessPlace[],
    head: () => Head,
  ) {
    this.#objects = objects;
    this.#rows = rows;
    this.#signer = signer;
    this.#witnesses = witnesses;
    this.#head = head;
  }

  /**
   * Runs one round at a time and returns the published checkpoint. `whole` describes the newest checkpoint,
   * even while an older one stays published. Never throws because of a witness.
   */
  publish(): Promise<Published> {
    this.#publishing ??= this.#round().finally(() => {
      this.#publishing = undefined;
    });
    return this.#publishing;
  }

  async #round(): Promise<Published> {
    const now = instant(Date.now());
    const shown = this.#rows.published();
    const isNewest =
      shown !== undefined &&
      shown.size === this.#head().size &&
      shown.whole &&
      this.#isByAll(shown.note) &&
      this.#signer.isByEachKey(shown.note);
    if (isNewest) return shown;
    const signed = this.#signer.sign(this.#head(), now);
    const lines = await Promise.all(this.#witnesses.map((witness) => this.#ask(witness, signed)));
    const cosignatures = lines.flatMap((line) => line ?? []);
    const whole = cosignatures.length === lines.length && signed.size === this.#head().size;
    const next = {
      size: signed.size,
      note: signed.note + cosignatures.join(""),
      whole: cosignatures.length === lines.length,
      at: now,
    };
    const keepShown = shown !== undefined && shown.whole && !next.whole && Math.abs(now - shown.at) < HOLD_MS;
    if (!keepShown) this.#rows.publish(next);
    return { ...(keepShown ? shown : next), whole };
  }

  /** A witness that was added to the configuration has not cosigned the published checkpoint. */
  #isByAll(note: string): boolean {
    return this.#witnesses.every(({ verifier }) => note.includes(`\n— ${verifier.name} `));
  }

  /** The witness's cosignature line, or undefined when there is none. */
  async #ask(witness: WitnessPlace, signed: SignedCheckpoint): Promise<string | undefined> {
    const { name } = witness.verifier;
    try {
      let reply = await this.#askFrom(witness, signed, this.#rows.cosigned(name));
      // Trust the witness about the size it cosigned last: it cosigned a checkpoint whose answer was lost,
      // or does not know this log yet.
      if (reply.kind === "elsewhere" && reply.size <= signed.size)
        reply = await this.#askFrom(witness, signed, reply.size);
      if (reply.kind === "cosigned") {
        this.#rows.setCosigned(name, signed.size);
        return reply.line;
      }
      // The witness's size is larger than this log: the log was rolled back, or the witness is wrong. Its
      // number is not signed, so it stops nothing. But the witness cosigns nothing, and every verifier sees
      // that.
      log({
        event: "ledger_witness_ahead",
        witness: name,
        size: signed.size,
        witnessSize: reply.size,
      });
      return undefined;
    } catch {
      log({ event: "ledger_witness_failed", witness: name, size: signed.size });
      return undefined;
    }
  }

  async #askFrom(
    witness: WitnessPlace,
    { size, note }: SignedCheckpoint,
    oldSize: number,
  ): Promise<WitnessReply> {
    const grown = oldSize > 0 && oldSize < size;
    const proof = grown
      ? consistencyProof(oldSize, size, await this.#objects.hashesAbout(this.#head(), [oldSize, size]))
      : [];
    return askWitness(witness, { oldSize, proof, checkpoint: utf8(note) });
  }
}
