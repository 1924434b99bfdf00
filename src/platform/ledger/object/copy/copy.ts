import { utf8 } from "#kernel/encoded";
import { checkpointText } from "#ledger/tlog/checkpoint";
import type { Head } from "#ledger/commit";
import {
  type CopiedObject,
  FLUSH_BYTES_MAX,
  flushEnd,
  objectKey,
  objectsBetween,
  type LogExtent,
} from "#ledger/flush";
import { TILE_WIDTH } from "#ledger/tlog/tile";
import type { LedgerBucket } from "#platform/ledger/object/log/bucket";
import type { LedgerConfig } from "#platform/ledger/config";
import { FlushRows, type FlushState } from "./flush-rows.ts";
import { Forked, type PublishedCheckpoint } from "#platform/ledger/object/log/published";
import { signForReaders } from "#platform/ledger/object/log/signer";
import type { LedgerStore } from "#platform/ledger/object/log/store";
import { pacedCalls } from "#platform/paced-calls";
import { checkpointAt, copyOf } from "#platform/ledger/object/log/stored-log";

export interface CopyParts {
  readonly storage: DurableObjectStorage;
  readonly config: LedgerConfig;
  readonly store: LedgerStore;
  readonly bucket: LedgerBucket;
  readonly head: () => Head;
}

/**
 * Brings a log's objects to R2. The order makes a crash harmless: first the plan with its signed checkpoint
 * is durable, then every object is in R2, then the checkpoint, then the plan is done. All objects are a pure
 * function of committed frames, and none is ever overwritten, so any step may be repeated.
 */
export class LedgerCopy {
  readonly #parts: CopyParts;
  readonly #published: PublishedCheckpoint;
  readonly #rows: FlushRows;
  #state: FlushState;

  constructor(parts: CopyParts, published: PublishedCheckpoint) {
    this.#parts = parts;
    this.#published = published;
    this.#rows = new FlushRows(parts.storage.sql);
    this.#state = this.#rows.load();
  }

  /** The extent that the published checkpoint covers, with all its objects. */
  get done(): LogExtent {
    return this.#state.done;
  }

  /** True when a flush was begun and not ended. */
  get isPending(): boolean {
    return this.#state.pending !== undefined;
  }

  /** True when more is left than the next flush takes. */
  isBacklog(): boolean {
    const end = flushEnd(this.#parts.store.framesFrom(this.#state.done.frames));
    return end !== undefined && end.frames <= (this.#parts.head().frame?.number ?? -1);
  }

  /**
   * Copies again from an extent, or from the first frame that has a row: earlier frames are only in the
   * bucket, or lost.
   */
  againFrom(there: LogExtent): void {
    const { storage, store } = this.#parts;
    const { deleted } = store.copied;
    const done = there.frames < deleted.frames ? deleted : there;
    storage.transactionSync(() => {
      this.#rows.save({ done });
      store.copied.forgetFrom(done.frames);
    });
    this.#state = { done };
  }

  /**
   * Runs a flush; only one at a time. Throws `Forked` for signs of a second history. Any other failure is
   * R2's, and is tried again.
   */
  async run(): Promise<void> {
    await this.#flush();
    await this.#noteOldest();
  }

  async #flush(): Promise<void> {
    const { storage, store } = this.#parts;
    const { done, pending } = this.#state;
    const plan = pending ?? this.#plan(done);
    if (plan === undefined) return;
    if (pending === undefined) {
      this.#rows.save({ done, pending: plan });
      this.#state = { done, pending: plan };
      await storage.sync();
    }
    // A bundle whose first leaves have no rows any more was copied before the rows were deleted.
    const isDeleted = (object: CopiedObject) =>
      object.kind === "entries" && object.index * TILE_WIDTH < store.copied.deleted.size;
    const objects = objectsBetween(done, plan.to).filter((object) => !isDeleted(object));
    const faults = await pacedCalls(objects, (object) => this.#prepared(object)); // none still writes after it
    if (faults.length > 0) throw faults.find((fault) => fault instanceof Forked) ?? faults[0];
    await this.#published.replace(plan.to.size, utf8(plan.note));
    const [first, last] = [done.frames, plan.to.frames - 1];
    const bytes = store.bytesOfFrames(first, last);
    storage.transactionSync(() => {
      this.#rows.save({ done: plan.to });
      store.copied.add({ first, last, size: plan.to.size, bytes });
    });
    this.#state = { done: plan.to };
  }

  /**
   * Frames that an earlier version copied without a note of their object: they are copied again, newest
   * first, under noted names.
   */
  async #noteOldest(): Promise<void> {
    const { storage, store } = this.#parts;
    const { frames } = store.copied.deleted;
    for (let end = store.copied.oldestRetained(1)[0]?.first ?? this.#state.done.frames; end > frames;) {
      // the rule of a flush, backwards
      const [last, first] = [end - 1, (flushEnd(store.framesBefore(end))?.frames ?? end) - 1];
      await (
        await this.#prepared({ kind: "frames", first, last })
      )();
      const [size, bytes] = [store.frame(last)?.size ?? 0, store.bytesOfFrames(first, last)];
      storage.transactionSync(() => store.copied.add({ first, last, size, bytes }));
      end = first;
    }
  }

  async #prepared(object: CopiedObject): Promise<() => Promise<void>> {
    const head = this.#parts.head();
    const key = objectKey(head.origin, object);
    const { bytes, digest } = await copyOf(this.#parts.store, head, object);
    return async () => {
      const result = await this.#parts.bucket.putOnce(key, bytes, digest);
      if (result === "other") throw new Forked(`the bucket holds another ${key}`);
    };
  }

  #plan(done: LogExtent): FlushState["pending"] {
    const { store } = this.#parts;
    const all = store.allFrom(done.frames);
    const to = flushEnd(
      all !== undefined && all.bytes <= FLUSH_BYTES_MAX ? [all] : store.framesFrom(done.frames),
    );
    if (to === undefined) return undefined;
    const { origin } = this.#parts.head();
    return {
      to,
      note: signForReaders(
        this.#parts.config,
        origin,
        checkpointText(checkpointAt(store, origin, to.frames - 1)),
      ),
    };
  }
}
