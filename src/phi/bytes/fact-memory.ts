import type { ByteCutter } from "./cutter.ts";
import { copyWords, isSameWords } from "./words.ts";

/** A fact by its index in the plan. */
export interface DecidingFact {
  readonly index: number;
  /** Any object in place of an object decides alike, see `FactLists.presencePaths`. */
  readonly isByPresence: boolean;
}

/** In place of a fact's length. */
const [absent, someObject] = [-1, -2];

// Each answer has some hundred bytes of facts: an array for each of them would be work for the collector.
const arrayBytes = 16_384;
let array = new Uint8Array(arrayBytes);
let used = 0;

// What has no room is made anew each time.
const roomMax = 524_288;

/** The room for the facts that the memories of one answer have, in arrays that the answers of an isolate share. */
export class MemoryRoom {
  #left = roomMax;

  /** So many bytes, which nothing else writes; undefined: there is no room. */
  take(length: number): DataView | undefined {
    if (length > this.#left) return undefined;
    this.#left -= length;
    if (used + length > array.length) {
      array = new Uint8Array(Math.max(arrayBytes, length));
      used = 0;
    }
    used += length;
    return new DataView(array.buffer, used - length, length);
  }
}

/** A value, with the facts that led to it: the length of each, and its bytes. */
interface Remembered<Value> {
  readonly words: DataView;
  readonly value: Value;
}

/** Values by the bytes of the facts that they follow from, for the resource that was cut last. */
export class FactMemory<Value> {
  readonly #facts: readonly DecidingFact[];
  readonly #room: MemoryRoom;
  /** By hash. Of two values with the same hash the later one stays. */
  readonly #known = new Map<number, Remembered<Value>>();
  /** Most rows have the facts of the row before. */
  #last: Remembered<Value> | undefined;

  constructor(facts: readonly DecidingFact[], room: MemoryRoom) {
    this.#facts = facts;
    this.#room = room;
  }

  /** The value for these facts: remembered, or made. */
  of(cutter: ByteCutter, make: () => Value): Value {
    if (this.#last !== undefined && this.#isOfSameFacts(this.#last, cutter)) return this.#last.value;
    const hash = this.#hashOf(cutter);
    const known = this.#known.get(hash);
    if (known !== undefined && this.#isOfSameFacts(known, cutter)) {
      this.#last = known;
      return known.value;
    }
    const value = make();
    this.#remember(cutter, hash, value);
    return value;
  }

  #remember(cutter: ByteCutter, hash: number, value: Value): void {
    const facts = this.#facts;
    let size = 0;
    for (let each = 0; each < facts.length; each += 1)
      size += wordBytes + Math.max(0, lengthOf(facts[each], cutter));
    const words = this.#room.take(size);
    if (words === undefined) return;
    let to = 0;
    for (let each = 0; each < facts.length; each += 1) {
      const length = lengthOf(facts[each], cutter);
      words.setInt32(to, length, true);
      to += wordBytes;
      if (length < 0) continue;
      copyWords(words, to, cutter.scanner.words, startOf(facts[each], cutter), length);
      to += length;
    }
    this.#last = { words, value };
    this.#known.set(hash, this.#last);
  }

  #isOfSameFacts({ words: own }: Remembered<Value>, cutter: ByteCutter): boolean {
    const facts = this.#facts;
    const { words } = cutter.scanner;
    let from = 0;
    for (let each = 0; each < facts.length; each += 1) {
      const length = lengthOf(facts[each], cutter);
      if (own.getInt32(from, true) !== length) return false;
      from += wordBytes;
      if (length < 0) continue;
      if (!isSameText(own, from, words, startOf(facts[each], cutter), length)) return false;
      from += length;
    }
    return true;
  }

  #hashOf(cutter: ByteCutter): number {
    const facts = this.#facts;
    const { words } = cutter.scanner;
    let hash = 0;
    for (let each = 0; each < facts.length; each += 1) {
      const length = lengthOf(facts[each], cutter);
      hash = hashed(hash, length);
      const start = startOf(facts[each], cutter);
      const last = start + length - wordBytes;
      for (let at = start; at < last; at += wordBytes) hash = hashed(hash, words.getInt32(at, true));
      if (length >= wordBytes) hash = hashed(hash, words.getInt32(last, true));
    }
    return hash;
  }
}

const wordBytes = 4;

const hashed = (hash: number, word: number): number =>
  Math.imul(((hash << 5) | (hash >>> 27)) ^ word, 0x9e3779b1);

/** As `isSameWords`, for a text of any length. */
function isSameText(one: DataView, from: number, other: DataView, at: number, length: number): boolean {
  if (length >= wordBytes) return isSameWords(one, from, other, at, length);
  for (let each = 0; each < length; each += 1)
    if (one.getUint8(from + each) !== other.getUint8(at + each)) return false;
  return true;
}

const startOf = (fact: DecidingFact | undefined, { factStart }: ByteCutter): number =>
  factStart[fact?.index ?? 0] ?? 0;

function lengthOf(fact: DecidingFact | undefined, { factStart, factEnd, scanner }: ByteCutter): number {
  const index = fact?.index ?? 0;
  const end = factEnd[index] ?? 0;
  if (end === 0) return absent;
  const start = factStart[index] ?? 0;
  return fact?.isByPresence === true && scanner.bytes[start] === 0x7b ? someObject : end - start;
}
