import { isSameWords, wordsOf } from "#phi/bytes/words";
import { utf8 } from "#kernel/encoded";

/** At most 2 MB: the codes of many pages. */
const entriesMax = 2_048;
const slotsMask = 2 * entriesMax - 1;
/** A longer text is judged each time. */
const lengthMax = 128;

/**
 * The texts in place of values, by the bytes of the values. Only values that may leave are remembered, such as codes of
 * public code systems: an isolate remembers nothing of a person.
 */
export class KnownTexts {
  readonly #slots = new Int32Array(slotsMask + 1);
  readonly #hashes = new Int32Array(entriesMax);
  readonly #keys: DataView[] = [];
  readonly #texts: DataView[] = [];
  readonly #notes: number[] = [];
  #slot = 0;
  #hash = 0;

  /**
   * The entry of the bytes `[from, to)`; -1: they are not known. {@link learn} adds them then.
   *
   * @param kind the rule by which they are judged: the same bytes have a text for each rule.
   */
  find(words: DataView, from: number, to: number, kind: number): number {
    const length = to - from;
    let hash = kind;
    let at = from;
    for (; at + 4 <= to; at += 4) {
      hash = Math.imul(hash ^ words.getInt32(at, true), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    for (; at < to; at += 1) hash = Math.imul(hash ^ words.getUint8(at), 0x9e3779b1);
    const slots = this.#slots;
    const hashes = this.#hashes;
    let slot = (hash >>> 12) & slotsMask;
    for (;;) {
      const entry = (slots[slot] ?? 0) - 1;
      if (entry < 0) break;
      const key = this.#keys[entry];
      if (hashes[entry] === hash && key?.byteLength === length + 4 && key.getInt32(length, true) === kind)
        if (isSame(key, words, from, length)) return entry;
      slot = (slot + 1) & slotsMask;
    }
    this.#slot = slot;
    this.#hash = hash;
    return -1;
  }

  /** Adds the bytes that were not found. @param note see {@link noteOf}. @returns the entry, -1: they are too long. */
  learn(words: DataView, from: number, to: number, kind: number, text: string, note = 0): number {
    const length = to - from;
    if (length > lengthMax) return -1;
    if (this.#keys.length === entriesMax) {
      this.#slots.fill(0);
      for (const list of [this.#keys, this.#texts, this.#notes]) list.length = 0;
      this.find(words, from, to, kind);
    }
    const entry = this.#keys.length;
    const key = new DataView(new ArrayBuffer(length + 4));
    for (let at = 0; at < length; at += 1) key.setUint8(at, words.getUint8(from + at));
    key.setInt32(length, kind, true);
    this.#keys.push(key);
    this.#texts.push(wordsOf(utf8(text)));
    this.#notes.push(note);
    this.#hashes[entry] = this.#hash;
    this.#slots[this.#slot] = entry + 1;
    return entry;
  }

  textOf(entry: number): DataView {
    return this.#texts[entry] ?? nothing;
  }

  noteOf(entry: number): number {
    return this.#notes[entry] ?? 0;
  }
}

function isSame(key: DataView, words: DataView, from: number, length: number): boolean {
  if (length >= 4) return isSameWords(key, 0, words, from, length);
  for (let at = 0; at < length; at += 1) if (key.getUint8(at) !== words.getUint8(from + at)) return false;
  return true;
}

const nothing = new DataView(new ArrayBuffer(0));
