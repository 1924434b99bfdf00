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

/** The limits on deletion: these rows must stay, even if the copy has them. */
interface Needed {
  readonly done: LogExtent; // the extent that the published checkpoint covers
  readonly waitingFrame: number | undefined; // the oldest frame whose accounting lines are still here
  readonly retainBytes: number; // of copied frames
}

/**
 * Deletes rows of frames and tiles that the second copy has, oldest first. These rows stay: the newest
 * frames, up to a number of bytes; frames whose leaves fill no copied bundle yet; frames that answer retries
 * and replays; and the frame of the last checkpoint, published or signed, since a start compares itself with
 * these.
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
  run(head: Head, { done, waitingFrame, retainBytes }: Needed, now: Instant): boolean {
    const { copied } = this.#store;
    // Frames are only a part of all bytes: this comparison is enough for most logs, without reading their
    // ranges.
    if (this.#storage.sql.databaseSize <= retainBytes) return true;
    const tooMany = copied.retainedBytes() - retainBytes;
    if (tooMany <= 0) return true;
    const inBundles = fullTiles(0, done.size) * TILE_WIDTH;
    let [to, bytes, isStuck] = [copied.deleted, 0, true];
    for (const range of copied.oldestRetained(RANGES_AT_ONCE)) {
      const { first, last, size } = range;
      const mayDelete = last + 1 < done.frames && size <= inBundles && last < (waitingFrame ?? Infinity);
      // a frame without a known object must stay
      isStuck = first > to.frames || !mayDelete || this.#isRecent(last, now);
      if (isStuck) break;
      [to, bytes] = [{ frames: last + 1, size }, bytes + range.bytes];
      if (bytes >= Math.min(tooMany, BYTES_AT_ONCE)) break;
    }
    // A start compares itself with the last signed checkpoint. So a newer checkpoint is signed before its
    // frame is deleted, a second later if necessary.
    const signed = this.#signer.signedSize ?? Infinity;
    if (signed <= to.size && this.#signer.sign(head, now).size <= to.size) return false;
    if (bytes > 0) this.#storage.transactionSync(() => this.#store.deleteUpTo(to));
    return isStuck || bytes >= tooMany;
  }

  /** Frame times are rounded down to 10 s. */
  #isRecent(frame: number, now: Instant): boolean {
    return ((this.#store.frameSeconds(frame) ?? 0) + 10) * 1000 + RECENT_MS > now;
  }
}
