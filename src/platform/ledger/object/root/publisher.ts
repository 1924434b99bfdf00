import { instant } from "#kernel/clock";
import { utf8 } from "#ledger/bytes/bytes";
import type { Head } from "#ledger/commit";
import { consistencyProof } from "#ledger/tlog/merkle";
import type { LedgerObjects } from "#platform/ledger/object/log/objects";
import type { WitnessPlace } from "./config.ts";
import type { Published, RootRows } from "./rows.ts";
import { type WitnessReply, askWitness } from "./witnesses.ts";
import type { CheckpointSigner, SignedCheckpoint } from "#platform/ledger/object/log/signer";

// While a witness does not answer, the last checkpoint that all of them cosigned stays shown for this long; then one without it is.
const HOLD_MS = 300_000;

/** Publishes the root log's checkpoint: signed, cosigned by every witness that answers, and never one behind the one before. */
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

  /** One round at a time. What is shown after it; `whole` is about the newest checkpoint, also while an older one stays shown. Never throws for a witness. */
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
      shown !== undefined && shown.size === this.#head().size && shown.whole && this.#isByAll(shown.note);
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

  /** A witness that was added to the configuration has not cosigned what is shown. */
  #isByAll(note: string): boolean {
    return this.#witnesses.every(({ verifier }) => note.includes(`\n— ${verifier.name} `));
  }

  /** The witness's cosignature line, or undefined when it could not be had. */
  async #ask(witness: WitnessPlace, signed: SignedCheckpoint): Promise<string | undefined> {
    const { name } = witness.verifier;
    try {
      let asked = await this.#askFrom(witness, signed, this.#rows.cosigned(name));
      // Its word for what it cosigned last: it got a checkpoint whose answer was lost, or knows nothing of this log yet.
      if (asked.kind === "elsewhere" && asked.size <= signed.size)
        asked = await this.#askFrom(witness, signed, asked.size);
      if (asked.kind === "cosigned") {
        this.#rows.setCosigned(name, signed.size);
        return asked.line;
      }
      // Larger than this log is: the log was rolled back, or the witness is wrong. Its number is not signed, so it stops nothing; but it
      // cosigns nothing either, and every verifier sees that.
      console.error(
        JSON.stringify({
          event: "ledger_witness_ahead",
          witness: name,
          size: signed.size,
          witnessSize: asked.size,
        }),
      );
      return undefined;
    } catch {
      console.error(JSON.stringify({ event: "ledger_witness_failed", witness: name, size: signed.size }));
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
