/**
 * A value outside of docs/ledger-format.md, which allows whole numbers, byte strings, text, arrays, maps,
 * true, false and null.
 */
export class NotPlain extends Error {}

const encoder = new TextEncoder();
const majors = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5 } as const;
const [FALSE, TRUE, NULL] = [0xf4, 0xf5, 0xf6];

/**
 * Writes deterministic CBOR (RFC 8949 §4.2.1) of plain data, several times as fast as the library of the tests:
 * each append of the ledger writes a record of some sixty items. Throws `NotPlain` for a value outside of
 * the format.
 */
export function writeCbor(value: unknown): Uint8Array {
  const writer = new CborWriter();
  writer.item(value);
  return writer.finish();
}

// Writers share a buffer, one after another: a new buffer for each of an append's items would cost more than
// its bytes.
let spare: Uint8Array | undefined;
const SPARE_BYTES_MAX = 131_072;

/** Writes items one after another: `writeCbor` for callers that know the form of their data. */
export class CborWriter {
  #bytes = spare ?? new Uint8Array(4_096);
  #at = 0;

  constructor() {
    spare = undefined; // a second writer before `finish` gets a buffer of its own
  }

  /** The number of bytes so far. */
  get length(): number {
    return this.#at;
  }

  /** A copy of all bytes. The writer is not used again. */
  finish(): Uint8Array {
    const written = this.#bytes.slice(0, this.#at);
    if (this.#bytes.length <= SPARE_BYTES_MAX) spare = this.#bytes;
    return written;
  }

  item(value: unknown): void {
    if (typeof value === "string") this.text(value);
    else if (typeof value === "number") this.#number(value);
    else if (value instanceof Uint8Array) this.byteString(value);
    else if (Array.isArray(value)) {
      this.array(value.length);
      for (const one of value) this.item(one);
    } else if (value === null) this.#byte(NULL);
    else if (typeof value === "boolean") this.#byte(value ? TRUE : FALSE);
    else this.#map(value instanceof Map ? [...(value as ReadonlyMap<unknown, unknown>)] : membersOf(value));
  }

  /** A whole number of at least 0. */
  unsigned(value: number): void {
    this.#head(majors.unsigned, value);
  }

  /** The head of an array; its items follow. */
  array(length: number): void {
    this.#head(majors.array, length);
  }

  byteString(value: Uint8Array): void {
    this.#head(majors.bytes, value.length);
    this.#append(value);
  }

  text(text: string): void {
    const { length } = text;
    const before = this.#at;
    this.#head(majors.text, length);
    this.#reserve(length);
    const bytes = this.#bytes;
    const from = this.#at;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) {
        this.#at = before;
        return this.#encodedText(text);
      }
      bytes[from + i] = code;
    }
    this.#at = from + length;
  }

  #encodedText(text: string): void {
    const bytes = encoder.encode(text);
    this.#head(majors.text, bytes.length);
    this.#append(bytes);
  }

  /**
   * Begins a map whose number of entries shows only at its end. The caller writes keys and values in the order
   * of RFC 8949 §4.2.1, then calls `mapEnd`. Returns the place of the map.
   */
  mapStart(): number {
    this.#head(majors.map, 0);
    return this.#at - 1;
  }

  /** Ends the map that began at a place. `count`: its entries, less than 2^16. */
  mapEnd(place: number, count: number): void {
    const end = this.#at;
    const wider = count < 24 ? 0 : count < 0x1_00 ? 1 : 2; // the head's further bytes
    this.#reserve(wider);
    if (wider > 0) this.#bytes.copyWithin(place + 1 + wider, place + 1, end);
    this.#at = place;
    this.#head(majors.map, count);
    this.#at = end + wider;
  }

  /** Takes back all bytes after the first `length`. */
  takeBack(length: number): void {
    this.#at = Math.min(this.#at, length);
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value)) throw new NotPlain();
    if (value >= 0) this.#head(majors.unsigned, value);
    else this.#head(majors.negative, -1 - value);
  }

  #append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #map(entries: [unknown, unknown][]): void {
    this.#head(majors.map, entries.length);
    if (entries.length > 1) entries.sort(([one], [other]) => compareKeys(one, other));
    for (const [key, value] of entries) {
      this.item(key);
      this.item(value);
    }
  }

  /** Writes the shortest head. */
  #head(major: number, count: number): void {
    if (this.#at + 9 > this.#bytes.length) this.#reserve(9);
    const bytes = this.#bytes;
    const type = major << 5;
    if (count < 24) bytes[this.#at++] = type | count;
    else if (count < 0x1_00) {
      bytes[this.#at++] = type | 24;
      bytes[this.#at++] = count;
    } else {
      const width = count < 0x1_0000 ? 2 : count < 0x1_0000_0000 ? 4 : 8;
      bytes[this.#at++] = type | (24 + Math.log2(width));
      for (let shift = width - 1; shift >= 0; shift--)
        bytes[this.#at++] = Math.floor(count / 256 ** shift) % 256;
    }
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = byte;
  }

  #reserve(more: number): void {
    if (this.#at + more <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at + more));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

function membersOf(value: unknown): [string, unknown][] {
  if (typeof value !== "object" || value === null) throw new NotPlain();
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw new NotPlain();
  return Object.entries(value);
}

/**
 * Orders keys by their encodings (RFC 8949 §4.2.1): whole numbers by size, texts by their length in bytes
 * and then byte by byte.
 */
function compareKeys(one: unknown, other: unknown): number {
  if (isUnsigned(one) && isUnsigned(other)) return one - other;
  if (typeof one !== "string" || typeof other !== "string") throw new NotPlain();
  if (isAscii(one) && isAscii(other)) return one.length - other.length || (one < other ? -1 : 1);
  const [a, b] = [encoder.encode(one), encoder.encode(other)];
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return a.length - b.length || (a[at] ?? 0) - (b[at] ?? 0);
}

const isUnsigned = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}
