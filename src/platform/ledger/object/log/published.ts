import { sameBytes } from "#ledger/bytes/bytes";
import { type Checkpoint, openCheckpoint } from "#ledger/tlog/checkpoint";
import type { Head } from "#ledger/commit";
import { checkpointKey } from "#ledger/flush";
import type { LedgerBucket, ReadObject } from "./bucket.ts";
import { type LedgerConfig, signerOf } from "#platform/ledger/config";
import type { LedgerObjects } from "./objects.ts";

/** A sign of a second history: the log must not go on. */
export class Forked extends Error {}

interface PublishedParts {
  readonly config: LedgerConfig;
  readonly bucket: LedgerBucket;
  readonly objects: LedgerObjects;
  readonly head: () => Head;
}

/**
 * A log's checkpoint in R2. The log always extends it, and only a checkpoint that extends it may replace it.
 */
export class PublishedCheckpoint {
  readonly #parts: PublishedParts;

  constructor(parts: PublishedParts) {
    this.#parts = parts;
  }

  /**
   * Undefined when there is none. Throws `Forked` for a checkpoint that is not in this log's past, and a
   * different error when R2 cannot be read.
   */
  async read(): Promise<Checkpoint | undefined> {
    return this.#ownPast(await this.#parts.bucket.read(this.#key));
  }

  /** Throws like `read`. An earlier try may have succeeded unseen: then the checkpoint is there already. */
  async replace(size: number, note: Uint8Array): Promise<void> {
    const before = await this.#parts.bucket.read(this.#key);
    if (before !== undefined && sameBytes(before.bytes, note)) return;
    const checkpoint = await this.#ownPast(before);
    // copied again after a loss: a smaller checkpoint is never published
    if (checkpoint !== undefined && checkpoint.size >= size) return;
    if (!(await this.#parts.bucket.replace(this.#key, note, before)))
      throw new Error("ledger: the published checkpoint changed under the flush");
  }

  get #key(): string {
    return checkpointKey(this.#parts.head().origin);
  }

  async #ownPast(published: ReadObject | undefined): Promise<Checkpoint | undefined> {
    if (published === undefined) return undefined;
    const checkpoint = openCheckpoint(
      published.bytes,
      signerOf(this.#parts.config, this.#parts.head().origin),
    );
    if (!checkpoint.ok) throw new Forked("the published checkpoint is not one that this log signed");
    if (await this.#parts.objects.extends(checkpoint.value)) return checkpoint.value;
    // the shard was rolled back, or forked
    throw new Forked("a checkpoint was published that this log does not extend");
  }
}
