import { Newest } from "#kernel/memo";
import { concat } from "#ledger/bytes/bytes";
import type { Checkpoint } from "#ledger/tlog/checkpoint";
import { type Head, hasInPast } from "#ledger/commit";
import { type CopiedObject, objectKey } from "#ledger/flush";
import { type FrameRange, splitFrames } from "#ledger/frame-copies";
import { entry, frameHash, parseFrame, splitEntries } from "#ledger/leaf/frame";
import type { HashAt } from "#ledger/tlog/merkle";
import { fullTiles, fullTilesAbout, hashAtTiles, splitHashes, TILE_WIDTH } from "#ledger/tlog/tile";
import type { LedgerBucket } from "./bucket.ts";
import type { LedgerStore } from "./store.ts";
import { entryBundle, tileHashes } from "./stored-log.ts";
import { log } from "#platform/log";

// Objects of frames in memory, up to 8 MiB each: a reader of a log from its beginning asks for frame after
// frame.
const OBJECTS_HELD = 2;
// Anyone may ask for many at once, up to 16 MiB each, and the Durable Object that takes the records has 128
// MiB.
const FETCHES_AT_ONCE = 3;

/**
 * The objects of a log, from its rows or from the second copy, which has all objects whose rows were
 * deleted. Each method throws when the copy cannot be read, or lacks an object that was written to it.
 */
export class LedgerObjects {
  readonly #store: LedgerStore;
  readonly #bucket: LedgerBucket;
  readonly #head: () => Head;
  readonly #turns = new Turns(FETCHES_AT_ONCE);
  // by number of the first frame, most recently used last
  readonly #held = new Newest<Promise<readonly Uint8Array[]>, number>(OBJECTS_HELD);

  constructor(store: LedgerStore, bucket: LedgerBucket, head: () => Head) {
    this.#store = store;
    this.#bucket = bucket;
    this.#head = head;
  }

  /** Undefined when the log is shorter. */
  async frame(number: number): Promise<Uint8Array | undefined> {
    if (number > (this.#head().frame?.number ?? -1)) return undefined;
    return this.#store.frame(number)?.body ?? (await this.#copiedFrame(number));
  }

  /** The objects of the second copy from the one that has a frame, in order; empty while no object has it. */
  frameCopies(number: number, limit: number): readonly FrameRange[] {
    const { copied } = this.#store;
    return copied.rangesFrom(copied.rangeOf(number)?.first ?? number, limit);
  }

  /** A bundle's first `width` entries; undefined when the log is shorter. */
  async entries(index: number, width: number): Promise<Uint8Array | undefined> {
    const head = this.#head();
    const from = index * TILE_WIDTH;
    if (from + width > head.size) return undefined;
    if (from >= this.#store.copied.deleted.size) return entryBundle(this.#store, head, index, width);
    const entries = splitEntries(await this.#copied({ kind: "entries", index }));
    if (entries?.length !== TILE_WIDTH) throw missing();
    return concat(entries.slice(0, width).flatMap(entry));
  }

  /** The present hashes of a tile; empty when the log is shorter. */
  async tile(level: number, index: number): Promise<readonly Uint8Array[]> {
    const head = this.#head();
    if (index >= fullTiles(level, head.size)) return tileHashes(this.#store, head, level, index);
    return splitHashes(
      this.#store.tile(level, index) ?? (await this.#copied({ kind: "tile", level, index })),
    );
  }

  /** The hashes for proofs that begin at these leaves or end at these sizes of a log at this head. */
  async hashesAbout(head: Head, places: readonly number[]): Promise<HashAt> {
    // also tiles that have rows: these may be deleted while further tiles are fetched
    const tiles = new Map<string, readonly Uint8Array[]>();
    for (const { level, index } of fullTilesAbout(head.size, places))
      tiles.set(`${level}/${index}`, await this.tile(level, index));
    return hashAtTiles(
      (level, index) => tiles.get(`${level}/${index}`) ?? tileHashes(this.#store, head, level, index),
    );
  }

  /** True when an earlier checkpoint is in the log's past: its frame and its leaves. */
  async extends(earlier: Checkpoint): Promise<boolean> {
    const head = this.#head();
    const bytes = earlier.frame && (await this.frame(earlier.frame.number));
    const frame = bytes && parseFrame(bytes);
    const stands =
      bytes !== undefined && frame?.ok === true
        ? { size: frame.value.size, hash: frameHash(bytes) }
        : undefined;
    return hasInPast(head, earlier, stands, await this.hashesAbout(head, [earlier.size]));
  }

  async #copiedFrame(number: number): Promise<Uint8Array> {
    const range = this.#store.copied.rangeOf(number);
    if (range === undefined) throw missing();
    const held =
      this.#held.get(range.first) ??
      this.#copied({ kind: "frames", ...range }).then((bytes) => splitFrames(bytes) ?? refuse());
    this.#held.set(range.first, held);
    const frames = await held.catch((fault: unknown) => {
      if (this.#held.get(range.first) === held) this.#held.delete(range.first); // the next call asks again
      throw fault;
    });
    // A copy: an RPC answer is sent with the whole buffer under a view.
    return frames[number - range.first]?.slice() ?? refuse();
  }

  async #copied(object: CopiedObject): Promise<Uint8Array> {
    const key = objectKey(this.#head().origin, object);
    const read = await this.#turns.take(() => this.#bucket.read(key));
    if (read !== undefined) return read.bytes;
    log({ event: "ledger_copy_missing", key });
    throw missing();
  }
}

const missing = (): Error => new Error("ledger: the second copy lacks an object that was written to it");

function refuse(): never {
  throw missing();
}

/** Runs at most `atOnce` calls at a time. Further calls wait for their turn, in order. */
class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  async take<T>(call: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await call();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
