import type { AuditEvent, Configuration } from "#audit/event";
import type { Counted, DefinitionMissing, Recorded, Replayed } from "#audit/ports";
import { instant, type Instant } from "#kernel/clock";
import { RecentEnds, type TailPart } from "#audit/traffic/ends";
import { readIsolateText } from "#audit/traffic/isolate-text";
import { commit, type Head } from "#ledger/commit";
import { CommitPatience } from "#ledger/commit-patience";
import { isWithin, openTimes, type Span, SWITCH_SLACK_MS } from "#ledger/log-name";
import { hasRoomForTally, howManyFit, leafBytesOf, type Sealable, sealBatch, sealLeaves } from "./batch.ts";
import type { LedgerConfig } from "#platform/ledger/config";
import { LogDefinitions, recordsOfDefinition, type SizedDefinition } from "./definitions.ts";
import { type Draft, draftAppend } from "./draft.ts";
import { RefusedAppend } from "#platform/ledger/append-text";
import { Epoch } from "#platform/ledger/object/log/key-epoch";
import { UsedProofs, type UsedProof } from "./used-proofs.ts";
import { packRecent, RECENT_MS, RecentAppends } from "./recent.ts";
import type { LedgerStore } from "#platform/ledger/object/log/store";
import { LedgerTally } from "./tally.ts";
import type { Restored } from "#platform/ledger/object/log/stored-log";
import { RecordedConfigurations } from "./recorded-configurations.ts";
import type { TrafficRows } from "#platform/ledger/object/traffic/traffic-rows";

interface Waiting extends Sealable {
  readonly leafBytes: number;
  readonly proof: UsedProof | undefined;
  readonly configuration: Configuration | undefined;
  readonly numbers: string | undefined;
  readonly resolve: (recorded: Recorded) => void;
  readonly reject: (fault: Error) => void;
}

/** Receives the events of a log's writer. */
interface WriterListener {
  /** A frame is in the storage, and its appends are answered. */
  readonly committed: (now: Instant, lineBytes: number) => void;
  /** Refusals were counted that are not recorded yet. */
  readonly counted: () => void;
}

const WAITING_BYTES_MAX = 33_554_432;

/** A statement of a commit failed, so its transaction was rolled back: nothing of it is stored. */
class RolledBack extends Error {}

/**
 * The queue of a log, and its commits. The output gate holds the answer of an append, and every message of the
 * object, until its frame is durable (ADR 3). When a commit fails, no waiting append gets a position, and the
 * object is torn down. The next incarnation starts from the stored rows. Only where the transaction was rolled back,
 * the object goes on and refuses the waiting appends: no record of them is here, and a different log may take them.
 */
export class LedgerWriter {
  readonly #ctx: DurableObjectState;
  readonly #config: LedgerConfig;
  readonly #store: LedgerStore;
  readonly #log: string;
  readonly #listener: WriterListener;
  readonly #traffic: TrafficRows;
  readonly #recent = new RecentAppends();
  readonly #ends: RecentEnds;
  #proofs: UsedProofs;
  readonly #configurations: RecordedConfigurations;
  readonly #definitions = new LogDefinitions();
  readonly #openTimes: Span | undefined;
  #head: Head;
  #keyEpoch: number;
  #epoch: Epoch | undefined;
  readonly #tally: LedgerTally;
  #queue: Waiting[] = [];
  #waitingBytes = 0;
  #isSealed: boolean;
  #isTallyDue = false;
  #isUnconfirmed = false; // the last commit may not be durable yet
  readonly #patience = new CommitPatience();
  #endWait: (() => void) | undefined; // ends the wait before a commit
  #pumping: Promise<void> | undefined;

  constructor(
    ctx: DurableObjectState,
    config: LedgerConfig,
    store: LedgerStore,
    log: string,
    restored: Restored,
    traffic: TrafficRows,
    listener: WriterListener,
  ) {
    this.#ctx = ctx;
    this.#config = config;
    this.#store = store;
    this.#log = log;
    this.#openTimes = openTimes(log, config.shards);
    this.#listener = listener;
    this.#traffic = traffic;
    this.#tally = new LedgerTally(ctx.storage, store, config.subjectKeys[0]);
    this.#proofs = new UsedProofs(ctx.storage.sql, instant(Date.now()));
    this.#configurations = new RecordedConfigurations(ctx.storage.sql, log);
    ({ head: this.#head, keyEpoch: this.#keyEpoch, isSealed: this.#isSealed } = restored);
    this.#ends = new RecentEnds(this.#frame);
    if (this.#head.frame === undefined) return;
    const since = Math.floor((Date.now() - RECENT_MS) / 1000) - 10; // frame times are rounded down to 10 s
    for (const { number, seconds, hash, recent } of store.recent(since)) {
      this.#recent.load(recent, { log, frame: number, frameHash: hash }, instant((seconds + 10) * 1000));
    }
  }

  /** The head after the last commit. The output gate holds every answer about it until it is durable. */
  get head(): Head {
    return this.#head;
  }

  get #frame(): number {
    return this.#head.frame?.number ?? -1;
  }

  /** The newest ends of requests, from those that the memory has. The output gate holds them, too. */
  endsSince(frame: number | undefined): TailPart {
    return this.#ends.since(frame, this.#frame);
  }

  /** The log ended; a later clock does not change that. */
  get isSealed(): boolean {
    return this.#isSealed;
  }

  get isOpen(): boolean {
    return !this.#isSealed && isWithin(this.#openTimes, instant(Date.now()));
  }

  /**
   * `proofHash`: the hash of the proof that a request's first append uses up. `contents`: of definitions that
   * the events name. `numbers`: of the caller's isolate, for the same commit.
   */
  async append(
    events: readonly AuditEvent[],
    proofHash?: string,
    contents?: readonly Uint8Array[],
    numbers?: string,
  ): Promise<Recorded | Counted | Replayed | DefinitionMissing> {
    const now = instant(Date.now());
    if (!this.isOpen) throw notOpen();
    const draft = draftAppend(events, this.#config.subjectKeys[0]);
    const earlier = this.#recent.find(draft);
    if (earlier !== undefined) return earlier;
    const configuration = configurationIn(events);
    const recent = configuration && this.#configurations.find(configuration, now);
    if (recent !== undefined) return recent;
    const definitions = this.#definitions.find(draft.definitions, contents, now);
    if (definitions === undefined) return "definition missing";
    const leafBytes = leafBytesOf({ draft, definitions });
    if (this.#tally.takes(events, now)) return this.#count(events[0]?.outcome?.reason ?? "unknown");
    if (this.#waitingBytes + leafBytes > WAITING_BYTES_MAX) throw new Error("ledger: overloaded");
    const proof = proofHash === undefined ? undefined : { hash: proofHash, event: draft.id };
    // Taken before it is stored: of two simultaneous appends the second is refused, even if the first
    // append's commit then fails.
    if (proof !== undefined && !this.#proofs.take(proof, now)) return "replayed";
    const recorded = new Promise<Recorded>((resolve, reject) => {
      this.#queue.push({ draft, definitions, leafBytes, proof, configuration, numbers, resolve, reject });
    });
    this.#waitingBytes += leafBytes;
    this.#recent.expect(draft, recorded);
    if (configuration !== undefined) this.#configurations.expect(configuration, recorded);
    this.#pump();
    if (this.#endWait !== undefined && this.#patience.isComplete(this.#queue.length)) this.#endWait();
    return recorded;
  }

  /**
   * Takes a proof for the log of the next half-year. True when no different event has it, durably. Throws
   * once the claim's time is over.
   */
  async claimProof(proof: UsedProof): Promise<boolean> {
    const now = instant(Date.now());
    if (!this.isOpen && !isWithin(this.#openTimes, instant(now - SWITCH_SLACK_MS))) throw notOpen();
    if (!this.#proofs.take(proof, now)) return false;
    this.#ctx.storage.transactionSync(() => this.#proofs.store([proof], now));
    await this.#ctx.storage.sync();
    return true;
  }

  /** The counts of refusals that are not recorded yet, by reason. */
  get counts(): Readonly<Record<string, number>> {
    return this.#tally.counts;
  }

  /**
   * Records the counts that no append came after. True when none are left, or this log no longer takes
   * records.
   */
  settleCounts(): boolean {
    if (!this.isOpen || Object.keys(this.counts).length === 0) return true;
    this.#isTallyDue = true;
    this.#pump();
    return false;
  }

  /**
   * Ends a log that no longer takes records: leaves of kind 3 fill its last bundle, in their own frame.
   * `recordedCounts`: the counts that another log recorded; if this log's counts differ, nothing is done.
   * True when the log is sealed now.
   */
  async seal(recordedCounts: Readonly<Record<string, number>>): Promise<boolean> {
    while (this.#pumping !== undefined) await this.#pumping; // earlier appends are decided
    if (this.#isSealed) return true;
    if (
      this.isOpen ||
      this.#head.size === 0 ||
      JSON.stringify(this.counts) !== JSON.stringify(recordedCounts)
    )
      return false;
    this.#isSealed = true;
    try {
      const now = instant(Date.now());
      const done = commit(this.#head, sealLeaves(this.#head, this.#keyEpoch), now);
      this.#ctx.storage.transactionSync(() => {
        this.#store.insert(done, new Uint8Array(), undefined);
        this.#store.clearTally();
      });
      await this.#ctx.storage.sync();
      this.#head = done.head;
      this.#listener.committed(now, 0);
      return true;
    } catch (fault) {
      this.#abort(fault);
      throw fault;
    }
  }

  #count(reason: string): Promise<Counted> {
    const counted = this.#tally.count(reason);
    this.#pump();
    return counted;
  }

  #pump(): void {
    this.#pumping ??= this.#run();
  }

  async #run(): Promise<void> {
    let batch: Waiting[] = [];
    try {
      await Promise.resolve(); // further calls of this turn of the event loop join the first commit
      while (this.#queue.length > 0 || this.#tally.isWaiting || this.#isTallyDue) {
        // One commit at a time: while a commit is on its way to the disk, further appends gather for the next.
        if (this.#isUnconfirmed) await this.#ctx.storage.sync();
        this.#isUnconfirmed = false;
        const patience = this.#patience.milliseconds(this.#queue.length);
        if (patience > 0) await this.#company(patience);
        const now = instant(Date.now());
        if (this.#epoch === undefined || this.#epoch.isSpent(now)) {
          this.#epoch = await Epoch.begin(this.#config, this.#head.origin, this.#keyEpoch + 1, now);
        }
        batch = this.#takeBatch(this.#epoch.number);
        if (this.#tally.isWaiting) {
          await this.#tally.store();
          this.#listener.counted();
        }
        if (batch.length > 0 || this.#isTallyDue) await this.#commit(batch, this.#epoch);
        if (batch.length > 0) this.#patience.committed(batch.length, Date.now());
      }
      this.#patience.rested();
    } catch (fault) {
      const failed = [...batch, ...this.#queue.splice(0)];
      const isRolledBack = fault instanceof RolledBack;
      const failure = isRolledBack
        ? new RefusedAppend("ledger: the commit failed")
        : new Error("ledger: the commit failed");
      this.#waitingBytes = 0;
      for (const { draft, reject } of failed) {
        this.#recent.refused(draft);
        reject(failure);
      }
      this.#tally.fail(failure);
      // A commit that was rolled back changed no row, and an object that is torn down answers no caller.
      if (!isRolledBack || !this.#forgetProofs()) this.#abort(fault);
    } finally {
      this.#pumping = undefined; // set together with the check of the queue: a later append starts a new run
    }
  }

  /** Leaves only the proofs that rows have: an append that was refused uses none up. False: they cannot be read. */
  #forgetProofs(): boolean {
    try {
      this.#proofs = new UsedProofs(this.#ctx.storage.sql, instant(Date.now()));
      return true;
    } catch {
      return false;
    }
  }

  /** Waits for a time, or until as many appends wait as are expected. */
  async #company(milliseconds: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, milliseconds);
      this.#endWait = resolve;
    });
    clearTimeout(timer);
    this.#endWait = undefined;
  }

  /** Tears the object down: the stored rows decide. */
  #abort(fault: unknown): void {
    this.#ctx.abort(fault instanceof Error ? fault.message : "ledger: the commit failed");
  }

  /** The oldest waiting appends that fit a frame and a row of lines; always at least 1. */
  #takeBatch(epoch: number): Waiting[] {
    const isWritten = (digest: string) => this.#definitions.isWritten(digest, epoch);
    // none when only refusals wait to be counted
    const batch = this.#queue.splice(0, howManyFit(this.#queue, isWritten));
    for (const { leafBytes } of batch) this.#waitingBytes -= leafBytes;
    return batch;
  }

  /** The definitions that the key epoch lacks, each with the first append that names it. */
  #definitionsToWrite(batch: readonly Waiting[], epoch: number): readonly (readonly SizedDefinition[])[] {
    const written = new Set<string>();
    return batch.map(({ definitions }) =>
      definitions.filter(({ digest }) => {
        const isFirst = !written.has(digest) && !this.#definitions.isWritten(digest, epoch);
        return isFirst && written.add(digest);
      }),
    );
  }

  /** Commits a frame, a row of lines, and the tiles they fill, in a single transaction; then answers. */
  async #commit(batch: readonly Waiting[], epoch: Epoch): Promise<void> {
    const head = this.#head;
    this.#isTallyDue = false;
    const begun = instant(Date.now());
    const drafts = batch.map(({ draft }) => draft);
    const defined = this.#definitionsToWrite(batch, epoch.number);
    // an append's definitions stand right before it
    const all: Pick<Draft, "records">[] = drafts.flatMap((draft, i) => [
      { records: (defined[i] ?? []).flatMap((definition) => recordsOfDefinition(definition, begun)) },
      draft,
    ]);
    // after the batch, so that no position moves
    const isRecorded = this.#tally.isDue(begun) && hasRoomForTally(head, this.#keyEpoch, epoch, all);
    const tally = isRecorded ? this.#tally.draft(begun) : undefined;
    if (drafts.length === 0 && tally === undefined) return;
    if (tally !== undefined) all.push(tally);
    const { leaves, offsets, box } = await sealBatch(this.#config, head, this.#keyEpoch, epoch, all);
    // The rest up to the transaction is one turn of the event loop. Only this method and `seal` add to the log,
    // and neither runs beside the other.
    const now = instant(Date.now());
    if (!this.isOpen) {
      // The append waited past the end of the half-year. No verifier would accept its record here, and its
      // sender finds the next log.
      for (const { draft, reject } of batch) {
        this.#recent.refused(draft);
        reject(notOpen());
      }
      return;
    }
    const done = commit(head, leaves, now);
    const counted = tally === undefined ? drafts : [...drafts, tally];
    const at = { log: this.#log, frame: done.number, frameHash: done.frameHash };
    const answers = drafts.map((draft, i) => {
      const offset = offsets[2 * i + 1] ?? 0;
      const leafHash = done.leafHashes[offset] ?? new Uint8Array();
      return {
        draft,
        recorded: { ...at, index: done.first + offset, count: draft.records.length, leafHash },
      };
    });
    const packed = packRecent(answers);
    this.#stored(() => {
      this.#store.insert(done, packed, box);
      this.#proofs.store(
        batch.flatMap(({ proof }) => proof ?? []),
        now,
      );
      this.#configurations.store(
        batch.flatMap(({ configuration }, i) => {
          const at = answers[i]?.recorded;
          return configuration === undefined || at === undefined ? [] : { named: configuration, at };
        }),
        now,
      );
      this.#traffic.insert(
        done.number,
        done.seconds,
        counted
          .map((draft) => draft.traffic)
          .concat(batch.flatMap(({ numbers }) => (numbers === undefined ? [] : readIsolateText(numbers)))),
      );
      if (tally !== undefined) this.#store.clearTally();
    });
    // No wait for the disk here: it would cost a turn of the event loop. The output gate waits.
    this.#isUnconfirmed = true;
    this.#store.created();
    this.#traffic.created();
    this.#head = done.head;
    this.#ends.add(
      done.number,
      now,
      counted.flatMap(({ ends }) => ends),
    );
    this.#keyEpoch = epoch.number;
    this.#definitions.wrote(defined.flat(), epoch.number);
    if (tally !== undefined) this.#tally.recorded(now);
    this.#recent.committed(drafts, packed, at, now);
    for (const [i, { recorded }] of answers.entries()) batch[i]?.resolve(recorded);
    this.#listener.committed(now, box?.box.length ?? 0);
  }

  /** Runs the statements of a commit. Throws `RolledBack` where one of them failed: only then nothing is stored. */
  #stored(statements: () => void): void {
    let areDone = false;
    try {
      this.#ctx.storage.transactionSync(() => {
        statements();
        areDone = true;
      });
    } catch (fault) {
      throw areDone ? fault : new RolledBack(fault instanceof Error ? fault.message : "unknown");
    }
  }
}

/**
 * The configuration that a worker started with. Throws a TypeError when further events come with it: a
 * configuration may be answered with an earlier record.
 */
function configurationIn(events: readonly AuditEvent[]): Configuration | undefined {
  const [configuration] = events.flatMap(({ configuration }) => configuration ?? []);
  if (configuration !== undefined && events.length > 1)
    throw new TypeError("ledger: bad event: a configuration comes alone");
  return configuration;
}

const notOpen = (): Error => new Error("ledger: this log is not open");
