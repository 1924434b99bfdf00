import { err, ok, type Result } from "#kernel/result";
import { joinBytes } from "./bytes.ts";
import { resourceBytesMax, type JsonRefusal } from "./json.ts";
import { JsonScanner } from "./scanner.ts";

/** The bytes of an entry. For an entry over the size limit: only the fact that it was there, and ended. */
export type EntryBytes = Uint8Array | "too_large";

/** An element that was read whole where it begins. */
export interface EntryAhead {
  /** Its end in the chunk. */
  readonly entryEnd: number;
}

/** A reader that reads most elements whole where they begin, so that their ends need not be found first. */
export interface AheadReader<A extends EntryAhead> {
  /** For the elements that begin in this chunk. */
  begin(chunk: Uint8Array): void;
  /**
   * The element that begins at a position of the chunk, once it was read as strictly as `readJson` reads it;
   * `undefined` if it cannot be read here.
   */
  entryAt(at: number): A | undefined;
}

/**
 * The limit for all parts of a Bundle outside its entries: links, identifier, total. The links of a page
 * are some KB at most.
 */
export const frameBytesMax = 262_144;
/** An entry of more bytes is gathered in one array, with some zeros behind it: the byte engine reads it there. */
const [longEntryMin, zerosBehind] = [1_048_576, 256];

const [quote, backslash, colon, comma] = [0x22, 0x5c, 0x3a, 0x2c];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];
const utf8 = new TextDecoder();
// RFC 8259 §2
const isSpace = (byte: number) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/**
 * Extracts the elements of a Bundle's `entry` array from its bytes as they arrive, at any chunk boundaries.
 * It only finds their ends: each slice, and the frame with `"entry":[]` in it, must then be read by
 * `readJson`. Reading all slices and the frame reads the whole body just as strictly, since every byte is
 * in a slice or the frame, except for the commas and white space between two elements, which are checked
 * here. An element that is no object is refused. An element of more than 8 MiB is not stored, and is
 * checked to be JSON to its end.
 */
export class EntrySplitter {
  #fault: JsonRefusal | undefined;
  /** Grows with its content: clearing the maximum size would take longer than reading a page. */
  #frame = new Uint8Array(4_096);
  #frameLength = 0;
  #mode: "frame" | "gap" | "entry" = "frame";
  /** The number of open braces and brackets, in the frame or in the entry. */
  #depth = 0;
  #inString = false;
  #escaped = false;
  /**
   * In the Bundle: the position in the frame of the last string, and a flag that is true if that string is
   * the key `entry`.
   */
  #stringAt = 0;
  #keyNext = false;
  #entryNext: "no" | "colon" | "array" = "no";
  #gap: "element or end" | "element" | "comma or end" = "element or end";
  /** The entry that just ended. */
  #entry: EntryBytes | undefined;
  #parts: Uint8Array[] = [];
  #partsLength = 0;
  /** The array of a long entry. Pages of it that are not written to take no memory. */
  #long: Uint8Array | undefined;
  /** For an entry that is too large to store. */
  #scanner: JsonScanner | undefined;
  #decoder: TextDecoder | undefined;

  /** The elements that end in this chunk, in order. */
  push(chunk: Uint8Array): Result<readonly EntryBytes[], JsonRefusal> {
    const entries: EntryBytes[] = [];
    const read = this.read(chunk, (entry) => void entries.push(entry));
    return read.ok ? ok(entries) : read;
  }

  /**
   * Calls `take` for each element that ends in this chunk, in order, until `take` returns a refusal.
   *
   * @param ahead may find the end of an element by itself.
   */
  read<R, A extends EntryAhead = never>(
    chunk: Uint8Array,
    take: (entry: EntryBytes | A) => R | undefined,
    ahead?: AheadReader<A>,
  ): Result<R | undefined, JsonRefusal> {
    ahead?.begin(chunk);
    let at = 0;
    while (at < chunk.length && this.#fault === undefined) {
      if (this.#mode === "frame") at = this.#readFrame(chunk, at);
      else if (this.#mode === "gap") at = this.#readGap(chunk, at);
      else {
        const isWhole = this.#parts.length === 0 && this.#scanner === undefined;
        const entryAhead = isWhole ? ahead?.entryAt(at) : undefined;
        let entry: EntryBytes | A | undefined = entryAhead;
        if (entryAhead === undefined) {
          at = this.#readEntry(chunk, at);
          entry = this.#entry;
          this.#entry = undefined;
        } else {
          at = entryAhead.entryEnd;
          this.#passEntry();
        }
        const refusal = entry === undefined ? undefined : take(entry);
        if (refusal !== undefined) return ok(refusal);
      }
    }
    return this.#fault === undefined ? ok(undefined) : err(this.#fault);
  }

  /** The Bundle without its entries, as JSON text; an incomplete Bundle gives text that is no JSON. */
  end(): Result<Uint8Array, JsonRefusal> {
    if (this.#fault !== undefined) return err(this.#fault);
    if (this.#mode !== "frame") return err({ reason: "not_json" });
    return ok(this.#frame.subarray(0, this.#frameLength));
  }

  #readFrame(chunk: Uint8Array, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (this.#frameLength === frameBytesMax) return this.#fail("too_large", chunk);
      if (this.#frameLength === this.#frame.length) this.#frame = joinBytes([this.#frame, this.#frame]);
      this.#frame[this.#frameLength] = byte;
      this.#frameLength += 1;
      if (this.#inString) this.#inFrameString(byte);
      else if (!isSpace(byte) && this.#inFrame(byte)) return at + 1;
    }
    return chunk.length;
  }

  #inFrameString(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === backslash) this.#escaped = true;
    else if (byte === quote) {
      this.#inString = false;
      if (this.#keyNext && this.#depth === 1) this.#entryNext = this.#isEntryKey() ? "colon" : "no";
      this.#keyNext = false;
    }
  }

  /** True if the entries begin after this byte. */
  #inFrame(byte: number): boolean {
    const begins = this.#entryNext === "array" && byte === openBracket;
    this.#entryNext = this.#entryNext === "colon" && byte === colon ? "array" : "no";
    if (begins) {
      this.#mode = "gap";
      this.#gap = "element or end";
    } else if (byte === quote) {
      this.#inString = true;
      this.#stringAt = this.#frameLength - 1;
    } else if (byte === openBrace || byte === openBracket) {
      this.#depth += 1;
      this.#keyNext = byte === openBrace && this.#depth === 1;
    } else if (byte === closeBrace || byte === closeBracket) {
      this.#depth -= 1;
    } else if (byte === comma) {
      this.#keyNext = this.#depth === 1;
    }
    return begins;
  }

  /** `"\u0065ntry"` is the same key. */
  #isEntryKey(): boolean {
    const text = this.#frame.subarray(this.#stringAt, this.#frameLength);
    if (text.length > 32) return false; // five letters of at most six bytes, and the quotes
    try {
      return JSON.parse(utf8.decode(text)) === "entry";
    } catch {
      return false; // no JSON string: the frame is refused at its end
    }
  }

  #readGap(chunk: Uint8Array, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (isSpace(byte)) continue;
      if (byte === openBrace && this.#gap !== "comma or end") {
        this.#mode = "entry";
        this.#depth = 0;
        return at;
      }
      if (byte === closeBracket && this.#gap !== "element") {
        this.#mode = "frame";
        this.#depth = 2; // the frame gets the bracket, and is back in the Bundle
        return at;
      }
      if (byte !== comma || this.#gap !== "comma or end") return this.#fail("not_json", chunk);
      this.#gap = "element";
    }
    return chunk.length;
  }

  #passEntry(): void {
    this.#mode = "gap";
    this.#gap = "comma or end";
  }

  #readEntry(chunk: Uint8Array, from: number): number {
    const end = this.#endOfEntry(chunk, from);
    const part = chunk.subarray(from, end ?? chunk.length);
    this.#partsLength += part.length;
    this.#parts.push(part);
    if (this.#partsLength > resourceBytesMax) {
      const fault = this.#pass();
      if (fault !== undefined) return this.#fail(fault, chunk);
    } else if (this.#partsLength > longEntryMin && this.#parts.length > 1) this.#gatherLong(part);
    if (end === undefined) return chunk.length;
    if (this.#scanner === undefined) this.#entry = joined(this.#parts);
    else if (!this.#scanner.isWhole) return this.#fail("not_json", chunk);
    else this.#entry = "too_large";
    this.#parts = [];
    this.#partsLength = 0;
    this.#long = undefined;
    this.#scanner = undefined;
    this.#passEntry();
    return end;
  }

  /** Gathers a long entry in a single array: its parts and a copy of them would be twice its size. */
  #gatherLong(part: Uint8Array): void {
    if (this.#long === undefined) {
      this.#long = new Uint8Array(resourceBytesMax + zerosBehind);
      let at = 0;
      for (const each of this.#parts) {
        this.#long.set(each, at);
        at += each.length;
      }
    } else this.#long.set(part, this.#partsLength - part.length);
    this.#parts = [this.#long.subarray(0, this.#partsLength)];
  }

  /** Checks the end of an entry that is too large, and drops its scanner. */
  #pass(): "not_json" | "not_utf8" | undefined {
    if (this.#scanner === undefined || this.#decoder === undefined) {
      this.#scanner = new JsonScanner();
      this.#decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    }
    for (const part of this.#parts) {
      for (const byte of part) if (this.#scanner.step(byte) === "fault") return "not_json";
      try {
        this.#decoder.decode(part, { stream: true });
      } catch {
        return "not_utf8";
      }
    }
    this.#parts = [];
    this.#long = undefined;
    return undefined;
  }

  /**
   * The position after the brace that closes the entry. The state is kept in local variables, because this
   * loop runs for every byte.
   */
  #endOfEntry(chunk: Uint8Array, from: number): number | undefined {
    let [depth, inString] = [this.#depth, this.#inString];
    let at = this.#escaped ? from + 1 : from;
    let end: number | undefined;
    while (at < chunk.length && end === undefined) {
      if (inString) {
        while (at < chunk.length && chunk[at] !== quote) at += chunk[at] === backslash ? 2 : 1;
        inString = at >= chunk.length;
        if (!inString) at += 1;
      } else {
        const byte = chunk[at];
        at += 1;
        if (byte === quote) inString = true;
        else if (byte === openBrace || byte === openBracket) depth += 1;
        else if (byte === closeBrace || byte === closeBracket) {
          depth -= 1;
          if (depth === 0) end = at;
        }
      }
    }
    [this.#depth, this.#inString, this.#escaped] = [depth, inString, at > chunk.length];
    return end;
  }

  #fail(reason: JsonRefusal["reason"], chunk: Uint8Array): number {
    this.#fault = { reason };
    return chunk.length;
  }
}

/** A single part is not copied. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [only, ...others] = parts;
  return only !== undefined && others.length === 0 ? only : joinBytes(parts);
}
