import { EntrySplitter, type AheadReader } from "#fhir/json/entry-splitter";
import { isArray, isObject, property, readObject, textAt } from "#fhir/json/json";
import { utf8 } from "#kernel/encoded";

const [lineFeed, carriageReturn, blank, tab] = [0x0a, 0x0d, 0x20, 0x09];
const [quote, backslash, colon, openBrace, closeBrace, openBracket, closeBracket] = [
  0x22, 0x5c, 0x3a, 0x7b, 0x7d, 0x5b, 0x5d,
];

/**
 * Reads a page of this gateway's own search as its bytes come. Throws for bytes that are no such Bundle. The bytes of
 * each resource stay as they are, on one line.
 */
export class PageLines {
  readonly #splitter = new EntrySplitter();
  readonly #ahead = new EntriesAhead();

  /** @returns the rows that end in this part, in order. */
  rowsIn(part: Uint8Array): readonly FileLine[] {
    const rows: FileLine[] = [];
    const take = (entry: Uint8Array | "too_large" | Entry) => {
      if (entry === "too_large") throw new Error("an own entry cannot be read"); // never a file without a row
      const read = entry instanceof Uint8Array ? entryAt(entry, 0) : entry;
      if (read === undefined) throw new Error("an own entry cannot be read");
      if (!read.isMessage) rows.push(read.row);
      return undefined;
    };
    if (!this.#splitter.read(part, take, this.#ahead).ok) throw new Error("an own page cannot be read");
    return rows;
  }

  /** Call this after the last part. @returns the link to the next page. */
  end(): string | undefined {
    const end = this.#splitter.end();
    const frame = end.ok ? readObject(end.value) : undefined;
    if (frame === undefined) throw new Error("an own page cannot be read");
    const links = property(frame, "link");
    const next = (isArray(links) ? links : [])
      .filter(isObject)
      .find((link) => textAt(link, "relation") === "next");
    return next && textAt(next, "url");
  }
}

/** A resource on one line. */
export interface FileLine {
  readonly bytes: Uint8Array;
  readonly id: string | undefined;
}

interface Entry {
  readonly entryEnd: number;
  readonly row: FileLine;
  /** True for an OperationOutcome about the page: it is no row. */
  readonly isMessage: boolean;
}

class EntriesAhead implements AheadReader<Entry> {
  #chunk: Uint8Array = new Uint8Array();

  begin(chunk: Uint8Array): void {
    this.#chunk = chunk;
  }

  entryAt(at: number): Entry | undefined {
    return entryAt(this.#chunk, at);
  }
}

/** The entry that begins here; undefined if it does not end in these bytes. This loop runs for every byte of a file. */
function entryAt(bytes: Uint8Array, from: number): Entry | undefined {
  let [at, depth, valueAt, isMessage, isOnOneLine] = [from, 0, from, false, true];
  let key: "resource" | "search" | undefined;
  let [row, id, isId]: [Uint8Array | undefined, string | undefined, boolean] = [undefined, undefined, false];
  while (at < bytes.length) {
    const byte = bytes[at];
    at += 1;
    if (byte === quote) {
      const end = endOfString(bytes, at);
      if (depth === 1 && isKey(bytes, end))
        key = names.find((name) => isText(bytes, at - 1, end, keys[name]));
      else if (depth === 2 && key === "resource") {
        if (isId) id = decoder.decode(bytes.subarray(at, end - 1)); // FHIR R4 id: no escape
        isId = !isId && isText(bytes, at - 1, end, keys.id) && isKey(bytes, end);
      }
      at = end;
    } else if (byte === openBrace || byte === openBracket) {
      if (depth === 1) valueAt = at - 1;
      depth += 1;
    } else if (byte === closeBrace || byte === closeBracket) {
      depth -= 1;
      if (depth === 0) return row && { entryEnd: at, row: { bytes: row, id }, isMessage };
      if (depth !== 1) continue;
      const value = bytes.subarray(valueAt, at);
      if (key === "resource") row = isOnOneLine ? value : onOneLine(value);
      else if (key === "search") isMessage = textAt(readObject(value) ?? {}, "mode") === "outcome";
    } else if (byte === lineFeed || byte === carriageReturn) isOnOneLine = false; // between two values alone
  }
  return undefined;
}

const decoder = new TextDecoder();
const names = ["resource", "search"] as const;
const keys = { resource: utf8('"resource"'), search: utf8('"search"'), id: utf8('"id"') };

const isText = (bytes: Uint8Array, from: number, end: number, text: Uint8Array): boolean =>
  end - from === text.length && text.every((byte, at) => bytes[from + at] === byte);

/** The position behind the quote that ends a string; the end of the bytes if there is none. */
function endOfString(bytes: Uint8Array, from: number): number {
  let at = from;
  for (const near = Math.min(from + nearMax, bytes.length); at < near; at += 1) {
    if (bytes[at] === quote) return at + 1;
    if (bytes[at] === backslash) at += 1;
  }
  for (;;) {
    const end = bytes.indexOf(quote, at);
    if (end < 0) return bytes.length;
    let slashes = 0;
    while (end - slashes > at && bytes[end - slashes - 1] === backslash) slashes += 1;
    at = end + 1;
    if (slashes % 2 === 0) return at;
  }
}

// A loop finds the end of a short string sooner, and the runtime that of a long string.
const nearMax = 64;

function isKey(bytes: Uint8Array, from: number): boolean {
  let at = from;
  while (isSpace(bytes[at])) at += 1;
  return bytes[at] === colon;
}

const isSpace = (byte: number | undefined) =>
  byte === blank || byte === lineFeed || byte === carriageReturn || byte === tab;

const onOneLine = (bytes: Uint8Array): Uint8Array =>
  bytes.map((byte) => (byte === lineFeed || byte === carriageReturn ? blank : byte));
