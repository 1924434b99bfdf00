import type { Instant } from "#kernel/clock";
import type { Head } from "#ledger/commit";
import type { LogExtent } from "#ledger/flush";
import { fullTiles, TILE_WIDTH } from "#ledger/tlog/tile";
import { RECENT_MS } from "#platform/ledger/object/append/recent";
import type { CheckpointSigner } from "#platform/ledger/object/log/signer";
import type { LedgerStore } from "#platform/ledger/object/log/store";

// Appends wait while rows are deleted.
const RANGES_AT_ONCE = 512;
const BYTES_AT_ONCE = 67_108_864;

/** What must stay in the rows, whatever the copy has. */
interface Needed {
  readonly done: LogExtent; // how far the published checkpoint reaches
  readonly waitingFrame: number | undefined; // the oldest whose accounting lines are here still
  readonly keepBytes: number; // of copied frames
}

/**
 * Deletes rows of frames and tiles that the second copy has, oldest first. What stays: the newest frames, up to so many bytes; those whose
 * leaves fill no copied bundle yet; those that retries and replays are answered from; and the frame of the last checkpoint, published or
 * signed, since a start compares itself with these.
 */
export class LedgerPruner {
  readonly #storage: DurableObjectStorage;
  readonly #store: LedgerStore;
  readonly #signer: CheckpointSigner;

  constructor(storage: DurableObjectStorage, store: LedgerStore, signer: CheckpointSigner) {
    this.#storage = storage;
    this.#store = store;
    this.#signer = signer;
  }

  /** True when nothing is left to do. */
  run(head: Head, { done, waitingFrame, keepBytes }: Needed, now: Instant): boolean {
    const { copied } = this.#store;
    // Frames are no more than everything: most logs are told by this, without a look at their ranges.
    if (this.#storage.sql.databaseSize <= keepBytes) return true;
    const tooMany = copied.keptBytes() - keepBytes;
    if (tooMany <= 0) return true;
    const inBundles = fullTiles(0, done.size) * TILE_WIDTH;
    let [to, bytes, isStuck] = [copied.freed, 0, true];
    for (const range of copied.oldestKept(RANGES_AT_ONCE)) {
      const { first, last, size } = range;
      const isFree = last + 1 < done.frames && size <= inBundles && last < (waitingFrame ?? Infinity);
      isStuck = first > to.frames || !isFree || this.#isRecent(last, now); // a frame that no object is known of must not go
      if (isStuck) break;
      [to, bytes] = [{ frames: last + 1, size }, bytes + range.bytes];
      if (bytes >= Math.min(tooMany, BYTES_AT_ONCE)) break;
    }
    // A start compares itself with what was signed last: something newer is signed before its frame goes, a second later if need be.
    const signed = this.#signer.signedSize ?? Infinity;
    if (signed <= to.size && this.#signer.sign(head, now).size <= to.size) return false;
    if (bytes > 0) this.#storage.transactionSync(() => this.#store.free(to));
    return isStuck || bytes >= tooMany;
  }

  /** Frame times are rounded down to 10 s. */
  #isRecent(frame: number, now: Instant): boolean {
    return ((this.#store.frameSeconds(frame) ?? 0) + 10) * 1000 + RECENT_MS > now;
  }
}
