import { instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import { concat } from "#ledger/bytes/bytes";
import { checkpointText } from "#ledger/tlog/checkpoint";
import { emptyHead } from "#ledger/commit";
import { encodeFrame, firstPrevious } from "#ledger/leaf/frame";
import { HASH_BYTES, rangeWidth } from "#ledger/tlog/merkle";
import { withNames } from "#platform/ledger/client/definitions";
import { sealBatch, type SealedBatch } from "#platform/ledger/object/append/batch";
import { readLedgerConfig } from "#platform/ledger/config";
import { draftAppend } from "#platform/ledger/object/append/draft";
import { Epoch } from "#platform/ledger/object/log/key-epoch";
import { packRecent } from "#platform/ledger/object/append/recent";
import { signText } from "#platform/ledger/object/log/signer";
import { appendNames, appendOf, reservedAppendOf, type AppendName } from "./events.ts";
import { ledgerEnvironment } from "./environment.ts";

/** Bytes of one append, produced by the ledger's own code. */
export interface AppendSizes {
  readonly records: number;
  /** As JSON, which a plain audit table would store. */
  readonly jsonBytes: number;
  /** CBOR before it is padded. */
  readonly plaintextBytes: number;
  readonly leafBytes: number;
  readonly lines: number;
  /** The bytes it adds to its commit's row of lines; 0 without lines. */
  readonly lineBytes: number;
}

export interface Sizes {
  readonly appends: Readonly<Record<AppendName, AppendSizes>>;
  /**
   * Bytes of a frame without its leaves, by the number of one-leaf appends in it. It leaves out `recent` and
   * the other columns of its row.
   */
  readonly frameOverhead: Readonly<Record<number, number>>;
  /** The packed (id, step, position) of one append: in the frame's row, and in no copy of the frame. */
  readonly recentBytes: number;
  readonly keyEpochLeafBytes: number;
  /** A shard's signed checkpoint, which is a leaf of the root log. */
  readonly rootLeafBytes: number;
}

// A log of 699,050 leaves: half of the bits of its size are set, the average.
const sizeAfter = 0b1010_1010_1010_1010_1010;
// A fixed moment. Each number in it keeps its length for ages.
const at = Date.UTC(2026, 10, 26);

/** Makes each kind of append once. Only lengths are measured, and they do not change from run to run. */
export async function measureSizes(): Promise<Sizes> {
  const config = readLedgerConfig(ledgerEnvironment());
  const origin = `${config.name}/s17-2026h2`;
  const epoch = await Epoch.begin(config, origin, 1_000, instant(at));
  const boxBytes = async (lines: SealedBatch["lines"]) => (await epoch.sealLines(100_000, lines)).box.length;
  const sizesOf = async (name: AppendName): Promise<AppendSizes> => {
    const events = appendOf(name, "5e", 700_000, at);
    // The definition of the withheld paths is one leaf an hour.
    const draft = draftAppend(
      withNames(reservedAppendOf(name, "5e", 700_000, at)).events,
      config.subjectKeys[0],
    );
    const { leaves, lines } = await sealBatch(
      config,
      { ...emptyHead(origin), size: sizeAfter },
      epoch.number,
      epoch,
      [draft],
    );
    const contents = lines.reduce((sum, { contents }) => sum + contents.length, 0);
    return {
      records: draft.records.length,
      jsonBytes: JSON.stringify(events).length,
      plaintextBytes: draft.records.reduce((sum, { plaintext }) => sum + plaintext.length, 0),
      leafBytes: concat(leaves).length,
      lines: contents,
      lineBytes: contents === 0 ? 0 : (await boxBytes(lines)) - (await boxBytes([])),
    };
  };
  const measured = await Promise.all(
    appendNames.map(async (name) => [name, await sizesOf(name)] satisfies [AppendName, AppendSizes]),
  );
  const appends = Object.fromEntries(measured) as Record<AppendName, AppendSizes>; // each name is there once
  const draft = draftAppend(appendOf("read", "5e", 1, at), config.subjectKeys[0]);
  const checkpoint = {
    origin,
    size: sizeAfter,
    root: firstPrevious,
    frame: { number: 100_000, hash: firstPrevious },
  };
  const place = {
    log: "s17-2026h2",
    frame: 1,
    frameHash: firstPrevious,
    index: sizeAfter,
    count: 1,
    leafHash: firstPrevious,
  };
  return {
    appends,
    frameOverhead: Object.fromEntries([1, 8, 64].map((count) => [count, frameOverhead(origin, count)])),
    recentBytes: packRecent([{ draft, recorded: place }]).length,
    keyEpochLeafBytes: epoch.leaf.length,
    rootLeafBytes: utf8(signText(config, origin, checkpointText(checkpoint))).length,
  };
}

function frameOverhead(origin: string, count: number): number {
  const range = Array.from({ length: rangeWidth(sizeAfter) }, () => new Uint8Array(HASH_BYTES));
  const leaves = Array.from({ length: count }, () => new Uint8Array(1_000));
  const [number, first, seconds] = [100_000, sizeAfter - count, Math.floor(at / 1000)];
  return (
    encodeFrame({ origin, number, first, previous: firstPrevious, size: sizeAfter, range, seconds, leaves })
      .length -
    count * 1_000
  );
}
