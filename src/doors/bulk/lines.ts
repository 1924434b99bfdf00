import { EntrySplitter } from "#fhir/json/entry-splitter";
import { isArray, isObject, property, readObject, textAt } from "#fhir/json/json";

const [lineFeed, carriageReturn, blank] = [0x0a, 0x0d, 0x20];
const [quote, backslash, openBrace, closeBrace, openBracket, closeBracket] = [
  0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d,
];

/** The rows of a page of this gateway's own search, each on one line, and the link to the next page. */
export interface PageLines {
  readonly rows: readonly Uint8Array[];
  readonly next: string | undefined;
}

/** Reads a page. Throws for bytes that are no Bundle of this gateway. The bytes of each resource stay as they are. */
export function linesOf(page: readonly Uint8Array[]): PageLines {
  const splitter = new EntrySplitter();
  const rows: Uint8Array[] = [];
  for (const part of page) {
    const read = splitter.push(part);
    if (!read.ok) throw new Error("an own page cannot be read");
    for (const entry of read.value) {
      if (entry === "too_large") throw new Error("an own entry cannot be read"); // never a file without a row
      rows.push(resourceIn(entry));
    }
  }
  const end = splitter.end();
  const frame = end.ok ? readObject(end.value) : undefined;
  if (frame === undefined) throw new Error("an own page cannot be read");
  const links = property(frame, "link");
  const next = (isArray(links) ? links : [])
    .filter(isObject)
    .find((link) => textAt(link, "relation") === "next");
  return { rows, next: next && textAt(next, "url") };
}

const key = new TextEncoder().encode('"resource"');

/** The value of the member `resource` of an entry, on one line: a line feed stands between two values alone. */
function resourceIn(entry: Uint8Array): Uint8Array {
  let [depth, from, isInString] = [0, -1, false];
  for (let at = 0; at < entry.length; at += 1) {
    const byte = entry[at];
    if (isInString) {
      // most bytes of a row are in strings, and the runtime finds a quote sooner than a loop does
      const end = entry.indexOf(quote, at);
      if (end < 0) break;
      isInString = isEscaped(entry, end);
      at = end;
      continue;
    }
    if (byte === quote) {
      if (depth === 1 && from < 0 && key.every((each, i) => entry[at + i] === each)) from = 0;
      isInString = true;
    } else if (byte === openBrace || byte === openBracket) {
      if (from === 0 && depth === 1) from = at;
      depth += 1;
    } else if (byte === closeBrace || byte === closeBracket) {
      depth -= 1;
      if (from > 0 && depth === 1) return onOneLine(entry.slice(from, at + 1));
    }
  }
  throw new Error("an own entry has no resource");
}

function isEscaped(bytes: Uint8Array, at: number): boolean {
  let before = at;
  while (bytes[before - 1] === backslash) before -= 1;
  return (at - before) % 2 === 1;
}

const onOneLine = (bytes: Uint8Array): Uint8Array =>
  bytes.includes(lineFeed) || bytes.includes(carriageReturn)
    ? bytes.map((byte) => (byte === lineFeed || byte === carriageReturn ? blank : byte))
    : bytes;
