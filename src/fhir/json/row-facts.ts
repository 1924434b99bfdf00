import { largest } from "#kernel/largest";
import { err, type Result } from "#kernel/result";
import { isObject, readJson, resourceBytesMax, type JsonObject, type JsonRefusal } from "./json.ts";
import { JsonScanner } from "./scanner.ts";

/** Facts read from a resource that may be too large or too deep to be read whole. */
export interface RowFacts {
  /** The requested members, as deep as any decision looks; deeper values are null. */
  readonly row: JsonObject;
  /** True if the requested text is a value anywhere in the resource. */
  readonly holdsText: boolean;
}

// Labels, owners and codes are six levels deep at most.
const depthKept = 24;

const [quote, comma, openBrace, closeBrace] = [0x22, 0x2c, 0x7b, 0x7d];
const nothing = [0x6e, 0x75, 0x6c, 0x6c]; // null
const utf8 = new TextDecoder();

/**
 * Reads some members of a resource from its bytes as they arrive, and stores nothing of the rest, however
 * large and deep it is and however often its names repeat. It is still strict: the whole must be JSON in
 * UTF-8, and a requested member must not repeat.
 */
export class RowFactsReader {
  readonly #names: ReadonlySet<string>;
  readonly #text: string;
  readonly #scanner = new JsonScanner();
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** The text of the requested members, as an object. */
  readonly #kept = new Bytes(resourceBytesMax, [openBrace]);
  /** The last string without its quotes, as written. */
  readonly #string: Bytes;
  #inString = false;
  #state: "passing" | "keeping" | "pruning" = "passing";
  #holdsText = false;
  #fault: JsonRefusal["reason"] | undefined;

  /**
   * @param names of members of the resource. @param text to be searched for in all values, at any depth.
   */
  constructor(names: ReadonlySet<string>, text: string) {
    this.#names = names;
    this.#text = text;
    // Every character may be an escape of six bytes. A longer string is neither the text nor a requested
    // name.
    this.#string = new Bytes(
      6 *
        largest(
          [...names].map(({ length }) => length),
          text.length,
        ),
      [],
    );
  }

  push(chunk: Uint8Array): void {
    if (this.#fault !== undefined) return;
    try {
      this.#decoder.decode(chunk, { stream: true });
    } catch {
      this.#fault = "not_utf8";
      return;
    }
    for (const byte of chunk) {
      this.#take(byte);
      if (this.#fault !== undefined) return;
    }
  }

  end(): Result<RowFacts, JsonRefusal> {
    if (this.#fault === undefined && !this.#scanner.isWhole) this.#fault = "not_json";
    if (this.#kept.isOver) this.#fault ??= "too_large";
    if (this.#fault !== undefined) return err({ reason: this.#fault });
    this.#kept.add(closeBrace);
    const read = readJson(this.#kept.bytes);
    if (!read.ok) return read;
    return isObject(read.value)
      ? { ok: true, value: { row: read.value, holdsText: this.#holdsText } }
      : err({ reason: "not_json" });
  }

  #take(byte: number): void {
    const step = this.#scanner.step(byte);
    const { depth, isBehindComma } = this.#scanner;
    const ends = (step === "closes" && depth === 0) || (depth === 1 && isBehindComma);
    if (ends) this.#state = "passing";
    switch (step) {
      case "fault":
        this.#fault = "not_json";
        return;
      case "name begins":
      case "text begins":
        this.#string.clear();
        this.#inString = true;
        break;
      case "name ends":
        this.#inString = false;
        if (depth === 1) this.#beginMember(); // the colon comes next
        else if (this.#state === "keeping") this.#kept.add(byte);
        return;
      case "text ends":
        this.#inString = false;
        this.#holdsText ||= this.#spelled(this.#text.length) === this.#text;
        break;
      case "opens":
        if (this.#state === "keeping" && depth > depthKept) {
          this.#state = "pruning";
          for (const sign of nothing) this.#kept.add(sign);
        }
        break;
      case "closes":
        if (this.#state !== "pruning" || depth !== depthKept) break;
        this.#state = "keeping"; // after this byte, which closes the skipped value
        return;
      case "none":
        if (this.#inString) this.#string.add(byte);
    }
    if (this.#state === "keeping") this.#kept.add(byte);
  }

  #beginMember(): void {
    const name = this.#spelled(0);
    if (name === undefined || !this.#names.has(name)) return;
    if (this.#kept.length > 1) this.#kept.add(comma);
    for (const byte of [quote, ...this.#string.bytes, quote]) this.#kept.add(byte);
    this.#state = "keeping";
  }

  /** The last string with its escapes decoded; undefined if its length rules it out. */
  #spelled(lengthMin: number): string | undefined {
    if (this.#string.isOver || this.#string.length < lengthMin) return undefined;
    return JSON.parse(`"${utf8.decode(this.#string.bytes)}"`) as string; // the scanner has checked it
  }
}

/** Collects bytes up to a maximum. */
class Bytes {
  readonly #max: number;
  #held: Uint8Array;
  length: number;
  isOver = false;

  constructor(max: number, first: readonly number[]) {
    this.#max = max;
    this.#held = new Uint8Array(256);
    this.#held.set(first);
    this.length = first.length;
  }

  get bytes(): Uint8Array {
    return this.#held.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
    this.isOver = false;
  }

  add(byte: number): void {
    this.isOver ||= this.length >= this.#max;
    if (this.isOver) return;
    if (this.length === this.#held.length) {
      const larger = new Uint8Array(2 * this.length);
      larger.set(this.#held);
      this.#held = larger;
    }
    this.#held[this.length] = byte;
    this.length += 1;
  }
}
