import { type Instant, instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import { type Checkpoint, checkpointText, openCheckpoint } from "#ledger/tlog/checkpoint";
import { checkpointOf, type Head } from "#ledger/commit";
import { consistencyProof } from "#ledger/tlog/merkle";
import { type LedgerConfig, signerOf } from "#platform/ledger/config";
import type { LedgerObjects } from "#platform/ledger/object/log/objects";
import { differentLayout, readKeptLayout } from "./kept-layout.ts";
import type { LedgerRoot } from "./ledger-root.ts";
import { signText } from "#platform/ledger/object/log/signer";
import { within } from "#platform/within";
import { log } from "#platform/log";

// A busy log has one leaf in the root log in this time, however many records it took; a quiet log has none.
// With many shards the time is longer: the root log grows by at most 1.7 leaves a second, about 16 GB a
// year, for any number of shards.
const HAND_OVER_EVERY_MS = 10_000;
const SHARE_MS = 600;
const PATIENCE_MS = 10_000;

/** The reason why a log must not go on; `again` when a later check may have a different result. */
interface Stop {
  readonly why: string;
  readonly again: boolean;
}

/**
 * A log's link to the root log. The log is opened there before its first record. It does not start when the
 * root log has a checkpoint that is not in its past, nor with a `layout` of keys with which its half-year did not
 * begin. It hands its own checkpoints over, without delaying appends.
 */
export class LedgerRootLink {
  readonly #root: () => DurableObjectStub<LedgerRoot>;
  readonly #log: string;
  readonly #layout: string;
  readonly #config: LedgerConfig;
  readonly #objects: LedgerObjects;
  readonly #head: () => Head;
  #stop: Stop | undefined = { why: "the root log was not asked yet", again: true };
  #starting: Promise<void> | undefined;
  #rooted: Checkpoint | undefined;
  // size of this log's checkpoint in the root log; undefined when the log was not opened
  #known: number | undefined;
  #handing: Promise<boolean> | undefined;
  #handedAt = instant(Date.now());

  constructor(
    root: () => DurableObjectStub<LedgerRoot>,
    log: string,
    layout: string,
    config: LedgerConfig,
    objects: LedgerObjects,
    head: () => Head,
  ) {
    this.#root = root;
    this.#log = log;
    this.#layout = layout;
    this.#config = config;
    this.#objects = objects;
    this.#head = head;
  }

  /** The reason why nothing of this log may be shown or added; undefined when all is well. */
  get stopped(): string | undefined {
    return this.#stop?.why;
  }

  /** This log's checkpoint in the root log, by the last comparison; undefined when the log was not opened. */
  get rooted(): Checkpoint | undefined {
    return this.#rooted;
  }

  /** True when the root log's checkpoint is larger than this log. */
  get isAhead(): boolean {
    return (this.#rooted?.size ?? 0) > this.#head().size;
  }

  /** True when the root log's checkpoint is not in this log's past: no later check will change that. */
  get isForked(): boolean {
    return this.#stop?.again === false;
  }

  /**
   * True when another log takes records by the root log's clock. Throws when the root log cannot be asked.
   */
  async opens(log: string): Promise<boolean> {
    return (await within(PATIENCE_MS, this.#root().open(log), "ledger: no answer in time")) !== undefined;
  }

  /** True when the root log opened this log: before that it takes no record. */
  get isOpened(): boolean {
    return this.#known !== undefined;
  }

  /** True when the root log knows a record of this log: an empty log under this name is a lost log from then on. */
  get hasRecord(): boolean {
    return (this.#known ?? 0) > 0;
  }

  /** Hands the first records of this log over. Never throws; {@link hasRecord} tells the result. */
  async handFirstOver(): Promise<void> {
    // A hand-over that is under way may have begun before the first record.
    for (let tries = 0; tries < 2 && !this.hasRecord; tries += 1) await this.#handOver();
  }

  /**
   * Asks the root log to open this log, and compares it with the root log's checkpoint. Never throws;
   * `stopped` gives the problem.
   */
  start(): Promise<void> {
    return this.#stop?.again === true ? this.open() : Promise.resolve();
  }

  /** Asks again, for a log that was woken before its half-year began. */
  open(): Promise<void> {
    this.#starting ??= this.#compare().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  /**
   * Call after the commit of a frame. If it is too early for a hand-over and no further frame comes, the
   * copy's alarm does it.
   */
  committed(now: Instant): void {
    if (this.#isDue(now, 0)) void this.#handOver();
  }

  /**
   * Called by the copy's alarm. True when the root log has everything of this log; otherwise the alarm must
   * come again. Never throws.
   */
  async settle(now: Instant): Promise<boolean> {
    if (this.#head().size === this.#known) return true;
    return this.#isDue(now, this.#config.settleMilliseconds) && (await this.#handOver());
  }

  /** `early`: the next occasion would be as long after the due time as this occasion is before it. */
  #isDue(now: Instant, early: number): boolean {
    const every = Math.max(HAND_OVER_EVERY_MS, this.#config.shards * SHARE_MS);
    // The difference is absolute, so that a clock that was set back does not keep the checkpoints here.
    return Math.abs(now - this.#handedAt) >= every - early;
  }

  /** Hands this log's checkpoint to the root log, if it has grown. */
  #handOver(): Promise<boolean> {
    this.#handing ??= this.#tried().finally(() => {
      this.#handing = undefined;
    });
    return this.#handing;
  }

  async #compare(): Promise<void> {
    const asked = this.#root().open(this.#log, this.#layout);
    const note = await within(PATIENCE_MS, asked, "ledger: no answer in time").catch(() => null);
    const kept = typeof note === "string" ? readKeptLayout(note) : undefined;
    if (kept !== undefined) {
      // no sign of a fork: a worker with the earlier configuration goes on
      this.#stop = { why: differentLayout(this.#log, kept, this.#layout), again: true };
      return;
    }
    const checkpoint =
      typeof note !== "string"
        ? undefined
        : openCheckpoint(utf8(note), signerOf(this.#config, this.#head().origin));
    if (checkpoint?.ok === false) {
      this.#stop = { why: "the root log has a checkpoint that this log did not sign", again: false };
      return;
    }
    if (note !== null) this.#rooted = checkpoint?.value;
    const extended =
      checkpoint === undefined ||
      within(PATIENCE_MS, this.#objects.extends(checkpoint.value), "ledger: R2 takes long");
    const isPast = await Promise.resolve(extended).catch(() => null);
    if (note === null || isPast === null) {
      // A running log goes on without the root log, whose answer it has; a starting log does not.
      if (this.#stop !== undefined) this.#stop = { why: "the root log cannot be asked", again: true };
      return;
    }
    this.#stop = isPast
      ? undefined
      : { why: "a checkpoint stands in the root log that this log does not extend", again: false };
    if (isPast) this.#known = checkpoint?.value.size;
  }

  async #tried(): Promise<boolean> {
    try {
      await this.start();
      const old = this.#known;
      // an unopened log has nothing to hand over
      if (this.#stop !== undefined || old === undefined) return this.#stop?.again !== true;
      return this.#head().size === old || (await this.#hand(old, instant(Date.now())));
    } catch {
      log({ event: "ledger_root_unreachable", origin: this.#head().origin });
      return false;
    }
  }

  async #hand(old: number, now: Instant): Promise<boolean> {
    this.#handedAt = now;
    const head = this.#head();
    const proof =
      old === 0 ? [] : consistencyProof(old, head.size, await this.#objects.hashesAbout(head, [old]));
    // The signer of the public checkpoint is not used: its one signature a second is for readers. The root
    // log remembers this signature.
    const note = signText(this.#config, head.origin, checkpointText(checkpointOf(head)));
    const given = { oldSize: old, proof, checkpoint: utf8(note) };
    const answer = await within(PATIENCE_MS, this.#root().add(this.#log, given), "ledger: no answer in time");
    if (answer.not === undefined) {
      this.#known = answer.size;
      return answer.size === this.#head().size;
    }
    // An earlier answer was lost, or the history differs: the root log's checkpoint decides.
    log({ event: "ledger_root_refused", origin: head.origin, why: answer.not });
    await this.#compare();
    return this.#stop !== undefined; // a stopped log hands nothing over
  }
}
