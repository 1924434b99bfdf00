import { fromUtf8 } from "./bytes.ts";

/** Bytes that are not a single well-formed CBOR item, or that have a form which this reader does not take. */
export class MalformedCbor extends Error {}

/** Bytes in which arrays and maps nest deeper than docs/ledger-format.md allows. */
export class CborTooDeep extends MalformedCbor {}

/** The most arrays and maps in each other, the outermost included. */
const DEPTH_MAX = 16;

/**
 * Reads bytes that are a single CBOR item of definite length (RFC 8949 §3), with each length and integer in
 * its shortest form: maps as `Map`, integers beyond ±(2^53 − 1) as bigint. Throws `MalformedCbor` for any
 * other bytes, for tags, undefined, NaN, infinities and further simple values, for a repeated key, and for
 * text that is not UTF-8. Throws `CborTooDeep` for arrays and maps that nest more than 16 deep. The memory that
 * it takes follows the bytes that are there, never a length that they claim. Byte strings are copies, or `views`
 * into the bytes.
 */
export function parseCbor(bytes: Uint8Array, strings: "copies" | "views" = "copies"): unknown {
  const reader = new CborReader(bytes, strings === "views");
  const value = reader.item();
  reader.end();
  return value;
}

const malformed = (what: string): MalformedCbor => new MalformedCbor(what);

class CborReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  readonly #isViewing: boolean;
  #depth = 0;

  constructor(bytes: Uint8Array, isViewing: boolean) {
    this.#isViewing = isViewing;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw malformed("bytes after the item");
  }

  item(): unknown {
    const head = this.#view.getUint8(this.#skip(1));
    const minor = head & 31;
    switch (head >> 5) {
      case 0:
        return this.#argument(minor);
      case 1:
        return negative(this.#argument(minor));
      case 2:
        return this.#byteString(this.#length(minor));
      case 3:
        return this.#text(this.#length(minor));
      case 4:
        return this.#nested(() => this.#array(this.#length(minor)));
      case 5:
        return this.#nested(() => this.#map(this.#length(minor, 2)));
      case 7:
        return this.#simple(minor);
      default:
        throw malformed("a tag");
    }
  }

  /** The place of the next bytes, which the reader passes. */
  #skip(count: number): number {
    const at = this.#at;
    if (count > this.#bytes.length - at) throw malformed("cut off");
    this.#at = at + count;
    return at;
  }

  #take(count: number): Uint8Array {
    const at = this.#skip(count);
    return this.#bytes.subarray(at, at + count);
  }

  #byteString(length: number): Uint8Array {
    const view = this.#take(length);
    return this.#isViewing ? view : view.slice();
  }

  #argument(minor: number): number | bigint {
    if (minor < 24) return minor;
    const [value, least] = this.#wide(minor);
    if (value < least) throw malformed("an integer longer than needed");
    return value;
  }

  /** An integer of 1, 2, 4 or 8 bytes, and the smallest that needs so many. */
  #wide(minor: number): readonly [value: number | bigint, least: number] {
    const view = this.#view;
    switch (minor) {
      case 24:
        return [view.getUint8(this.#skip(1)), 24];
      case 25:
        return [view.getUint16(this.#skip(2)), 0x1_00];
      case 26:
        return [view.getUint32(this.#skip(4)), 0x1_0000];
      case 27:
        return [numberIfSafe(view.getBigUint64(this.#skip(8))), 0x1_0000_0000];
      default:
        throw malformed("indefinite length");
    }
  }

  /** The length of a string, or the number of items or pairs: each has at least `bytesEach` bytes. */
  #length(minor: number, bytesEach = 1): number {
    const length = Number(this.#argument(minor));
    if (length * bytesEach > this.#bytes.length - this.#at) throw malformed("cut off");
    return length;
  }

  /** Checked before the content is read: hostile bytes may nest as deep as they are long. */
  #nested<T>(read: () => T): T {
    if (this.#depth === DEPTH_MAX) throw new CborTooDeep("nested too deep");
    this.#depth += 1;
    const value = read();
    this.#depth -= 1;
    return value;
  }

  /** Grows with the items that are read: nested arrays may each claim all the bytes that are left. */
  #array(count: number): unknown[] {
    const items: unknown[] = [];
    for (let left = count; left > 0; left--) items.push(this.item());
    return items;
  }

  #text(length: number): string {
    const text = fromUtf8(this.#take(length));
    if (text === undefined) throw malformed("text that is not UTF-8");
    return text;
  }

  #map(count: number): Map<unknown, unknown> {
    const map = new Map<unknown, unknown>();
    for (let left = count; left > 0; left--) {
      const key = this.item();
      if (map.has(key)) throw malformed("a repeated key");
      map.set(key, this.item());
    }
    return map;
  }

  #simple(minor: number): unknown {
    switch (minor) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
        return null;
      case 25:
        return finite(half(this.#view.getUint16(this.#skip(2))));
      case 26:
        return finite(this.#view.getFloat32(this.#skip(4)));
      case 27:
        return finite(this.#view.getFloat64(this.#skip(8)));
      default:
        throw malformed("a simple value");
    }
  }
}

function finite(value: number): number {
  if (!Number.isFinite(value)) throw malformed("NaN or infinity");
  return value;
}

/** RFC 8949 appendix D. */
function half(bits: number): number {
  const [exponent, mantissa] = [(bits >> 10) & 31, bits & 1_023];
  const size = exponent === 0 ? mantissa * 2 ** -24 : (mantissa + 1_024) * 2 ** (exponent - 25);
  return exponent === 31 ? Number.NaN : bits > 0x7fff ? -size : size;
}

const numberIfSafe = (value: bigint): number | bigint =>
  value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;

function negative(argument: number | bigint): number | bigint {
  const value = -1n - BigInt(argument);
  return value >= Number.MIN_SAFE_INTEGER ? Number(value) : value;
}
