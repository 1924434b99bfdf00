import { type Instant, instant } from "#kernel/clock";
import { type CopyHealth, copyHealth, emptyExtent, type LogExtent } from "#ledger/flush";
import { retainedUntil } from "#ledger/root-log";
import { LedgerAlarm, RETRY_MS } from "./alarm.ts";
import { type CopyParts, LedgerCopy } from "./copy.ts";
import type { LedgerDrain } from "#platform/ledger/object/accounting/drain";
import type { LedgerObjects } from "#platform/ledger/object/log/objects";
import { LedgerPruner } from "./pruner.ts";
import { Forked, PublishedCheckpoint } from "#platform/ledger/object/log/published";
import type { CheckpointSigner } from "#platform/ledger/object/log/signer";
import { within } from "#platform/within";
import { log } from "#platform/log";

// A frame is in R2 within 60 s: a flush begins after `settleMilliseconds`, and the rest is for the flush.
const BACKLOG_MS = 1_000; // R2 takes 1 write a second for each key, and each flush writes the checkpoint
// A start may take 30 s, then the object is reset. If a read takes longer than this, the next request tries
// it again. If a crash left unfinished work, it goes on during the first records.
const READ_MS = 12_000;
const START_MS = 15_000;

/** The reason why a log is stopped whose objects were deleted from R2 when the law allows it. */
export const REMOVED = "this log was removed after its six years";

/** The reason why a log must not go on; `again` when a later check may have a different result. */
interface Stop {
  readonly why: string;
  readonly again: boolean;
}

type Drain = Pick<LedgerDrain, "run" | "waitingFrame">;
const nothingToDrain: Drain = { waitingFrame: undefined, run: () => Promise.resolve("done") };

/** The parts of the log that is copied, and the options. */
interface FlushParts extends CopyParts {
  readonly objects: LedgerObjects;
  readonly signer: CheckpointSigner;
  /** Shares the alarm; a root log has no lines. */
  readonly drain?: Drain;
  readonly everyMs?: number;
  /** Bytes of copied frames that stay in the rows. */
  readonly retainBytes: () => number;
  /** The alarm's time when there is nothing to copy; undefined for never. */
  readonly idleUntil?: () => Instant | undefined;
}

/**
 * Copies a log to R2, drains and prunes it, reports its health, and stops a log that is behind its own copy.
 */
export class LedgerFlush {
  readonly #parts: FlushParts;
  readonly #copy: LedgerCopy;
  readonly #published: PublishedCheckpoint;
  readonly #pruner: LedgerPruner;
  readonly #drain: Drain;
  readonly #alarm: LedgerAlarm;
  readonly #everyMs: number;
  #stop: Stop | undefined = { why: "the published checkpoint was not read yet", again: true };
  #starting: Promise<void> | undefined;
  #copying: Promise<boolean> | undefined;
  #oldest: Instant | undefined; // when the oldest frame without a copy was committed
  #storedBytes = 0;

  constructor(parts: FlushParts) {
    this.#parts = parts;
    this.#drain = parts.drain ?? nothingToDrain;
    this.#everyMs = parts.everyMs ?? parts.config.settleMilliseconds;
    this.#alarm = new LedgerAlarm(parts.storage, this.#everyMs, parts.idleUntil ?? (() => undefined));
    this.#published = new PublishedCheckpoint(parts);
    this.#copy = new LedgerCopy(parts, this.#published);
    this.#pruner = new LedgerPruner(parts.storage, parts.store, parts.signer);
  }

  /** The reason why nothing of this log may be shown or added; undefined when all is well. */
  get stopped(): string | undefined {
    return this.#stop?.why;
  }

  /** True when the published checkpoint is not in this log's past: no later check will change that. */
  get isForked(): boolean {
    return this.#stop?.again === false && this.#stop.why !== REMOVED;
  }

  /** How many leaves the published checkpoint covers. */
  get copied(): number {
    return this.#copy.done.size;
  }

  /** The age of the oldest frame without a copy, in milliseconds. */
  behind(now: Instant): number {
    return this.#oldest === undefined ? 0 : Math.max(0, now - this.#oldest);
  }

  health(now: Instant): CopyHealth {
    if (this.#stop !== undefined) return "refusing";
    return copyHealth(this.behind(now), this.#storedBytes);
  }

  /**
   * Compares the log with its published checkpoint and finishes the work that a crash left. Never throws;
   * `stopped` gives the problem.
   */
  start(): Promise<void> {
    if (this.#stop?.again !== true) return Promise.resolve();
    this.#starting ??= this.#begin().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  /** Call after the commit of a frame. */
  committed(now: Instant): void {
    this.#oldest ??= now;
    this.#alarm.wake();
  }

  /** Makes the alarm come as after a commit, for waiting work that is not a frame. */
  wake(): void {
    this.#alarm.wake();
  }

  /** Makes the alarm come in a second, because too much waits. */
  hurry(): void {
    this.#alarm.arm(BACKLOG_MS);
  }

  /**
   * Runs a flush, a drain of accounting lines, and sets the next alarm. A failure of R2 or of a shelf is not
   * a fault of the alarm: it is tried again, and the log's health shows it.
   */
  async run(): Promise<void> {
    await this.start();
    if (this.#stop !== undefined && !this.#stop.again) return; // only a restart may check again
    const [copied, drained] = await Promise.all([
      this.#stop === undefined && this.#tryToCopy(),
      this.#drain.run(),
    ]);
    // Like a different object in the bucket, a different line on a shelf is a sign of a second history.
    if (drained === "other") this.#stop = { why: "a shelf holds another accounting line", again: false };
    // rows are deleted only right after R2 took the copy
    const pruned = !copied || this.#stop !== undefined || this.#prune();
    this.#measure();
    const isIdle = this.#stop === undefined && !this.#isBehind;
    if (!pruned) this.#alarm.arm(BACKLOG_MS);
    else if (isIdle) this.#alarm.rest();
    else if (!copied || drained === "failed") this.#alarm.arm(RETRY_MS);
    else this.#alarm.arm(drained === "more" || this.#copy.isBacklog() ? BACKLOG_MS : this.#everyMs);
  }

  async #begin(): Promise<void> {
    this.#stop = await this.#compare();
    if (this.#stop === undefined && this.#copy.isPending)
      // it fails only by being late
      await within(START_MS, this.#tryToCopy(), "ledger: the copy takes long").catch(() => undefined);
    this.#measure();
    await this.#alarm.resume();
    // An overdue copy comes at once: it may be so late that the log takes no records meanwhile.
    const isLate = this.#copy.isPending || Date.now() - (this.#oldest ?? Infinity) > this.#everyMs;
    if (this.#isBehind) this.#alarm.wake(isLate ? RETRY_MS : this.#everyMs);
  }

  async #compare(): Promise<Stop | undefined> {
    const read = within(
      READ_MS,
      this.#published.read(),
      "ledger: reading the published checkpoint takes long",
    );
    const checkpoint = await read.catch((fault: unknown) => (fault instanceof Forked ? fault : null));
    if (checkpoint === null) return { why: "the published checkpoint cannot be read", again: true };
    if (checkpoint instanceof Forked) return { why: checkpoint.message, again: false };
    const { origin } = this.#parts.head();
    const isGone =
      checkpoint === undefined &&
      Date.now() >= (retainedUntil(origin.slice(origin.lastIndexOf("/") + 1)) ?? Infinity);
    if (isGone && this.#copy.done.frames > 0) return { why: REMOVED, again: false };
    // A bucket that shows less than it was given has lost objects: copy again from its extent.
    const there: LogExtent =
      checkpoint?.frame === undefined
        ? emptyExtent
        : { frames: checkpoint.frame.number + 1, size: checkpoint.size };
    if (there.frames < this.#copy.done.frames) this.#copy.againFrom(there);
    return undefined;
  }

  /** Runs a single flush at a time; true when it succeeded. */
  #tryToCopy(): Promise<boolean> {
    this.#copying ??= this.#tried().finally(() => {
      this.#copying = undefined;
    });
    return this.#copying;
  }

  /** Signs of a fork stop the log; any other failure is R2's. */
  async #tried(): Promise<boolean> {
    try {
      await this.#copy.run();
      return true;
    } catch (fault) {
      if (fault instanceof Forked) this.#stop = { why: fault.message, again: false };
      log({
        event: "ledger_copy_failed",
        origin: this.#parts.head().origin,
        stopped: fault instanceof Forked,
      });
      return false;
    }
  }

  /**
   * True when all rows that may be deleted are deleted. A failure is left for the next alarm, because the
   * runtime gives up an alarm that throws.
   */
  #prune(): boolean {
    const needed = {
      done: this.#copy.done,
      waitingFrame: this.#drain.waitingFrame,
      retainBytes: this.#parts.retainBytes(),
    };
    try {
      return this.#pruner.run(this.#parts.head(), needed, instant(Date.now()));
    } catch {
      log({ event: "ledger_free_failed", origin: this.#parts.head().origin });
      return true;
    }
  }

  #measure(): void {
    const seconds = this.#parts.store.frameSeconds(this.#copy.done.frames);
    this.#oldest = seconds === undefined ? undefined : instant(seconds * 1000);
    this.#storedBytes = this.#parts.storage.sql.databaseSize;
  }

  /** True when frames wait to be copied, or lines to be drained. */
  get #isBehind(): boolean {
    return this.#oldest !== undefined || this.#drain.waitingFrame !== undefined;
  }
}
