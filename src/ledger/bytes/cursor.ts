/**
 * Reads big-endian fields and never past the end. A field that is cut off or too large reads as zeros, and as no
 * more of them than there are bytes left; it makes `finished` false for good. The memory that it takes follows the
 * bytes that are there, never a length that they claim.
 */
export class Cursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #short = false;
  #tooLarge = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** True when every field was there and nothing is left over. */
  get finished(): boolean {
    return !this.#short && !this.#tooLarge && this.#at === this.#bytes.length;
  }

  /** True when a field was cut off. */
  get short(): boolean {
    return this.#short;
  }

  /** True when a number was beyond 2^53 − 1, the largest of the format. */
  get tooLarge(): boolean {
    return this.#tooLarge;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.#take(1, (at) => this.#view.getUint8(at));
  }

  u16(): number {
    return this.#take(2, (at) => this.#view.getUint16(at));
  }

  u32(): number {
    return this.#take(4, (at) => this.#view.getUint32(at));
  }

  u64(): number {
    const value = this.#take(8, (at) => Number(this.#view.getBigUint64(at)));
    if (Number.isSafeInteger(value)) return value;
    this.#tooLarge = true;
    return 0;
  }

  /** A view of the next bytes, not a copy. */
  bytes(length: number): Uint8Array {
    if (this.remaining < length) {
      this.#short = true;
      return new Uint8Array(this.remaining);
    }
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #take(length: number, read: (at: number) => number): number {
    if (this.remaining < length) {
      this.#short = true;
      return 0;
    }
    this.#at += length;
    return read(this.#at - length);
  }
}
