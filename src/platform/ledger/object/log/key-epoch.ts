import type { Instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { concat } from "#ledger/bytes/bytes";
import { toCbor } from "#ledger/bytes/cbor";
import { encodeKeyEpoch } from "#ledger/leaf/clear-body";
import { encodeLeaf, leafKinds } from "#ledger/leaf/leaf";
import {
  type DataKey,
  hkdf,
  keyCommitment,
  labelled,
  LeafSealer,
  nonceOf,
  sealingKey,
} from "#ledger/leaf/seal";
import type { LedgerConfig } from "#platform/ledger/config";
import { wrapForAuditors } from "./key-wrap.ts";

const RECORDS_MAX = 2 ** 24;
const AGE_MAX_MS = 3_600_000;
export const boxLabel = "phylax accounting lines v1";

/**
 * The accounting lines of a leaf. A line's number is its place in `contents`; its salt comes from the seed
 * (ledger/leaf/lines).
 */
export interface LeafLines {
  readonly index: number;
  readonly seed: Uint8Array;
  readonly contents: readonly Uint8Array[];
  /** The Consents beside each line (audit/accounting/line-consents); empty bytes for a line without. */
  readonly consents?: readonly Uint8Array[] | undefined;
}

/** A commit's sealed lines. The shard stores them until they are drained to their shelves. */
export interface LineBox {
  readonly epoch: number;
  readonly counter: number;
  readonly salt: Uint8Array;
  readonly box: Uint8Array;
}

interface EpochParts {
  readonly number: number;
  readonly since: Instant;
  readonly sealer: LeafSealer;
  readonly lineKey: CryptoKey;
  readonly lineSalt: Uint8Array;
  readonly lineLabel: Uint8Array;
  readonly leaf: Uint8Array;
}

/**
 * The keys of one epoch of one incarnation. The counters only increase, even when a commit fails, so no
 * nonce repeats.
 */
export class Epoch {
  readonly #parts: EpochParts;
  #records = 0;
  #boxes = 0;

  private constructor(parts: EpochParts) {
    this.#parts = parts;
  }

  /** The key-epoch leaf. It goes into the log before any leaf that this epoch seals. */
  get leaf(): Uint8Array {
    return this.#parts.leaf;
  }

  get number(): number {
    return this.#parts.number;
  }

  static async begin(config: LedgerConfig, origin: string, number: number, now: Instant): Promise<Epoch> {
    const dataKey: DataKey = new Secret(random32());
    const wrapped = await wrapForAuditors(
      config.auditors,
      { dataKey, subjectKey: config.subjectKeys[0] },
      origin,
      number,
    );
    const body = encodeKeyEpoch({ commitment: keyCommitment(dataKey, origin, number), wrapped });
    const leaf = encodeLeaf({
      kind: leafKinds.keyEpoch,
      keyEpoch: number,
      counter: 0,
      linesRoot: random32(),
      body,
    });
    // An epoch number can repeat after a lost commit or a restored backup. The salt keeps the subkey from
    // repeating with it.
    const lineSalt = random32();
    const lineLabel = labelled(boxLabel, origin, number);
    const [sealer, lineKey] = await Promise.all([
      LeafSealer.of(dataKey, origin, number),
      sealingKey(new Secret(hkdf(config.accountingKeys[0], lineSalt, lineLabel))),
    ]);
    dataKey.reveal().fill(0); // from here on only the crypto library has it
    return new Epoch({ number, since: now, sealer, lineKey, lineSalt, lineLabel, leaf });
  }

  isSpent(now: Instant): boolean {
    return this.#records >= RECORDS_MAX || now - this.#parts.since >= AGE_MAX_MS;
  }

  /**
   * A kind 0 leaf around a record's plaintext. The counter is taken before this returns, so leaves have the
   * order of the calls.
   */
  seal(plaintext: Uint8Array, linesRoot: Uint8Array): Promise<Uint8Array> {
    this.#records++;
    return this.#parts.sealer.seal(this.#records, linesRoot, plaintext);
  }

  /** CBOR [[leaf index, seed, [line, …], [consents, …] if a line has any], …], sealed for this log, epoch and frame. */
  async sealLines(frame: number, lines: readonly LeafLines[]): Promise<LineBox> {
    const counter = this.#boxes++;
    const plaintext = toCbor(
      lines.map(({ index, seed, contents, consents }) => [
        index,
        seed,
        contents,
        ...(consents === undefined ? [] : [consents]),
      ]),
    );
    const box = await crypto.subtle.encrypt(
      {
        name: "AES-GCM",
        iv: nonceOf({ keyEpoch: this.number, counter }),
        additionalData: concat([this.#parts.lineLabel, toCbor(frame)]),
      },
      this.#parts.lineKey,
      plaintext,
    );
    return { epoch: this.number, counter, salt: this.#parts.lineSalt, box: new Uint8Array(box) };
  }
}

export const random32 = (): Uint8Array => crypto.getRandomValues(new Uint8Array(32));

const drawnSeeds = 128;
const drawn = new Uint8Array(drawnSeeds * 32);
let seedsLeft = 0;

/**
 * 32 random bytes for a record: its seed, or the root of no lines. They are drawn for 128 records at once,
 * because each draw is a call of the runtime. No other copy is left once they are given. A key is never drawn
 * so: see {@link random32}.
 */
export function recordSeed(): Uint8Array {
  if (seedsLeft === 0) {
    crypto.getRandomValues(drawn);
    seedsLeft = drawnSeeds;
  }
  seedsLeft -= 1;
  const at = seedsLeft * 32;
  const seed = drawn.slice(at, at + 32);
  drawn.fill(0, at, at + 32);
  return seed;
}
