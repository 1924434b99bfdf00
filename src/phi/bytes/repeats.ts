import type { Mentions } from "./mentions.ts";
import type { ByteScanner } from "./scanner.ts";
import { isSameWords } from "./words.ts";

/** Shorter values are read again: comparing them takes as long. */
const lengthMin = 12;
/** After so many different values of a member, its values are read without a comparison … */
const missesMax = 8;
/** … until so many were read. */
const pauseMax = 40;

const field = { text: 0, start: 1, length: 2, depth: 3, result: 4, room: 5, misses: 6 } as const;
const size = 7;

export const repeatResult = {
  /** The value left as it is written. If this is not set, it was dropped. */
  kept: 1,
  /** It names patients. */
  names: 2,
} as const;

interface Names {
  readonly patients: readonly string[];
  readonly areSeen: readonly boolean[];
}

/**
 * For each member of a plan the place and the result of its last value in the text. The rows of a page repeat
 * categories, codes, systems and subjects: the same bytes below the same node have the same result, so they are
 * compared and not read again. Values that left in another form than they came are not remembered.
 */
export class Repeats {
  #table = new Int32Array(0);
  #names: (Names | undefined)[] = [];
  /** The number of the text that positions refer to. */
  #text = 0;

  /** For a text. @param text a number that no text before had. @param members of the plan. */
  begin(text: number, members: number): void {
    this.#text = text;
    if (this.#table.length >= members * size) return;
    const table = new Int32Array(2 * members * size);
    table.set(this.#table);
    this.#table = table;
  }

  /** The end of the value of a member that begins at a place, if it is the last value again; else 0. */
  endOf(member: number, at: number, { words, depth, length: end }: ByteScanner): number {
    const table = this.#table;
    const entry = member * size;
    if (table[entry + field.text] !== this.#text || table[entry + field.depth] !== depth) return 0;
    const length = table[entry + field.length] ?? 0;
    const misses = table[entry + field.misses] ?? 0;
    if (misses >= missesMax || at + length > end) return 0;
    if (!isSameWords(words, table[entry + field.start] ?? 0, words, at, length)) return 0;
    table[entry + field.misses] = 0;
    return at + length;
  }

  /** `repeatResult` of the value that `endOf` found. */
  resultOf(member: number): number {
    return this.#table[member * size + field.result] ?? 0;
  }

  /** Names the patients that the value names. */
  replay(member: number, mentions: Mentions): void {
    mentions.room += this.#table[member * size + field.room] ?? 0;
    if ((this.resultOf(member) & repeatResult.names) === 0) return;
    const names = this.#names[member];
    if (names === undefined) return;
    const { patients, areSeen } = names;
    for (let each = 0; each < patients.length; each += 1)
      mentions.add(patients[each] ?? "", areSeen[each] === true);
  }

  /**
   * Remembers a value `[start, end)` of a member, unless its values differ again and again.
   *
   * @returns true if it is remembered.
   */
  note(member: number, start: number, end: number, depth: number, result: number): boolean {
    const table = this.#table;
    const entry = member * size;
    if (entry >= table.length || end - start < lengthMin) return false;
    const isKnown = table[entry + field.text] === this.#text;
    const misses = isKnown ? (table[entry + field.misses] ?? 0) + 1 : 0;
    table[entry + field.misses] = misses < pauseMax ? misses : 0;
    if (misses >= missesMax && misses < pauseMax) return false;
    table[entry + field.text] = this.#text;
    table[entry + field.start] = start;
    table[entry + field.length] = end - start;
    table[entry + field.depth] = depth;
    table[entry + field.result] = result;
    table[entry + field.room] = 0;
    return true;
  }

  /** As {@link note}, for a value that may name patients. `from` and `room`: the mentions before it. */
  noteNaming(
    member: number,
    start: number,
    end: number,
    depth: number,
    result: number,
    mentions: Mentions,
    from: number,
    room: number,
  ): void {
    if (mentions.unnamed) return; // perhaps by this value
    const { count } = mentions;
    if (!this.note(member, start, end, depth, count > from ? result | repeatResult.names : result)) return;
    this.#table[member * size + field.room] = mentions.room - room;
    if (count > from)
      this.#names[member] = {
        patients: mentions.patients.slice(from, count),
        areSeen: mentions.areSeen.slice(from, count),
      };
  }
}
