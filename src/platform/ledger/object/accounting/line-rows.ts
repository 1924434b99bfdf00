import type { KeyList } from "#kernel/key-list";
import { Secret } from "#kernel/secret";
import { concat } from "#ledger/bytes/bytes";
import { fromCbor, toCbor } from "#ledger/bytes/cbor";
import { hkdf, labelled, nonceOf, openBox } from "#ledger/leaf/seal";
import { boxLabel, type LeafLines, type LineBox } from "#platform/ledger/object/log/key-epoch";

/** The sealed lines of a commit. */
export interface LineRow extends LineBox {
  readonly frame: number;
}

// The bytes of lines that are in memory at once; a single row may be as long. More lines at once need fewer
// shelf calls for each line: about half a call with these limits at 400 records a second, against nearly a
// whole call with 256 rows (docs/scale.md).
const BYTES_MAX = 2_097_152;
const ROWS_MAX = 4_096;

/** A shard's lines that are not on their shelves yet: commits write them, the drain deletes them. */
export class LineRows {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** The number of the oldest frame with lines; undefined when there are none. */
  oldest(): number | undefined {
    if (!this.#exists()) return undefined;
    return (
      this.#sql.exec<{ frame: number | null }>("SELECT min(frame) AS frame FROM lines").one().frame ??
      undefined
    );
  }

  /**
   * Rows beginning with a frame, in order: as many as are handled at once, at least a row if there are any.
   */
  from(frame: number): readonly LineRow[] {
    const rows: LineRow[] = [];
    if (!this.#exists()) return rows;
    const query =
      "SELECT frame, epoch, counter, salt, box FROM lines WHERE frame >= ? ORDER BY frame LIMIT ?";
    let bytes = 0;
    for (const row of this.#sql.exec<{
      frame: number;
      epoch: number;
      counter: number;
      salt: ArrayBuffer;
      box: ArrayBuffer;
    }>(query, frame, ROWS_MAX)) {
      bytes += row.box.byteLength;
      if (rows.length > 0 && bytes > BYTES_MAX) break;
      rows.push({ ...row, salt: new Uint8Array(row.salt), box: new Uint8Array(row.box) });
    }
    return rows;
  }

  /** Call inside a transaction, once all lines of these frames are on their shelves. */
  remove(frames: readonly number[]): void {
    for (const frame of frames) this.#sql.exec("DELETE FROM lines WHERE frame = ?", frame);
  }

  #exists(): boolean {
    return this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'frames'").toArray().length > 0;
  }
}

/**
 * Opens a commit's lines. Throws when they were not sealed for this log and frame: such a shard must not go
 * on.
 */
export function openLines(
  accountingKeys: KeyList,
  origin: string,
  { frame, epoch, counter, salt, box }: LineRow,
): readonly LeafLines[] {
  const info = labelled(boxLabel, origin, epoch);
  const [nonce, data] = [nonceOf({ keyEpoch: epoch, counter }), concat([info, toCbor(frame)])];
  let plaintext: Uint8Array | undefined;
  for (const key of accountingKeys)
    plaintext ??= openBox(new Secret(hkdf(key, salt, info)), nonce, data, box);
  const value = plaintext && fromCbor(plaintext);
  if (!Array.isArray(value)) throw new Error("ledger: stored lines do not open");
  return value.map((leaf: unknown) => {
    const [index, seed, contents, consents] = Array.isArray(leaf) ? (leaf as unknown[]) : [];
    if (typeof index !== "number" || !(seed instanceof Uint8Array) || !isBytes(contents))
      throw new Error("ledger: stored lines do not read back");
    // rows of earlier versions have no Consents
    if (consents !== undefined && (!isBytes(consents) || consents.length !== contents.length))
      throw new Error("ledger: stored lines do not read back");
    return { index, seed, contents, consents };
  });
}

const isBytes = (value: unknown): value is Uint8Array[] =>
  Array.isArray(value) && value.every((item) => item instanceof Uint8Array);
