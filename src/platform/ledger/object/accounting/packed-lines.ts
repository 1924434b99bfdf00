import { CborWriter } from "#ledger/bytes/cbor-writer";
import type { LinePlace } from "#audit/accounting/line-place";

/**
 * Lines of a log on their way to an intake, in the form in which it stores them: a call with an object for each
 * line costs several times as much.
 */
export interface PackedLines {
  readonly log: string;
  readonly parts: readonly PackedPart[];
}

/** The lines for a part of an intake. */
interface PackedPart {
  readonly part: number;
  /** CBOR [[log, leaf, line, lines, content, salt, path, consents or no bytes], …]. */
  readonly rows: Uint8Array;
}

/** A line with its proof, as a row has it. */
export interface LineOfRow extends LinePlace {
  readonly lines: number; // of the leaf
  readonly content: Uint8Array;
  readonly salt: Uint8Array;
  readonly path: readonly Uint8Array[]; // to the leaf's lines_root
  /** The Consents beside the line (audit/accounting/line-consents); empty or undefined: none. No proof covers them. */
  readonly consents?: Uint8Array | undefined;
}

const none = new Uint8Array();

/** The rows of lines. */
export function packRows(lines: readonly LineOfRow[]): Uint8Array {
  const writer = new CborWriter();
  writer.array(lines.length);
  for (const { log, index, line, lines: count, content, salt, path, consents } of lines) {
    writer.array(8);
    writer.text(log);
    writer.unsigned(index);
    writer.unsigned(line);
    writer.unsigned(count);
    writer.byteString(content);
    writer.byteString(salt);
    writer.array(path.length);
    for (const hash of path) writer.byteString(hash);
    writer.byteString(consents ?? none);
  }
  return writer.finish();
}
