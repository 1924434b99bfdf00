import { joinBytes } from "#fhir/json/bytes";

const commaSign = 0x2c;
const comma = Uint8Array.of(commaSign);

/**
 * The parts of a body. Adjacent texts of the same array are a single part: the byte engine writes the rows of a
 * page like this, with commas between them.
 */
export class BodyParts {
  length = 0;
  #parts: Uint8Array[] = [];
  /** The last part, `[start, end)` of an array; its `buffer` is undefined if there is none. */
  #buffer: ArrayBufferLike | undefined;
  #whole: Uint8Array = comma;
  #start = 0;
  #end = 0;

  add(text: Uint8Array): void {
    const { length } = text;
    if (text.buffer === this.#buffer && text.byteOffset === this.#end) this.#end += length;
    else this.#begin(text);
    this.length += length;
  }

  addBehindComma(text: Uint8Array): void {
    const end = this.#end;
    if (text.buffer === this.#buffer && text.byteOffset === end + 1 && this.#whole[end] === commaSign) {
      this.#end += 1 + text.length;
      this.length += 1 + text.length;
    } else {
      this.add(comma);
      this.add(text);
    }
  }

  #begin(text: Uint8Array): void {
    this.#finish();
    if (text.buffer !== this.#buffer) {
      this.#buffer = text.buffer;
      this.#whole = new Uint8Array(text.buffer);
    }
    this.#start = text.byteOffset;
    this.#end = text.byteOffset + text.length;
  }

  #finish(): void {
    if (this.#end > this.#start) this.#parts.push(this.#whole.subarray(this.#start, this.#end));
    this.#start = this.#end = 0;
  }

  /** The joined body, in an array of its own; the parts begin anew. */
  take(): Uint8Array<ArrayBuffer> {
    this.#finish();
    const body = joinBytes(this.#parts);
    this.#parts = [];
    this.length = 0;
    this.#buffer = undefined;
    this.#whole = comma; // the array of a long row is not kept
    return body;
  }
}
