import type { Instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { concat } from "#ledger/bytes/bytes";
import { toCbor } from "#ledger/bytes/cbor";
import { encodeKeyEpoch } from "#ledger/leaf/clear-body";
import { encodeLeaf, leafKinds } from "#ledger/leaf/leaf";
import { type DataKey, hkdf, keyCommitment, labelled, nonceOf, sealBox, sealLeaf } from "#ledger/leaf/seal";
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
}

/** A commit's sealed lines. The shard stores them until they are drained to their shelves. */
export interface LineBox {
  readonly epoch: number;
  readonly counter: number;
  readonly salt: Uint8Array;
  readonly box: Uint8Array;
}

/**
 * The keys of one epoch of one incarnation. The counters only increase, even when a commit fails, so no
 * nonce repeats.
 */
export class Epoch {
  /** The key-epoch leaf. It goes into the log before any leaf that this epoch seals. */
  readonly leaf: Uint8Array;
  readonly number: number;
  readonly #origin: string;
  readonly #since: Instant;
  readonly #dataKey: DataKey;
  readonly #lineKey: Secret<Uint8Array>;
  readonly #lineSalt: Uint8Array;
  #records = 0;
  #boxes = 0;

  private constructor(
    config: LedgerConfig,
    origin: string,
    number: number,
    now: Instant,
    dataKey: DataKey,
    leaf: Uint8Array,
  ) {
    this.leaf = leaf;
    this.number = number;
    this.#origin = origin;
    this.#since = now;
    this.#dataKey = dataKey;
    // An epoch number can repeat after a lost commit or a restored backup. The salt keeps the subkey from
    // repeating with it.
    this.#lineSalt = random32();
    this.#lineKey = new Secret(
      hkdf(config.accountingKey, this.#lineSalt, labelled(boxLabel, origin, number)),
    );
  }

  static async begin(config: LedgerConfig, origin: string, number: number, now: Instant): Promise<Epoch> {
    const dataKey: DataKey = new Secret(random32());
    const wrapped = await wrapForAuditors(
      config.auditors,
      { dataKey, subjectKey: config.subjectKey },
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
    return new Epoch(config, origin, number, now, dataKey, leaf);
  }

  isSpent(now: Instant): boolean {
    return this.#records >= RECORDS_MAX || now - this.#since >= AGE_MAX_MS;
  }

  /** A kind 0 leaf around a record's plaintext. */
  seal(plaintext: Uint8Array, linesRoot: Uint8Array): Uint8Array {
    this.#records++;
    return sealLeaf(
      this.#dataKey,
      this.#origin,
      { keyEpoch: this.number, counter: this.#records, linesRoot },
      plaintext,
    );
  }

  /** CBOR [[leaf index, seed, [line, …]], …], sealed for this log, epoch and frame. */
  sealLines(frame: number, lines: readonly LeafLines[]): LineBox {
    const counter = this.#boxes++;
    const plaintext = toCbor(lines.map(({ index, seed, contents }) => [index, seed, contents]));
    const aad = concat([labelled(boxLabel, this.#origin, this.number), toCbor(frame)]);
    const nonce = nonceOf({ keyEpoch: this.number, counter });
    return {
      epoch: this.number,
      counter,
      salt: this.#lineSalt,
      box: sealBox(this.#lineKey, nonce, aad, plaintext),
    };
  }
}

export const random32 = (): Uint8Array => crypto.getRandomValues(new Uint8Array(32));
