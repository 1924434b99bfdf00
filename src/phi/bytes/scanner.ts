import { utf8 } from "#kernel/encoded";
import { inlineLabel } from "#fhir/json/facts";
import { depthMax, resourceBytesMax } from "#fhir/json/json";
import { byteClass, strictClasses, type Needle } from "./byte-classes.ts";
import { hashOf } from "./name-hash.ts";
import type { SoughtTable } from "./sought-table.ts";
import { isSame } from "./words.ts";
import { unusual } from "./unusual.ts";

/** Members of one object. A resource of R4 has at most 60; every name is compared with all before it. */
const namesMax = 128;
/** Zeros behind the text: no look-ahead leaves the array. */
const padding = 128;
/** Longer texts are read into an array of their own, which is dropped afterwards. */
export const keptBytesMax = 1_048_576;
const bytesMin = 65_536;

const urlHash = hashOf("url");
const codeHash = hashOf("code");
const referenceHash = hashOf("reference");
/** Answers whether the text of a member may decide about the resource around it. */
export const mayDecide = (name: string): boolean => ["url", "code", "reference"].includes(name);
const containedHash = hashOf("contained");
const label = utf8(inlineLabel);

/** The string needs a closer look: an address may be in it. */
const flagLook = 1;
/** The string has an escape that is written in another way when it leaves. */
export const flagRewrite = 2;

/**
 * Reads JSON from bytes, and finds where each value ends. It is strict like `readJson`: UTF-8, control
 * characters, escapes, numbers, depth and repeated names are all checked. Whatever is unusual or malformed ends
 * with `unusual`. The methods that take a position return the position behind what they read.
 */
export class ByteScanner {
  /** The text, with zeros behind it. It changes with the next text. */
  bytes: Uint8Array = new Uint8Array(bytesMin + padding);
  /** The same bytes, read four at a time. */
  words = new DataView(this.bytes.buffer);
  length = 0;
  /** Position in the text. */
  at = 0;
  depth = 0;
  /** The names of all open objects are noted up to here. */
  namesUsed = 0;
  /** The place of the closing quote of the last name. */
  keyEnd = 0;
  /** `flagLook` and `flagRewrite` of the last string. */
  flags = 0;
  /** The parts of an address that the strings of this answer are searched for. */
  needles: readonly Needle[] = [];
  /** The codes and references that decide about a resource, wherever they stand in it. */
  sought: SoughtTable | undefined;
  /** The place of the last that was found in the resource; -1: there is none. */
  foundAt = -1;
  /** The patients of contained resources decide about their container: it is left to the plain engine. */
  refusesContained = false;
  /** The text is read where it stands, so nothing is written to its array. */
  #isBorrowed = false;
  /** The hashes of the names of all open objects. */
  readonly #names = new Int32Array(depthMax * namesMax + namesMax);
  /** For each depth of a hidden value: where the names of the object around it begin, or -1 for a list. */
  readonly #outer = new Int32Array(depthMax + 2);

  /** Takes a text of at most 8 MiB. */
  load(text: Uint8Array): void {
    const { length } = text;
    if (length > resourceBytesMax) throw unusual;
    const padded = length > keptBytesMax ? paddedFrom(text) : undefined;
    if (padded === undefined) {
      const { length: room } = this.bytes;
      if (this.#isBorrowed || room < length + padding || room > keptBytesMax + padding)
        this.#take(new Uint8Array(Math.max(bytesMin, Math.min(2 * length, keptBytesMax), length) + padding));
      this.bytes.set(text);
      this.bytes.fill(0, length, length + padding);
    } else this.#take(padded);
    this.#isBorrowed = padded !== undefined;
    this.length = length;
    this.start(0);
  }

  #take(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Goes to where a text begins inside the text that was loaded. */
  start(at: number): void {
    this.at = at;
    this.depth = 0;
    this.namesUsed = 0;
  }

  // Steps through the text, by `at`

  /** Past white space: the next byte, 0 at the end. */
  next(): number {
    this.at = this.space(this.at);
    return this.bytes[this.at] ?? 0;
  }

  get isAtEnd(): boolean {
    return this.next() === 0 && this.at === this.length;
  }

  /** Past a sign. */
  pass(sign: number): void {
    if (this.bytes[this.at] !== sign) throw unusual;
    this.at += 1;
  }

  /** Enters an object or leaves it: for members outside of resources. */
  enter(): number {
    this.pass(0x7b);
    if (++this.depth > depthMax) throw unusual;
    return this.namesUsed;
  }

  leave(base: number): void {
    this.pass(0x7d);
    this.depth -= 1;
    this.namesUsed = base;
  }

  /**
   * At the opening quote of a name: past the colon, at the value.
   *
   * @param base result of `enter`. @returns the hash of the name, see `hashOf`.
   */
  key(base: number): number {
    const quote = this.at;
    this.pass(0x22);
    const hash = this.name(quote);
    this.noteName(hash, base);
    this.at = this.valueAt(this.keyEnd);
    return hash;
  }

  /** Answers whether the last name is this one: another name may have its hash. */
  isKey(name: Uint8Array): boolean {
    const start = this.keyEnd - name.length;
    return this.bytes[start - 1] === 0x22 && isSame(name, this.bytes, start, this.keyEnd);
  }

  /** At a value: past it. @param hash of its name, if it is part of a resource. */
  skipValue(hash = 0): void {
    this.at = this.skip(this.at, this.bytes[this.at] ?? 0, hash);
  }

  isAt(at: number, text: Uint8Array): boolean {
    return isSame(text, this.bytes, at, at + text.length);
  }

  // Reads from a position

  space(from: number): number {
    const { bytes } = this;
    let at = from;
    let sign = bytes[at] ?? 0;
    while (sign === 0x20 || sign === 0x0a || sign === 0x0d || sign === 0x09) sign = bytes[++at] ?? 0;
    return at;
  }

  /** At the opening quote of a name: its hash; `keyEnd` becomes the place of its closing quote. */
  name(quote: number): number {
    const { bytes } = this;
    const classes = strictClasses;
    let at = quote + 1;
    let hash = 0;
    let sign = bytes[at] ?? 0;
    while (classes[sign] === byteClass.plain) {
      hash = (Math.imul(hash, 31) + sign) | 0;
      at += 1;
      sign = bytes[at] ?? 0;
    }
    // an escape or a character outside ASCII has two spellings, or the text is at its end
    if (sign !== 0x22) throw unusual;
    this.keyEnd = at;
    return hash;
  }

  /** Two names of one hash in one object may be the same name. */
  noteName(hash: number, base: number): void {
    const names = this.#names;
    const used = this.namesUsed;
    for (let each = base; each < used; each += 1) if (names[each] === hash) throw unusual;
    if (used - base >= namesMax) throw unusual;
    names[used] = hash;
    this.namesUsed = used + 1;
  }

  /** The place of the value behind a name's closing quote. */
  valueAt(keyEnd: number): number {
    const { bytes } = this;
    let at = keyEnd + 1;
    if (bytes[at] !== 0x3a) {
      at = this.space(at);
      if (bytes[at] !== 0x3a) throw unusual;
    }
    at += 1;
    return (bytes[at] ?? 0) <= 0x20 ? this.space(at) : at;
  }

  /** At an opening quote. `flags` says whether the string needs a closer look. */
  text(quote: number, classes: Uint8Array): number {
    const { bytes } = this;
    let at = quote + 1;
    let flags = 0;
    for (;;) {
      let kind = classes[bytes[at] ?? 0] ?? byteClass.control;
      while (kind === byteClass.plain) {
        at += 1;
        kind = classes[bytes[at] ?? 0] ?? byteClass.control;
      }
      if (kind === byteClass.quote) {
        this.flags = flags;
        return at + 1;
      }
      if (kind === byteClass.needle) {
        if ((flags & flagLook) === 0 && this.#isNeedle(at)) flags |= flagLook;
        at += 1;
      } else if (kind === byteClass.suspect) {
        flags |= flagLook;
        at += 1;
      } else if (kind === byteClass.wide) {
        flags |= flagLook;
        at = this.#wide(at);
      } else if (kind === byteClass.backslash) {
        const escape = bytes[at + 1] ?? 0;
        // `\"` is written like this again, and no address contains a quote
        if (escape !== 0x22) flags |= this.#escape(at, escape);
        at += escape === 0x75 ? 6 : 2;
      } else throw unusual;
    }
  }

  /** At the opening quote of a string that does not leave. */
  #hiddenText(quote: number): number {
    const { bytes, words } = this;
    let at = quote + 1;
    for (;;) {
      const word = words.getInt32(at, true);
      // The high bit of a byte is set if it is a quote, a backslash, below 0x20 or above 0x7f. A bit may be set
      // for a plain byte behind such a byte, too.
      const marks =
        (word |
          (word - 0x20202020) |
          ((word ^ 0x22222222) - 0x01010101) |
          ((word ^ 0x5c5c5c5c) - 0x01010101)) &
        0x80808080;
      if (marks !== 0) break;
      at += 4;
    }
    while (strictClasses[bytes[at] ?? 0] === byteClass.plain) at += 1;
    if (bytes[at] !== 0x22) return this.text(quote, strictClasses);
    this.flags = 0;
    return at + 1;
  }

  #escape(at: number, escape: number): number {
    if (escape === 0x75) {
      for (let each = at + 2; each < at + 6; each += 1) if (!isHex(this.bytes[each] ?? 0)) throw unusual;
      return flagLook | flagRewrite;
    }
    if (escape === 0x2f) return flagLook | flagRewrite;
    // \\ \b \f \n \r \t: written like this again
    if (
      escape === 0x5c ||
      escape === 0x62 ||
      escape === 0x66 ||
      escape === 0x6e ||
      escape === 0x72 ||
      escape === 0x74
    )
      return flagLook;
    throw unusual;
  }

  /** At the first byte of a character outside ASCII (Unicode, table 3-7): behind its last. */
  #wide(at: number): number {
    const { bytes } = this;
    const first = bytes[at] ?? 0;
    const second = bytes[at + 1] ?? 0;
    if ((second & 0xc0) !== 0x80) throw unusual;
    if (first >= 0xc2 && first <= 0xdf) return at + 2;
    if (((bytes[at + 2] ?? 0) & 0xc0) !== 0x80) throw unusual;
    if (first >= 0xe0 && first <= 0xef) {
      // overlong, or a surrogate
      if ((first === 0xe0 && second < 0xa0) || (first === 0xed && second > 0x9f)) throw unusual;
      return at + 3;
    }
    if (((bytes[at + 3] ?? 0) & 0xc0) !== 0x80 || first < 0xf0 || first > 0xf4) throw unusual;
    if ((first === 0xf0 && second < 0x90) || (first === 0xf4 && second > 0x8f)) throw unusual;
    return at + 4;
  }

  #isNeedle(at: number): boolean {
    const { bytes } = this;
    for (const { bytes: needle, at: offset } of this.needles) {
      const start = at - offset;
      if (start < 0) continue;
      let same = 0;
      while (same < needle.length) {
        const sign = bytes[start + same] ?? 0;
        const lower = sign >= 0x41 && sign <= 0x5a ? sign + 0x20 : sign;
        if (lower !== needle[same]) break;
        same += 1;
      }
      if (same === needle.length) return true;
    }
    return false;
  }

  /** At `null` or `true`, by its further letters; or at the letter before the last three of `false`. */
  word(at: number, second: number, third: number, fourth: number, length: number): number {
    const { bytes } = this;
    if (bytes[at + 1] !== second || bytes[at + 2] !== third || bytes[at + 3] !== fourth) throw unusual;
    return at + length;
  }

  boolean(at: number, sign: number): number {
    if (sign === 0x74) return this.word(at, 0x72, 0x75, 0x65, 4);
    if (sign !== 0x66 || this.bytes[at + 4] !== 0x65) throw unusual;
    return this.word(at, 0x61, 0x6c, 0x73, 5);
  }

  number(from: number, first: number): number {
    const { bytes } = this;
    let at = from;
    let sign = first;
    if (sign === 0x2d) sign = bytes[++at] ?? 0;
    if (sign === 0x30) sign = bytes[++at] ?? 0;
    else if (sign >= 0x31 && sign <= 0x39) {
      do sign = bytes[++at] ?? 0;
      while (sign >= 0x30 && sign <= 0x39);
    } else throw unusual;
    if (sign === 0x2e) {
      sign = bytes[++at] ?? 0;
      if (sign < 0x30 || sign > 0x39) throw unusual;
      do sign = bytes[++at] ?? 0;
      while (sign >= 0x30 && sign <= 0x39);
    }
    if ((sign | 0x20) === 0x65) {
      sign = bytes[++at] ?? 0;
      if (sign === 0x2b || sign === 0x2d) sign = bytes[++at] ?? 0;
      if (sign < 0x30 || sign > 0x39) throw unusual;
      do sign = bytes[++at] ?? 0;
      while (sign >= 0x30 && sign <= 0x39);
    }
    return at;
  }

  /**
   * A text of a member that may decide about the resource, see {@link mayDecide}. The label of one element, or a text that
   * may spell it, is refused: the plain engine weighs labels. A code or reference that is sought is noted.
   *
   * @param hash of the member's name. @param start of the text, with its quotes. @param look its flags.
   */
  noteDeciding(hash: number, start: number, end: number, look: number): void {
    if (hash === urlHash) {
      if ((look & flagRewrite) !== 0) throw unusual;
      if (end - start === label.length + 2 && this.isAt(start + 1, label)) throw unusual;
    } else if (this.sought !== undefined) this.#noteSought(hash, start, end);
  }

  #noteSought(hash: number, start: number, end: number): void {
    if (hash === codeHash && this.sought?.mayCode(this.bytes, start + 1, end - 1) === true)
      this.foundAt = start;
    else if (hash === referenceHash) this.noteReference(start, end);
  }

  /** Notes a reference, or the id of the resource, by which a Consent may judge the resource. */
  noteReference(start: number, end: number): void {
    if (this.sought?.mayName(this.bytes, start + 1, end - 1) === true) this.foundAt = start;
  }

  /** @param hash of a name. */
  passName(hash: number): void {
    if (hash === containedHash && this.refusesContained) throw unusual;
  }

  /**
   * At a value that is read again, strictly: behind it, if it is JSON. Only its strings are checked.
   */
  pastValue(from: number): number {
    const { bytes } = this;
    let at = from;
    let depth = 0;
    for (;;) {
      const sign = bytes[at] ?? 0;
      if (sign === 0) throw unusual;
      if (depth === 0 && (sign === 0x2c || sign === 0x7d || sign === 0x5d)) return at; // behind a number or word
      at += 1;
      if (sign === 0x22) {
        at = this.#hiddenText(at - 1);
        if (depth === 0) return at;
      } else if (sign === 0x7b || sign === 0x5b) depth += 1;
      else if ((sign === 0x7d || sign === 0x5d) && --depth === 0) return at;
    }
  }

  /** At a value that does not leave. @param hash of its name, to know an inline label. */
  skip(from: number, first: number, hash: number): number {
    const { bytes } = this;
    const outer = this.#outer;
    const bottom = this.depth;
    let at = from;
    let sign = first;
    let name = hash;
    let base = this.namesUsed;
    let depth = bottom;
    let isBehind = false;
    this.passName(hash);
    for (;;) {
      if (!isBehind) {
        isBehind = true;
        if (sign === 0x22) {
          const start = at;
          at = this.#hiddenText(at);
          // most texts: the rest of the question is not worth a call
          if (name === urlHash || this.sought !== undefined) this.noteDeciding(name, start, at, this.flags);
        } else if (sign === 0x7b || sign === 0x5b) {
          if (++depth > depthMax) throw unusual;
          at += 1;
          if ((bytes[at] ?? 0) <= 0x20) at = this.space(at);
          if (sign === 0x7b) {
            outer[depth] = base;
            base = this.namesUsed;
            sign = bytes[at] ?? 0;
            if (sign !== 0x7d) {
              if (sign !== 0x22) throw unusual;
              name = this.name(at);
              this.passName(name);
              this.noteName(name, base);
              at = this.valueAt(this.keyEnd);
              sign = bytes[at] ?? 0;
              isBehind = false;
            }
          } else {
            outer[depth] = -1;
            name = 0;
            sign = bytes[at] ?? 0;
            isBehind = sign === 0x5d;
          }
        } else if (sign === 0x74 || sign === 0x66) at = this.boolean(at, sign);
        else if (sign === 0x6e) at = this.word(at, 0x75, 0x6c, 0x6c, 4);
        else at = this.number(at, sign);
      } else {
        if (depth === bottom) return at;
        sign = bytes[at] ?? 0;
        if (sign <= 0x20) {
          at = this.space(at);
          sign = bytes[at] ?? 0;
        }
        const around = outer[depth] ?? -1;
        if (sign === 0x2c) {
          at += 1;
          sign = bytes[at] ?? 0;
          if (sign <= 0x20) {
            at = this.space(at);
            sign = bytes[at] ?? 0;
          }
          isBehind = false;
          if (around >= 0) {
            if (sign !== 0x22) throw unusual;
            name = this.name(at);
            this.passName(name);
            this.noteName(name, base);
            at = this.valueAt(this.keyEnd);
            sign = bytes[at] ?? 0;
          } else name = 0;
        } else if (sign === (around >= 0 ? 0x7d : 0x5d)) {
          at += 1;
          depth -= 1;
          if (around >= 0) {
            this.namesUsed = base;
            base = around;
          }
        } else throw unusual;
      }
    }
  }
}

/** The text and the zeros behind it, if its array has them; `EntrySplitter` puts them behind a long entry. */
function paddedFrom({ buffer, byteOffset, length }: Uint8Array): Uint8Array | undefined {
  if (byteOffset + length + padding > buffer.byteLength) return undefined;
  const padded = new Uint8Array(buffer, byteOffset, length + padding);
  for (let at = length; at < length + padding; at += 1) if (padded[at] !== 0) return undefined;
  return padded;
}

const isHex = (sign: number): boolean =>
  (sign >= 0x30 && sign <= 0x39) || ((sign | 0x20) >= 0x61 && (sign | 0x20) <= 0x66);
