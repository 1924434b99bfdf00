import { copyWords } from "#phi/bytes/words";

/** Of the isolate: an answer writes to it in a single turn. */
const scratch = new Uint8Array(65_536);

/**
 * The rows of one answer in their form, one behind the other. In the place of each code is a hole, which is filled once
 * the codes of all rows are known.
 */
export class FormOutput {
  bytes: Uint8Array<ArrayBuffer>;
  words: DataView;
  at = 0;
  /** For each hole its place, and the number of the name whose code belongs there. */
  holes = new Int32Array(512);
  holesUsed = 0;

  constructor() {
    this.bytes = scratch;
    this.words = new DataView(scratch.buffer);
  }

  /** The end of the turn: takes the rows out of the array of the isolate. */
  finish(): void {
    this.#take(this.bytes.slice(0, this.at));
  }

  byte(sign: number): void {
    if (this.at === this.bytes.length) this.#reserve(1);
    this.bytes[this.at++] = sign;
  }

  copy(source: DataView, from: number, to: number): void {
    const length = to - from;
    if (this.at + length > this.bytes.length) this.#reserve(length);
    copyWords(this.words, this.at, source, from, length);
    this.at += length;
  }

  text(text: DataView): void {
    this.copy(text, 0, text.byteLength);
  }

  hole(name: number): void {
    if (this.holesUsed + 2 > this.holes.length) {
      const larger = new Int32Array(2 * this.holes.length);
      larger.set(this.holes);
      this.holes = larger;
    }
    this.holes[this.holesUsed] = this.at;
    this.holes[this.holesUsed + 1] = name;
    this.holesUsed += 2;
  }

  /** Writes an earlier hole again, whose text was moved. */
  repeatHole(hole: number, moved: number): void {
    const end = this.at;
    this.at = (this.holes[hole] ?? 0) + moved;
    this.hole(this.holes[hole + 1] ?? 0);
    this.at = end;
  }

  /** Back to an earlier end. */
  goBack(at: number, holesUsed: number): void {
    this.at = at;
    this.holesUsed = holesUsed;
  }

  #reserve(length: number): void {
    const larger = new Uint8Array(2 * (this.bytes.length + length));
    larger.set(this.bytes.subarray(0, this.at));
    this.#take(larger);
  }

  #take(bytes: Uint8Array<ArrayBuffer>): void {
    this.bytes = bytes;
    this.words = new DataView(bytes.buffer);
  }
}
