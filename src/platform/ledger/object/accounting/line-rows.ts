import type { KeyList } from "#kernel/key-list";
import { Secret } from "#kernel/secret";
import { concat, sameBytes } from "#ledger/bytes/bytes";
import { toCbor, viewCbor } from "#ledger/bytes/cbor";
import { hkdf, labelled, nonceOf, openingKey } from "#ledger/leaf/seal";
import { boxLabel, type LeafLines, type LineBox } from "#platform/ledger/object/log/key-epoch";
import { hasTable } from "#platform/ask-sql";

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

  /** The number of the newest frame with lines; undefined when there are none. */
  newest(): number | undefined {
    if (!this.#exists()) return undefined;
    return (
      this.#sql.exec<{ frame: number | null }>("SELECT max(frame) AS frame FROM lines").one().frame ??
      undefined
    );
  }

  /**
   * Rows beginning with a frame up to another, in order: as many as are handled at once, at least a row if there are any.
   */
  from(frame: number, last = Number.MAX_SAFE_INTEGER): readonly LineRow[] {
    const rows: LineRow[] = [];
    if (!this.#exists()) return rows;
    const query =
      "SELECT frame, epoch, counter, salt, box FROM lines WHERE frame BETWEEN ? AND ? ORDER BY frame LIMIT ?";
    let bytes = 0;
    for (const row of this.#sql.exec<{
      frame: number;
      epoch: number;
      counter: number;
      salt: ArrayBuffer;
      box: ArrayBuffer;
    }>(query, frame, last, ROWS_MAX)) {
      bytes += row.box.byteLength;
      if (rows.length > 0 && bytes > BYTES_MAX) break;
      rows.push({ ...row, salt: new Uint8Array(row.salt), box: new Uint8Array(row.box) });
    }
    return rows;
  }

  /** Call inside a transaction, once all lines up to this frame are on their shelves. */
  removeUpTo(frame: number): void {
    this.#sql.exec("DELETE FROM lines WHERE frame <= ?", frame);
  }

  #exists(): boolean {
    return hasTable(this.#sql, "frames");
  }
}

/** Opens the lines of commits, with the key of an epoch prepared once. */
export class LineOpener {
  readonly #accountingKeys: KeyList;
  readonly #origin: string;
  /** The key that opened the last row, with the row's epoch and salt. */
  #last: { readonly epoch: number; readonly salt: Uint8Array; readonly key: CryptoKey } | undefined;

  constructor(accountingKeys: KeyList, origin: string) {
    this.#accountingKeys = accountingKeys;
    this.#origin = origin;
  }

  /**
   * The lines of a commit, as views into its plaintext. Throws when they were not sealed for this log and
   * frame: such a shard must not go on.
   */
  async openLines({ frame, epoch, counter, salt, box }: LineRow): Promise<readonly LeafLines[]> {
    const info = labelled(boxLabel, this.#origin, epoch);
    const algorithm = {
      name: "AES-GCM",
      iv: nonceOf({ keyEpoch: epoch, counter }),
      additionalData: concat([info, toCbor(frame)]),
    };
    const last = this.#last;
    if (last !== undefined && last.epoch === epoch && sameBytes(last.salt, salt)) {
      const plaintext = await opened(algorithm, last.key, box);
      if (plaintext !== undefined) return readLines(plaintext);
    }
    for (const accountingKey of this.#accountingKeys) {
      const key = await openingKey(new Secret(hkdf(accountingKey, salt, info)));
      const plaintext = await opened(algorithm, key, box);
      if (plaintext === undefined) continue;
      this.#last = { epoch, salt, key };
      return readLines(plaintext);
    }
    throw new Error("ledger: stored lines do not open");
  }
}

/** Undefined when the tag does not fit. */
async function opened(
  algorithm: SubtleCryptoEncryptAlgorithm,
  key: CryptoKey,
  box: Uint8Array,
): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, box));
  } catch {
    return undefined;
  }
}

function readLines(plaintext: Uint8Array): readonly LeafLines[] {
  const value = viewCbor(plaintext);
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
