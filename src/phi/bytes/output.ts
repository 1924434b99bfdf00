import { keptBytesMax, type ByteScanner } from "./scanner.ts";
import { copyWords } from "./words.ts";

/** Free bytes behind each run, for the signs between two runs. */
const slack = 16;
/** A run of at least this many bytes is copied by the runtime, whose call takes as long as this many bytes. */
const longRun = 512;
const [arrayBytesMin, arrayBytesMax] = [65_536, 131_072];

/** The constant parts of an entry. */
export interface EntryFrame {
  /** `{"fullUrl":"…/` */
  readonly beforeId: DataView;
  /** `","resource":` */
  readonly afterId: DataView;
  readonly after: DataView;
}

/**
 * The output of a cut. Bytes that leave as they are leave as whole runs: `[runStart, runEnd)` of the text is
 * the run that is not yet copied. The texts of rows stand one behind the other in an array of which a byte is
 * never written again once its row was kept.
 */
export class Output {
  array = new Uint8Array(arrayBytesMin);
  /** The row in the array: `[start, written)`. */
  start = 0;
  written = 0;
  runStart = 0;
  runEnd = 0;
  readonly #scanner: ByteScanner;
  #words = new DataView(this.array.buffer);
  /** The array is in use up to here. */
  #kept = 0;
  /** Free bytes between the last kept row and this row. */
  #gap = 0;

  constructor(scanner: ByteScanner) {
    this.#scanner = scanner;
  }

  /** Begins a row at a place of the text. @param gap bytes to keep free before it. */
  begin(at: number, gap: number): void {
    // A long text may be cut a second time: into the same array.
    if (this.array.length > 2 * keptBytesMax && this.#scanner.length <= keptBytesMax) this.#renew();
    this.#gap = gap;
    this.start = this.#kept + gap;
    this.written = this.start;
    this.runStart = this.runEnd = at;
    if (this.written + slack > this.array.length) this.reserve(0);
  }

  /** The row as far as it is written, for a look at it before it is kept. */
  get row(): Uint8Array {
    return this.array.subarray(this.start, this.written);
  }

  /** Bytes of the row as far as it is written. */
  get length(): number {
    return this.written - this.start;
  }

  /** Keeps the row. @returns the row as a part of the array. */
  keep(): Uint8Array {
    return this.#keep(this.start);
  }

  /** Keeps the row as an entry, behind a comma. @param id and `idLength`: the id of the resource in the text. */
  keepEntry({ beforeId, afterId, after }: EntryFrame, id: number, idLength: number): Uint8Array {
    const length = beforeId.byteLength + idLength + afterId.byteLength;
    if (length >= this.#gap) this.#widen(length + 1 - this.#gap);
    this.reserve(after.byteLength);
    const words = this.#words;
    const from = this.start - length;
    this.array[from - 1] = 0x2c;
    copyWords(words, from, beforeId, 0, beforeId.byteLength);
    const idAt = from + beforeId.byteLength;
    copyWords(words, idAt, this.#scanner.words, id, idLength);
    copyWords(words, idAt + idLength, afterId, 0, afterId.byteLength);
    copyWords(words, this.written, after, 0, after.byteLength);
    this.written += after.byteLength;
    return this.#keep(from);
  }

  #keep(from: number): Uint8Array {
    const { array, written } = this;
    this.#kept = written;
    this.start = written;
    if (written - from > keptBytesMax) this.#renew(); // its array is this row's alone
    return array.subarray(from, written);
  }

  /** Moves the row, so that more bytes fit before it. */
  #widen(more: number): void {
    this.reserve(more);
    this.array.copyWithin(this.start + more, this.start, this.written);
    this.#gap += more;
    this.start += more;
    this.written += more;
  }

  // Runs

  /** Makes the output end where a member or item begins, behind a comma if it is not the first. */
  open(at: number, count: number): void {
    if (count > 0) {
      if (this.runEnd === at - 1) this.runEnd = at;
      else {
        this.flush();
        this.array[this.written++] = 0x2c;
        this.runStart = this.runEnd = at;
      }
    } else if (this.runEnd !== at) {
      this.flush();
      this.runStart = this.runEnd = at;
    }
  }

  /** Writes a name and its colon without the white space around it. */
  key(keyEnd: number, valueAt: number): void {
    this.runEnd = keyEnd + 1;
    this.flush();
    this.array[this.written++] = 0x3a;
    this.runStart = this.runEnd = valueAt;
  }

  /** Writes the closing sign at a place of the text. */
  close(at: number): void {
    if (this.runEnd !== at) {
      this.flush();
      this.runStart = at;
    }
    this.runEnd = at + 1;
  }

  /** Writes a text in place of the value that ends at `at`. */
  insert(text: Uint8Array, at: number): void {
    this.flush();
    this.#put(text);
    this.runStart = this.runEnd = at;
  }

  /** Writes a text in place of a value whose name is in the run. */
  replace(text: Uint8Array, valueAt: number, at: number): void {
    this.runEnd = valueAt;
    this.insert(text, at);
  }

  /** Writes a member or item at the end, before the closing sign at `at`. */
  append(count: number, source: DataView, from: number, to: number, at: number): void {
    this.flush();
    const length = to - from;
    this.reserve(length + 1);
    if (count > 0) this.array[this.written++] = 0x2c;
    copyWords(this.#words, this.written, source, from, length);
    this.written += length;
    this.runStart = this.runEnd = at;
  }

  /** Back to an earlier state of the row. @param written bytes of the row at that time. */
  goBack(written: number, runStart: number, runEnd: number): void {
    this.written = this.start + written;
    this.runStart = runStart;
    this.runEnd = runEnd;
  }

  /** Inserts a text into the row, of which no run is open. @param at bytes of the row before it. */
  insertAt(at: number, text: Uint8Array): void {
    this.reserve(text.length);
    const from = this.start + at;
    this.array.copyWithin(from + text.length, from, this.written);
    this.array.set(text, from);
    this.written += text.length;
  }

  flush(): void {
    const from = this.runStart;
    const length = this.runEnd - from;
    this.runStart = this.runEnd;
    if (this.written + length + slack > this.array.length) this.reserve(length);
    if (length === 0) return;
    const at = this.written;
    const { bytes, words: source } = this.#scanner;
    if (length >= longRun) this.array.set(bytes.subarray(from, from + length), at);
    else copyWords(this.#words, at, source, from, length);
    this.written = at + length;
  }

  #put(text: Uint8Array): void {
    this.reserve(text.length);
    this.array.set(text, this.written);
    this.written += text.length;
  }

  /** Makes room for more bytes: in a new array, to which this row moves. */
  reserve(length: number): void {
    const { array, start, written } = this;
    if (written + length + slack <= array.length) return;
    const gap = this.#gap;
    const needed = gap + written - start + length + slack;
    // An output is rarely longer than its text. Pages of a new array that are not written to take no memory.
    const whole = this.#scanner.length + arrayBytesMin;
    const isLong = needed > arrayBytesMax && needed <= whole;
    const usual = Math.min(2 * array.length, arrayBytesMax);
    const larger = new Uint8Array(isLong ? whole : Math.max(usual, 2 * needed));
    larger.set(array.subarray(start, written), gap);
    this.#take(larger);
    this.start = gap;
    this.written = gap + written - start;
    this.#kept = 0;
  }

  #renew(): void {
    this.#take(new Uint8Array(arrayBytesMin));
    this.start = this.written = this.#kept = 0;
  }

  #take(array: Uint8Array<ArrayBuffer>): void {
    this.array = array;
    this.#words = new DataView(array.buffer);
  }
}
