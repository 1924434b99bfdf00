import type { Clock, Instant } from "#kernel/clock";
import { type Address, addressPath } from "#ledger/address";
import { SIGNED_EVERY_MS } from "#ledger/signing-times";
import { utf8 } from "#kernel/encoded";
import { concat, fromUtf8 } from "#ledger/bytes/bytes";
import { type CopiedObject, objectKey } from "#ledger/flush";
import { entry, splitEntries } from "#ledger/leaf/frame";
import { frameOffsets, type FrameRange, RANGES_A_LIST, rangesText } from "#ledger/frame-copies";
import { inclusionNote } from "#ledger/tlog/inclusion-note";
import { HASH_BYTES, inclusionProof } from "#ledger/tlog/merkle";
import { readNote } from "#ledger/tlog/signed-note";
import {
  edgeTiles,
  fullTilesAbout,
  hashAtTiles,
  splitHashes,
  TILE_WIDTH,
  type TilePlace,
} from "#ledger/tlog/tile";
import { readTreeHead } from "#ledger/tlog/tree-head";
import type { LedgerBucket } from "#platform/ledger/object/log/bucket";
import type { LedgerRoot } from "#platform/ledger/object/root/ledger-root";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import { within } from "#platform/within";
import { Newest } from "#kernel/memo";

type ImmutableAddress = Extract<Address, { readonly kind: "tile" | "entries" | "frame" }>;

/** An object as it is served. Joined frames are a stream: several of them would fill an isolate's memory. */
export interface ServedObject {
  readonly body: Uint8Array | ReadableStream<Uint8Array>;
  readonly length: number;
}

/**
 * Objects that are in R2, by the path of their address. An object that is not yet in R2 is never cached: a
 * log that lost it would show two histories.
 */
export interface ObjectCache {
  get(path: string): Promise<Uint8Array | undefined>;
  put(path: string, bytes: Uint8Array): void;
}

const BUCKET_MS = 3_000; // then the object is asked, which may have the rows
const LOGS_REMEMBERED = 64;
const COPIES_REMEMBERED = 256; // objects of frames, for each log
const OFFSETS_REMEMBERED = 16; // of objects of frames, at most 160 KB each

/** An isolate's memory of public logs. It is settled plain data, so no request waits for another request. */
export class PublicLogCache {
  readonly checkpoints = new Newest<{ readonly note: Uint8Array; readonly askedAt: Instant }>(
    LOGS_REMEMBERED,
  );
  readonly copies = new Newest<Newest<FrameRange>>(LOGS_REMEMBERED);
  readonly offsets = new Newest<Uint32Array>(OFFSETS_REMEMBERED);
}

/** A reader asked too often for objects that only the committing Durable Object has. */
export class TooManyReads extends Error {}

interface PublicLogParts {
  readonly log: string;
  /** `<ledger name>/<log>` */
  readonly origin: string;
  readonly object: DurableObjectStub<LedgerShard> | DurableObjectStub<LedgerRoot>;
  readonly bucket: LedgerBucket;
  readonly cache: ObjectCache;
  /** True when this reader may ask the object for a further tile, bundle or frame. */
  readonly mayAskObject: () => Promise<boolean>;
  readonly memory: PublicLogCache;
  readonly clock: Clock;
}

/**
 * A log for one request. Each object is read from the cheapest place that has it: the cache, the copy in R2,
 * and last the Durable Object that commits the log's records. Returns undefined for an object that the log
 * does not have. Throws when the object cannot be read, and `TooManyReads` when this reader asked the
 * Durable Object too often.
 */
export class PublicLog {
  readonly #parts: PublicLogParts;
  #isCounted = false;

  constructor(parts: PublicLogParts) {
    this.#parts = parts;
  }

  async read(address: Address): Promise<ServedObject | undefined> {
    const { bucket, origin } = this.#parts;
    if (address.kind === "frames") return bucket.stream(objectKey(origin, address));
    const bytes = await this.#bytes(address);
    return bytes && { body: bytes, length: bytes.length };
  }

  async #bytes(address: Exclude<Address, { readonly kind: "frames" }>): Promise<Uint8Array | undefined> {
    switch (address.kind) {
      case "checkpoint":
        return this.#checkpoint();
      case "proof":
        return this.#proof(address.index);
      case "copies":
        return this.#copies(address.number);
      case "tile":
      case "entries":
      case "frame":
        return this.#immutable(address);
    }
  }

  /** Only the log itself knows which frames an object of the second copy has. */
  async #copies(number: number): Promise<Uint8Array> {
    await this.#countRead();
    return utf8(rangesText(await this.#parts.object.frameCopies(number, RANGES_A_LIST)));
  }

  /** Asked for once a second, so that no flood of readers reaches the object. */
  async #checkpoint(): Promise<Uint8Array | undefined> {
    const { log, object, memory, clock } = this.#parts;
    const askedAt = clock();
    const known = memory.checkpoints.get(log);
    if (known !== undefined && Math.abs(askedAt - known.askedAt) < SIGNED_EVERY_MS) return known.note;
    const note: Uint8Array | undefined = await object.checkpoint();
    if (note !== undefined) memory.checkpoints.set(log, { note, askedAt });
    return note;
  }

  /** Makes a proof from the checkpoint and tiles, as any reader could. */
  async #proof(index: number): Promise<Uint8Array | undefined> {
    const checkpoint = await this.#checkpoint();
    const note = checkpoint && readNote(checkpoint);
    const size = note?.ok === true ? (readTreeHead(note.value.text)?.size ?? 0) : 0;
    if (checkpoint === undefined || index >= size) return undefined;
    const tiles = new Map<string, readonly Uint8Array[]>();
    for (const place of [...fullTilesAbout(size, [index, size]), ...edgeTiles(size)])
      tiles.set(`${place.level}/${place.index}`, splitHashes(await this.#tile(place)));
    const path = inclusionProof(
      index,
      size,
      hashAtTiles((level, index) => tiles.get(`${level}/${index}`) ?? []),
    );
    return utf8(inclusionNote(index, path, fromUtf8(checkpoint) ?? ""));
  }

  async #tile(place: TilePlace): Promise<Uint8Array> {
    const bytes = await this.#immutable({ log: this.#parts.log, kind: "tile", ...place });
    if (bytes === undefined) throw new Error("ledger: a log lacks a tile below its checkpoint");
    return bytes;
  }

  async #immutable(address: ImmutableAddress): Promise<Uint8Array | undefined> {
    const { cache } = this.#parts;
    const path = addressPath(address);
    const cached = await cache.get(path);
    if (cached !== undefined) return cached;
    const copied = await this.#copied(address);
    if (copied !== undefined) cache.put(path, copied);
    return copied ?? this.#committed(address);
  }

  async #committed(address: ImmutableAddress): Promise<Uint8Array | undefined> {
    await this.#countRead();
    const { object } = this.#parts;
    switch (address.kind) {
      case "tile":
        return object.tile(address.level, address.index, address.width);
      case "entries":
        return object.entries(address.index, address.width);
      case "frame":
        return object.frame(address.number);
    }
  }

  /**
   * Called before any question to the object, except for the checkpoint, which has its own limit of one a
   * second. A request counts once, even if it needs many objects.
   */
  async #countRead(): Promise<void> {
    if (this.#isCounted) return;
    this.#isCounted = true;
    if (!(await this.#parts.mayAskObject())) throw new TooManyReads();
  }

  /**
   * Reads from R2. Undefined when R2 does not have the object, or does not answer: then the log's own object
   * decides.
   */
  async #copied(address: ImmutableAddress): Promise<Uint8Array | undefined> {
    if (address.kind === "frame") return this.#copiedFrame(address.number);
    const { level, index } = { level: 0, ...address };
    const copy: CopiedObject =
      address.kind === "tile" ? { kind: "tile", level, index } : { kind: "entries", index };
    const key = objectKey(this.#parts.origin, copy);
    const whole = await orUndefined(this.#parts.bucket.read(key));
    return whole && beginningOf(address.kind, whole.bytes, address.width);
  }

  /**
   * Reads a frame from R2. Only the log itself knows which object has the frame. The isolate remembers that,
   * and the offset of each frame.
   */
  async #copiedFrame(number: number): Promise<Uint8Array | undefined> {
    const copy = await this.#copyOf(number);
    if (copy === undefined) return undefined;
    const { origin, bucket, memory } = this.#parts;
    const key = objectKey(origin, { kind: "frames", ...copy });
    const offsets = memory.offsets.get(key) ?? (await orUndefined(this.#offsetsOf(key)));
    const [from, next] = [offsets?.[number - copy.first], offsets?.[number - copy.first + 1]];
    return from === undefined || next === undefined
      ? undefined
      : orUndefined(bucket.readPart(key, from, next - 4 - from));
  }

  async #copyOf(number: number): Promise<FrameRange | undefined> {
    const { log, object, memory } = this.#parts;
    const known = memory.copies.get(log) ?? new Newest<FrameRange>(COPIES_REMEMBERED);
    for (const copy of known.values()) if (copy.first <= number && number <= copy.last) return copy;
    await this.#countRead();
    const [copy]: readonly FrameRange[] = await object.frameCopies(number, 1);
    if (copy !== undefined) memory.copies.set(log, known.set(String(copy.first), copy));
    return copy;
  }

  async #offsetsOf(key: string): Promise<Uint32Array | undefined> {
    const { bucket, memory } = this.#parts;
    const object = await bucket.stream(key);
    const offsets = object && (await frameOffsets(object.body));
    if (offsets !== undefined) memory.offsets.set(key, offsets);
    return offsets;
  }
}

/** The first hashes of a tile, or entries of a bundle. */
function beginningOf(kind: "tile" | "entries", whole: Uint8Array, width: number): Uint8Array | undefined {
  if (kind === "tile")
    return whole.length === TILE_WIDTH * HASH_BYTES ? whole.subarray(0, width * HASH_BYTES) : undefined;
  const entries = splitEntries(whole);
  return entries?.length === TILE_WIDTH ? concat(entries.slice(0, width).flatMap(entry)) : undefined;
}

async function orUndefined<T>(reading: Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await within(BUCKET_MS, reading, "r2: no answer in time");
  } catch {
    return undefined;
  }
}
