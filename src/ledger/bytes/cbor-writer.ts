/**
 * A value that this writer leaves to the library. The writer handles whole numbers, byte strings, text,
 * arrays, maps, true, false and null.
 */
export class NotPlain extends Error {}

const encoder = new TextEncoder();
const majors = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5 } as const;
const [FALSE, TRUE, NULL] = [0xf4, 0xf5, 0xf6];

/**
 * Writes deterministic CBOR (RFC 8949 §4.2.1) of plain data: the library's bytes, several times as fast.
 * Each append of the ledger writes a record of some sixty items. Throws `NotPlain` for a value that the
 * library must write.
 */
export function writeCbor(value: unknown): Uint8Array {
  const writer = new CborWriter();
  writer.item(value);
  return writer.written();
}

class CborWriter {
  #bytes = new Uint8Array(1_024);
  #at = 0;

  written(): Uint8Array {
    return this.#bytes.slice(0, this.#at);
  }

  item(value: unknown): void {
    if (typeof value === "string") this.#text(value);
    else if (typeof value === "number") this.#number(value);
    else if (value instanceof Uint8Array) this.#byteString(value);
    else if (Array.isArray(value)) {
      this.#head(majors.array, value.length);
      for (const one of value) this.item(one);
    } else if (value === null) this.#byte(NULL);
    else if (typeof value === "boolean") this.#byte(value ? TRUE : FALSE);
    else this.#map(value instanceof Map ? [...(value as ReadonlyMap<unknown, unknown>)] : membersOf(value));
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value)) throw new NotPlain();
    if (value >= 0) this.#head(majors.unsigned, value);
    else this.#head(majors.negative, -1 - value);
  }

  #byteString(value: Uint8Array): void {
    this.#head(majors.bytes, value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  #text(text: string): void {
    if (!isAscii(text)) {
      const bytes = encoder.encode(text);
      this.#head(majors.text, bytes.length);
      this.#reserve(bytes.length);
      this.#bytes.set(bytes, this.#at);
      this.#at += bytes.length;
      return;
    }
    this.#head(majors.text, text.length);
    this.#reserve(text.length);
    for (let i = 0; i < text.length; i++) this.#bytes[this.#at++] = text.charCodeAt(i);
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
    this.#reserve(9);
    const type = major << 5;
    if (count < 24) return this.#byte(type | count);
    const width = count < 0x1_00 ? 1 : count < 0x1_0000 ? 2 : count < 0x1_0000_0000 ? 4 : 8;
    this.#byte(type | (24 + Math.log2(width)));
    for (let shift = width - 1; shift >= 0; shift--) this.#byte(Math.floor(count / 256 ** shift) % 256);
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
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    throw new NotPlain();
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
