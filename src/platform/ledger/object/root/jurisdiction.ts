import { utf8 } from "#kernel/encoded";
import type { LedgerConfig } from "#platform/ledger/config";
import type { LedgerBucket } from "#platform/ledger/object/log/bucket";
import { within } from "#platform/within";

// A start may take 30 s, of which the comparison of checkpoints needs most. The next request tries again.
const PATIENCE_MS = 1_500;
const UNREAD = "the ledger's jurisdiction was not read yet";

/**
 * The jurisdiction in which a ledger began, in its bucket. In a further jurisdiction every object of the ledger
 * would be a new and empty object: the root log does not go on there.
 */
export class LedgerJurisdiction {
  readonly #bucket: LedgerBucket;
  readonly #key: string;
  readonly #configured: string;
  #stop: string | undefined = UNREAD;
  #isKept = false;

  constructor(bucket: LedgerBucket, { name, jurisdiction }: LedgerConfig) {
    this.#bucket = bucket;
    this.#key = `jurisdiction/${name}`;
    this.#configured = jurisdiction ?? "";
  }

  /** The reason why nothing of the root log may be shown or added; undefined when all is well. */
  get stopped(): string | undefined {
    return this.#stop;
  }

  /** True when the bucket has this jurisdiction. */
  get isKept(): boolean {
    return this.#isKept;
  }

  /** Compares with the bucket. Never throws; `stopped` gives the problem. */
  async compare(): Promise<void> {
    const kept = await inTime(this.#bucket.read(this.#key)).catch(() => null);
    if (kept === null) this.#stop = "the ledger's jurisdiction cannot be read";
    else if (kept === undefined) this.#stop = undefined; // a ledger that has not begun, or an older ledger
    else this.#decide(new TextDecoder().decode(kept.bytes) === this.#configured);
  }

  /**
   * Stores the jurisdiction once and for all. Call it only for a root log that fits its own checkpoint in the
   * bucket. Never throws.
   */
  async keep(): Promise<void> {
    const kept = await inTime(this.#bucket.putOnce(this.#key, utf8(this.#configured))).catch(() => null);
    if (kept === null) this.#stop = "the ledger's jurisdiction cannot be stored";
    else this.#decide(kept === "kept");
  }

  #decide(isSame: boolean): void {
    this.#isKept = isSame;
    this.#stop = isSame
      ? undefined
      : "LEDGER_JURISDICTION is not the jurisdiction in which this ledger began";
  }
}

const inTime = <T>(answer: Promise<T>): Promise<T> =>
  within(PATIENCE_MS, answer, "ledger: the jurisdiction takes long");
