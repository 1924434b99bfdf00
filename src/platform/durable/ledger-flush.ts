import { type Instant, instant } from "#kernel/clock";
import { utf8 } from "#ledger/bytes";
import { checkpointText } from "#ledger/checkpoint";
import type { Head } from "#ledger/commit";
import { type CopiedObject, type CopyHealth, copyHealth, flushEnd, nothing, objectKey, objectsBetween, type Reach } from "#ledger/flush";
import { keptUntil } from "#ledger/root-log";
import { TILE_WIDTH } from "#ledger/tile";
import { LedgerAlarm, RETRY_MS } from "./ledger-alarm.ts";
import type { LedgerBucket } from "./ledger-bucket.ts";
import type { LedgerConfig } from "./ledger-config.ts";
import type { LedgerDrain } from "./ledger-drain.ts";
import { FlushRows, type FlushState } from "./ledger-flush-rows.ts";
import type { LedgerObjects } from "./ledger-objects.ts";
import { LedgerPruner } from "./ledger-pruner.ts";
import { Forked, PublishedCheckpoint } from "./ledger-published.ts";
import { type CheckpointSigner, signText } from "./ledger-signer.ts";
import type { LedgerStore } from "./ledger-store.ts";
import { checkpointAt, copyOf } from "./ledger-view.ts";
import { within } from "./within.ts";

// A frame is in R2 within 60 s: this long until the flush begins, and the rest for the flush.
const FLUSH_EVERY_MS = 45_000;
const BACKLOG_MS = 1_000; // R2 takes one write a second to one key, and each flush writes the checkpoint
const START_MS = 15_000; // a start may take 30 s, then the object is reset: what a crash left goes on beside the first records
const PUTS_AT_ONCE = 6; // connections that a Worker may have open at a time

/** Why a log is stopped whose objects are gone from R2 when they may be. */
export const REMOVED = "this log was removed after its six years";

/** Why a log must not go on; `again` when a later look may find otherwise. */
interface Stop {
  readonly why: string;
  readonly again: boolean;
}

type Drain = Pick<LedgerDrain, "run" | "waitingFrame">;
const nothingToDrain: Drain = { waitingFrame: undefined, run: () => Promise.resolve("done") };

/** The log that is copied, and how. */
interface FlushParts {
  readonly storage: DurableObjectStorage;
  readonly config: LedgerConfig;
  readonly store: LedgerStore;
  readonly bucket: LedgerBucket;
  readonly objects: LedgerObjects;
  readonly signer: CheckpointSigner;
  readonly head: () => Head;
  /** Shares the alarm; a root log has no lines. */
  readonly drain?: Drain;
  readonly everyMs?: number;
  /** Bytes of copied frames that stay in the rows. */
  readonly keepBytes: () => number;
  /** When the alarm comes though there is nothing to copy; undefined for never. */
  readonly idleUntil?: () => Instant | undefined;
}

/**
 * Copies a log to R2, and keeps a log from going on that is behind its own copy. The order is what makes a crash harmless:
 * the plan with its signed checkpoint is durable, then every object is there, then the checkpoint, then the plan is done. All objects are
 * a pure function of frames that are committed, and none is ever overwritten, so any step may be done again.
 */
export class LedgerFlush {
  readonly #parts: FlushParts;
  readonly #rows: FlushRows;
  readonly #published: PublishedCheckpoint;
  readonly #pruner: LedgerPruner;
  readonly #drain: Drain;
  readonly #alarm: LedgerAlarm;
  readonly #everyMs: number;
  #state: FlushState;
  #stop: Stop | undefined = { why: "the published checkpoint was not read yet", again: true };
  #starting: Promise<void> | undefined;
  #copying: Promise<boolean> | undefined;
  #oldest: Instant | undefined; // when the oldest frame without a copy was committed
  #storedBytes = 0;

  constructor(parts: FlushParts) {
    this.#parts = parts;
    this.#drain = parts.drain ?? nothingToDrain;
    this.#everyMs = parts.everyMs ?? FLUSH_EVERY_MS;
    this.#alarm = new LedgerAlarm(parts.storage, this.#everyMs, parts.idleUntil ?? (() => undefined));
    this.#rows = new FlushRows(parts.storage.sql);
    this.#published = new PublishedCheckpoint(parts);
    this.#pruner = new LedgerPruner(parts.storage, parts.store, parts.signer);
    this.#state = this.#rows.load();
  }

  /** Why nothing of this log may be shown or added; undefined when all is well. */
  get stopped(): string | undefined {
    return this.#stop?.why;
  }

  /** How many leaves the published checkpoint covers. */
  get copied(): number {
    return this.#state.done.size;
  }

  health(now: Instant): CopyHealth {
    if (this.#stop !== undefined) return "refusing";
    return copyHealth(this.#oldest === undefined ? 0 : now - this.#oldest, this.#storedBytes);
  }

  /** Compares the log with its published checkpoint and finishes what a crash left. Never throws; what is wrong stands in `stopped`. */
  start(): Promise<void> {
    if (this.#stop?.again !== true) return Promise.resolve();
    this.#starting ??= this.#begin().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  /** Says that a frame was committed. */
  committed(now: Instant): void {
    this.#oldest ??= now;
    this.#alarm.wake();
  }

  /** Has the alarm come as after a commit, for something else that waits for it than a frame. */
  wake(): void {
    this.#alarm.wake();
  }

  /**
   * One flush, one drain of accounting lines, and the alarm for the next. A failure of R2 or of a shelf is no fault of the alarm: it is
   * tried again, and the log's health tells.
   */
  async run(): Promise<void> {
    await this.start();
    if (this.#stop !== undefined && !this.#stop.again) return; // only a restart may look again
    const [copied, drained] = await Promise.all([this.#stop === undefined && this.#copy(), this.#drain.run()]);
    // As with the bucket: another line in the place of one of ours tells of a second history.
    if (drained === "other") this.#stop = { why: "a shelf holds another accounting line", again: false };
    const pruned = copied !== true || this.#stop !== undefined || this.#prune(); // rows go only right after R2 took what it was given
    this.#measure();
    const isIdle = this.#stop === undefined && !this.#isBehind;
    if (!pruned) this.#alarm.arm(BACKLOG_MS);
    else if (isIdle) this.#alarm.rest();
    else if (!copied || drained === "failed") this.#alarm.arm(RETRY_MS);
    else this.#alarm.arm(drained === "more" || this.#isBacklog() ? BACKLOG_MS : this.#everyMs);
  }

  async #begin(): Promise<void> {
    this.#stop = await this.#compare();
    if (this.#stop === undefined && this.#state.pending !== undefined)
      await within(START_MS, this.#copy(), "ledger: the copy takes long").catch(() => undefined); // never fails but by being late
    this.#measure();
    await this.#alarm.resume();
    // What should have been copied by now is at once: it may be so late that the log takes no records meanwhile.
    const isLate = this.#state.pending !== undefined || Date.now() - (this.#oldest ?? Infinity) > this.#everyMs;
    if (this.#isBehind) this.#alarm.wake(isLate ? RETRY_MS : this.#everyMs);
  }

  async #compare(): Promise<Stop | undefined> {
    const checkpoint = await this.#published.read().catch((fault: unknown) => (fault instanceof Forked ? fault : null));
    if (checkpoint === null) return { why: "the published checkpoint cannot be read", again: true };
    if (checkpoint instanceof Forked) return { why: checkpoint.message, again: false };
    const { origin } = this.#parts.head();
    const isGone = checkpoint === undefined && Date.now() >= (keptUntil(origin.slice(origin.lastIndexOf("/") + 1)) ?? Infinity);
    if (isGone && this.#state.done.frames > 0) return { why: REMOVED, again: false };
    // A bucket that shows less than it was given has lost something: copy again from where it stands.
    const there: Reach = checkpoint?.frame === undefined ? nothing : { frames: checkpoint.frame.number + 1, size: checkpoint.size };
    if (there.frames < this.#state.done.frames) this.#copyAgainFrom(there);
    return undefined;
  }

  /** From there, or from the first frame that has a row: what was before it only the bucket has, or nobody. */
  #copyAgainFrom(there: Reach): void {
    const { storage, store } = this.#parts;
    const { freed } = store.copied;
    const done = there.frames < freed.frames ? freed : there;
    storage.transactionSync(() => {
      this.#rows.save({ done });
      store.copied.forgetFrom(done.frames);
    });
    this.#state = { done };
  }

  /** One flush at a time; whether it went through. */
  #copy(): Promise<boolean> {
    this.#copying ??= this.#tried().finally(() => {
      this.#copying = undefined;
    });
    return this.#copying;
  }

  /** What tells of a fork stops the log; any other failure is R2's. */
  async #tried(): Promise<boolean> {
    try {
      await this.#flush();
      await this.#noteOldest();
      return true;
    } catch (fault) {
      if (fault instanceof Forked) this.#stop = { why: fault.message, again: false };
      console.error(JSON.stringify({ event: "ledger_copy_failed", origin: this.#parts.head().origin, stopped: fault instanceof Forked }));
      return false;
    }
  }

  async #flush(): Promise<void> {
    const { storage, store } = this.#parts;
    const { done, pending } = this.#state;
    const plan = pending ?? this.#plan(done);
    if (plan === undefined) return;
    if (pending === undefined) {
      this.#rows.save({ done, pending: plan });
      this.#state = { done, pending: plan };
      await storage.sync();
    }
    // A bundle whose first leaves have no rows any more was copied before these went.
    const isFreed = (one: CopiedObject) => one.kind === "entries" && one.index * TILE_WIDTH < store.copied.freed.size;
    const objects = objectsBetween(done, plan.to).filter((one) => !isFreed(one));
    while (objects.length > 0) {
      const kept = await Promise.allSettled(objects.splice(0, PUTS_AT_ONCE).map((object) => this.#keep(object))); // none still writes after it
      const faults: unknown[] = kept.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
      if (faults.length > 0) throw faults.find((fault) => fault instanceof Forked) ?? faults[0];
    }
    await this.#published.replace(plan.to.size, utf8(plan.note));
    const [first, last] = [done.frames, plan.to.frames - 1];
    const bytes = store.bytesOfFrames(first, last);
    storage.transactionSync(() => {
      this.#rows.save({ done: plan.to });
      store.copied.add({ first, last, size: plan.to.size, bytes });
    });
    this.#state = { done: plan.to };
  }

  /** Frames that were copied without a note of where, by an earlier version: once more, newest first, under names that are noted. */
  async #noteOldest(): Promise<void> {
    const { storage, store } = this.#parts;
    const { frames } = store.copied.freed;
    for (let end = store.copied.oldestKept(1)[0]?.first ?? this.#state.done.frames; end > frames;) {
      const [last, first] = [end - 1, (flushEnd(store.framesBefore(end))?.frames ?? end) - 1]; // the rule of a flush, backwards
      await this.#keep({ kind: "frames", first, last });
      const [size, bytes] = [store.frame(last)?.size ?? 0, store.bytesOfFrames(first, last)];
      storage.transactionSync(() => store.copied.add({ first, last, size, bytes }));
      end = first;
    }
  }

  async #keep(object: CopiedObject): Promise<void> {
    const key = objectKey(this.#parts.head().origin, object);
    const kept = await this.#parts.bucket.keep(key, copyOf(this.#parts.store, this.#parts.head(), object));
    if (kept === "other") throw new Forked(`the bucket holds another ${key}`);
  }

  #plan(done: Reach): FlushState["pending"] {
    const to = flushEnd(this.#parts.store.framesFrom(done.frames));
    if (to === undefined) return undefined;
    const { origin } = this.#parts.head();
    return { to, note: signText(this.#parts.config, origin, checkpointText(checkpointAt(this.#parts.store, origin, to.frames - 1))) };
  }

  /** Whether everything is freed that may be. */
  #prune(): boolean {
    const needed = { done: this.#state.done, waitingFrame: this.#drain.waitingFrame, keepBytes: this.#parts.keepBytes() };
    return this.#pruner.run(this.#parts.head(), needed, instant(Date.now()));
  }

  #measure(): void {
    const seconds = this.#parts.store.frameSeconds(this.#state.done.frames);
    this.#oldest = seconds === undefined ? undefined : instant(seconds * 1000);
    this.#storedBytes = this.#parts.storage.sql.databaseSize;
  }

  /** Whether more is left than the next flush takes. */
  #isBacklog(): boolean {
    const end = flushEnd(this.#parts.store.framesFrom(this.#state.done.frames));
    return end !== undefined && end.frames <= (this.#parts.head().frame?.number ?? -1);
  }

  /** Whether frames are to be copied, or lines to be drained. */
  get #isBehind(): boolean {
    return this.#oldest !== undefined || this.#drain.waitingFrame !== undefined;
  }
}
