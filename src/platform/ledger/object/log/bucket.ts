import { sameBytes } from "#ledger/bytes/bytes";
import { sha256 } from "#ledger/bytes/hash";
import { within } from "#platform/within";

const PATIENCE_MS = 10_000;

/** An object that was read, with the etag for a conditional write. */
export interface ReadObject {
  readonly bytes: Uint8Array;
  readonly etag: string;
}

/**
 * The ledger's second copy in R2. Each call throws when R2 fails or does not answer within ten seconds; then
 * its effect is unknown.
 */
export class LedgerBucket {
  readonly #bucket: R2Bucket;

  constructor(bucket: R2Bucket) {
    this.#bucket = bucket;
  }

  /**
   * Writes an object that must never change, unless it exists already. "kept": the bucket now holds exactly
   * these bytes. "other": it holds different bytes, which then stay. Locked prefixes refuse an overwrite, so
   * none is tried. `digest`: SHA-256 of the bytes.
   */
  async putOnce(key: string, bytes: Uint8Array, digest = sha256(bytes)): Promise<"kept" | "other"> {
    const options = { onlyIf: { etagDoesNotMatch: "*" }, sha256: digest };
    const written = await inTime(this.#bucket.put(key, bytes, options));
    if (written !== null) return "kept";
    const there = await inTime(this.#bucket.head(key));
    if (there === null) throw new Error("r2: an object was there, and then was not");
    // absent for an object that no ledger wrote: R2 stores the checksum that the writer gave
    const stored = there.checksums.sha256;
    return stored !== undefined && sameBytes(new Uint8Array(stored), digest) ? "kept" : "other";
  }

  async read(key: string): Promise<ReadObject | undefined> {
    const object = await inTime(this.#bucket.get(key));
    return object === null ? undefined : { bytes: await inTime(object.bytes()), etag: object.etag };
  }

  /** Some bytes of an object; undefined when the bucket does not have the object. */
  async readPart(key: string, offset: number, length: number): Promise<Uint8Array | undefined> {
    const object = await inTime(this.#bucket.get(key, { range: { offset, length } }));
    return object === null ? undefined : inTime(object.bytes());
  }

  /**
   * An object as a stream, for objects that are too long to have several in memory; undefined when the
   * bucket does not have the object.
   */
  async stream(
    key: string,
  ): Promise<{ readonly body: ReadableStream<Uint8Array>; readonly length: number } | undefined> {
    const object = await inTime(this.#bucket.get(key));
    return object === null ? undefined : { body: object.body, length: object.size };
  }

  /** The keys with a prefix, at most 1,000. */
  async keys(prefix: string): Promise<readonly string[]> {
    return (await inTime(this.#bucket.list({ prefix }))).objects.map(({ key }) => key);
  }

  /** Replaces an object that was read before; false when another writer wrote it meanwhile. */
  async replace(key: string, bytes: Uint8Array, before: ReadObject | undefined): Promise<boolean> {
    const onlyIf = before === undefined ? { etagDoesNotMatch: "*" } : { etagMatches: before.etag };
    return (await inTime(this.#bucket.put(key, bytes, { onlyIf, sha256: sha256(bytes) }))) !== null;
  }
}

const inTime = <T>(answer: Promise<T>): Promise<T> => within(PATIENCE_MS, answer, "r2: no answer in time");
