import { DurableObject } from "cloudflare:workers";
import type { AuditEvent } from "#audit/event";
import type { TailPart } from "#audit/traffic/ends";
import { instant } from "#kernel/clock";
import type { CopyHealth } from "#ledger/flush";
import { keyLayout } from "#ledger/layout";
import { overAt, parseLogName } from "#ledger/log-name";
import { ROOT_LOG } from "#ledger/root-log";
import { predecessor } from "#ledger/predecessor";
import { TILE_WIDTH } from "#ledger/tlog/tile";
import type { AccountingIntake } from "#platform/ledger/object/accounting/accounting-intake";
import type { AccountingShelf } from "#platform/ledger/object/accounting/accounting-shelf";
import { ledgerConfigurationRecord } from "#platform/ledger/client/configuration-record";
import { regionlessStubs, logStubs, type StubOf } from "#platform/ledger/client/stubs";
import { LedgerBucket } from "#platform/ledger/object/log/bucket";
import { LedgerClosing } from "./closing.ts";
import { type LedgerEnv, readLedgerConfig } from "#platform/ledger/config";
import { LedgerDrain } from "#platform/ledger/object/accounting/drain";
import { LedgerFlush } from "#platform/ledger/object/copy/flush";
import { LedgerObjects } from "#platform/ledger/object/log/objects";
import type { FrameRange } from "#ledger/frame-copies";
import { OwnCalls, type SealedCall } from "./own-calls.ts";
import { LedgerReads } from "#platform/ledger/object/log/reads";
import { LedgerRebuild } from "#platform/ledger/object/copy/rebuild";
import type { LedgerRoot } from "#platform/ledger/object/root/ledger-root";
import { LedgerRootLink } from "#platform/ledger/object/root/link";
import {
  type AppendAnswer,
  answerText,
  eventsText,
  readAnswerText,
  readEventsText,
  RefusedAppend,
  refusedStart,
} from "#platform/ledger/append-text";
import { CheckpointSigner } from "#platform/ledger/object/log/signer";
import { LedgerStore } from "#platform/ledger/object/log/store";
import { TRAFFIC_BOOK, type TrafficBook } from "#platform/ledger/object/traffic/traffic-book";
import { TrafficRows } from "#platform/ledger/object/traffic/traffic-rows";
import { restore } from "#platform/ledger/object/log/stored-log";
import type { UsedProof } from "./used-proofs.ts";
import { LedgerWriter } from "./writer.ts";

/** The public status of a shard. */
export interface ShardStatus {
  readonly log: string;
  readonly open: boolean;
  readonly sealed: boolean; // it ended: nothing is ever added again
  readonly size: number;
  readonly frames: number;
  readonly seconds: number; // of the last frame; 0 when there is none
  readonly copied: number; // leaves that the checkpoint in R2 covers
  readonly behindSeconds: number; // the age of the oldest frame without a copy
  readonly health: CopyHealth;
  readonly why: string | null; // the reason why a log is stopped
  /** Its storage is empty, and the copy in R2 or the root log knows records of it. */
  readonly isLost: boolean;
  /** It was rebuilt from its copy after such a loss, and takes no records. */
  readonly isRebuilt: boolean;
  /** The log that takes its records, because its storage was lost. */
  readonly standIn: string | null;
}

type ShardEnv = LedgerEnv & {
  readonly LEDGER_BUCKET: R2Bucket;
  readonly LEDGER_SHARD: DurableObjectNamespace<LedgerShard>;
  readonly LEDGER_ROOT: DurableObjectNamespace<LedgerRoot>;
  readonly ACCOUNTING_SHELF: DurableObjectNamespace<AccountingShelf>;
  readonly ACCOUNTING_INTAKE: DurableObjectNamespace<AccountingIntake>;
  readonly TRAFFIC_BOOK: DurableObjectNamespace<TrafficBook>;
};

const LEAVES_A_CALL = 64; // of up to 64 KiB each
// An object has 128 MB, and an append that waits takes some KiB. A log writes as many in a few seconds, and its
// callers wait no longer than five.
const APPENDS_MAX = 4_096;
const LINES_LATE_MS = 120_000; // two drains were missed

/**
 * A log of the ledger. It does not start on rows that contradict each other or an earlier signature. It
 * starts but adds and shows nothing when the checkpoint in R2 or in the root log is ahead of it, is not in
 * its past, or cannot be read.
 */
export class LedgerShard extends DurableObject<ShardEnv> {
  readonly #log: string;
  readonly #layout: string; // of keys in this half-year: the root log compared it before this log starts
  readonly #writer: LedgerWriter;
  readonly #reads: LedgerReads;
  readonly #flush: LedgerFlush;
  readonly #root: LedgerRootLink;
  readonly #drain: LedgerDrain;
  readonly #traffic: TrafficRows;
  readonly #closing: LedgerClosing;
  readonly #store: LedgerStore;
  readonly #configured: () => Promise<void> | undefined;
  readonly #ownCalls: OwnCalls;
  readonly #rebuild: LedgerRebuild;
  #appends = 0; // that wait for their answers
  readonly #logOf: StubOf<DurableObjectStub<LedgerShard>>;

  constructor(ctx: DurableObjectState, env: ShardEnv) {
    super(ctx, env);
    const config = readLedgerConfig(env);
    this.#log = ctx.id.name ?? "";
    const name = parseLogName(this.#log);
    if (name === undefined) throw new Error("ledger: the object's name is not the name of a log");
    this.#layout = keyLayout(config.layout, name.halfYear);
    const { jurisdiction } = ctx.id; // workerd knows none
    if (jurisdiction !== undefined && jurisdiction !== config.jurisdiction)
      throw new Error("configuration: LEDGER_JURISDICTION differs between the ledger and a caller");
    this.#ownCalls = new OwnCalls(config.accountingKeys);
    this.#logOf = logStubs(env.LEDGER_SHARD, config);
    const store = new LedgerStore(ctx.storage.sql);
    const restored = restoredOrRefused(store, `${config.name}/${this.#log}`);
    const head = () => this.#writer.head;
    const book = regionlessStubs(env.TRAFFIC_BOOK, config);
    this.#traffic = new TrafficRows(ctx.storage.sql, this.#log, () => book(TRAFFIC_BOOK));
    this.#writer = new LedgerWriter(ctx, config, store, this.#log, restored, this.#traffic, {
      committed: (now, lineBytes) => {
        this.#flush.committed(now);
        if (this.#drain.committed(lineBytes)) this.#flush.hurry();
        this.#root.committed(now);
      },
      counted: () => this.#flush.wake(),
    });
    const bucket = new LedgerBucket(env.LEDGER_BUCKET);
    const objects = new LedgerObjects(store, bucket, head);
    const signer = new CheckpointSigner(config, store, restored.head);
    this.#reads = new LedgerReads(objects, signer, head);
    // A broken stub is not used twice.
    const rootOf = logStubs(env.LEDGER_ROOT, config);
    const root = () => rootOf(ROOT_LOG);
    this.#root = new LedgerRootLink(root, this.#log, this.#layout, config, objects, head);
    this.#store = store;
    this.#rebuild = new LedgerRebuild({ storage: ctx.storage, config, store, bucket, origin: head().origin });
    this.#drain = new LedgerDrain(ctx.storage, config, this.#log, {
      shelves: regionlessStubs(env.ACCOUNTING_SHELF, config),
      intakes: regionlessStubs(env.ACCOUNTING_INTAKE, config),
    });
    const parts = { storage: ctx.storage, config, store, bucket, objects, signer, head };
    this.#flush = new LedgerFlush({
      ...parts,
      drain: this.#drain,
      // Never prune a stopped log: its rows are evidence.
      retainBytes: () =>
        this.#stopped !== undefined ? Infinity : this.#writer.isSealed ? 0 : config.retainBytes,
      idleUntil: () => (this.#writer.isSealed || head().size === 0 ? undefined : overAt(this.#log)),
    });
    const ownLog = { log: this.#log, append: (events: readonly AuditEvent[]) => this.#writer.append(events) };
    this.#configured = ledgerConfigurationRecord(config, this.#logOf, ownLog);
    this.#closing = new LedgerClosing({
      log: this.#log,
      shards: config.shards,
      writer: this.#writer,
      root: this.#root,
      append: (log, event) => this.#logOf(log).append([event]),
    });
    void ctx.blockConcurrencyWhile(() => this.#start());
  }

  /**
   * Records events, all in a single frame, and returns the place of the first record. Throws for an invalid
   * event (TypeError), for more events than a frame holds (RangeError), for a log that is not open or is
   * stopped, and when the commit fails. After an error, no caller was told of a record. A repeated append
   * with identical events and (id, step) within 130 s returns the first position. An anonymous refusal
   * beyond the cap is counted instead. With the hash of a DPoP proof: returns "replayed", and records
   * nothing, when a different event used that proof before, in this log or the log before it (`earlierLog`, if
   * the shards of the key's region changed with the half-year). `chosenBy`: the layouts by which the caller chose
   * this log and the earlier log (`keyLayout`), separated by "; ". With a proof and a different layout than this
   * log's it returns "layout differs" and records nothing. A worker's configuration that was recorded
   * lately returns the position of its record. `contents`: of definitions that the events name by digest.
   * Without the content of a definition that this log lacks, it returns "definition missing" and records
   * nothing. `numbers`: of the caller's isolate, which count in the same commit if the append returns a new place.
   * Throws "overloaded" at once while 4,096 appends wait, here or for the start of the log.
   */
  async append(
    events: readonly AuditEvent[],
    proofHash?: string,
    contents?: readonly Uint8Array[],
    earlierLog?: string,
    chosenBy?: string,
    numbers?: string,
  ): Promise<AppendAnswer> {
    if (this.#appends >= APPENDS_MAX) throw new Error("ledger: overloaded");
    this.#appends++;
    try {
      return await this.#append(events, proofHash, contents, earlierLog, chosenBy, numbers);
    } finally {
      this.#appends--;
    }
  }

  /**
   * {@link append} with the events and the answer as text: a call with objects costs several times as much. A log
   * that takes no records answers "refused", where `append` throws.
   */
  async appendText(
    events: string,
    proofHash?: string,
    contents?: readonly Uint8Array[],
    earlierLog?: string,
    chosenBy?: string,
    numbers?: string,
  ): Promise<string> {
    try {
      const read = readEventsText(events);
      return answerText(await this.append(read, proofHash, contents, earlierLog, chosenBy, numbers));
    } catch (fault) {
      if (fault instanceof RefusedAppend) return answerText("refused");
      throw fault;
    }
  }

  async #append(
    events: readonly AuditEvent[],
    proofHash: string | undefined,
    contents: readonly Uint8Array[] | undefined,
    earlierLog: string | undefined,
    chosenBy: string | undefined,
    numbers: string | undefined,
  ): Promise<AppendAnswer> {
    const { standIn } = this.#rebuild;
    if (standIn !== undefined) {
      if (proofHash !== undefined) this.#rebuild.checkLostProofs();
      const text = eventsText(events);
      const answer = readAnswerText(
        await this.#logOf(standIn).appendText(text, proofHash, contents, earlierLog, chosenBy, numbers),
      );
      if (answer === "refused") throw new RefusedAppend(`ledger: ${standIn} takes no records`);
      return answer;
    }
    if (this.#rebuild.isRebuilt)
      throw new RefusedAppend("ledger: this log lost its storage and takes no records");
    if (this.#stopped !== undefined) await this.#mayGoOn();
    if (!this.#root.isOpened) await this.#mayBegin();
    if (this.#flush.health(instant(Date.now())) === "refusing")
      throw new RefusedAppend("ledger: too far behind its copy in R2");
    if (proofHash !== undefined) {
      // A caller of an earlier version does not say how it chose.
      const [layout = this.#layout, earlierLayout] = chosenBy?.split("; ") ?? [];
      if (layout !== this.#layout) return "layout differs";
      const proof = { hash: proofHash, event: events[0]?.id ?? "" };
      if (!(await this.#ownsProof(proof, earlierLog, earlierLayout))) return "replayed";
    }
    // A configuration does not wait for this log's own configuration: two logs that stand in for each other
    // would wait for each other.
    const configured = hasConfiguration(events) ? undefined : this.#configured();
    const appended = this.#writer.append(events, proofHash, contents, numbers);
    const known = this.#root.hasRecord ? appended : this.#knownToRoot(appended);
    return configured === undefined ? known : (await Promise.all([known, configured]))[0];
  }

  /** Around a switch of half-years, asks the log before this log. False: a different event owns the proof there. */
  async #ownsProof(
    proof: UsedProof,
    earlierLog: string | undefined,
    layout: string | undefined,
  ): Promise<boolean> {
    const before = logBefore(this.#log, earlierLog);
    if (before === undefined) return true;
    const claim = this.#ownCalls.seal(before, { kind: "claim_proof", proof, layout });
    return this.#logOf(before).ownCall(claim);
  }

  /**
   * The first answer of a log waits until the root log has a checkpoint of it. A log that lost its storage before
   * that would begin anew under its name, and nobody but the holder of a receipt could tell (P5).
   */
  async #knownToRoot<T>(appended: Promise<T>): Promise<T> {
    const answer = await appended;
    if (typeof answer === "string") return answer; // nothing was recorded
    await this.#root.handFirstOver();
    if (!this.#root.hasRecord)
      throw new Error("ledger: the root log does not know this log's first record yet");
    return answer;
  }

  /**
   * Calls between the ledger's own objects. Calls from any further worker that binds this class are refused
   * before anything is done.
   * - Claim of a proof: around a switch of half-years two logs take records of a key, and the earlier log
   *   decides which event owns a proof. False: a different event owns it. Throws when the sender chose the log by
   *   a different layout.
   * - Shelving: copies all accounting lines for some shelves there, so that the next reader finds every
   *   acknowledged disclosure. Discloses nothing. Throws when that cannot be done.
   * - Rebuild: of a log whose storage is empty. False: there is more to rebuild, so call again. Throws for a log
   *   that has rows of its own, and once when it is done, because the object starts again from its rows.
   */
  async ownCall(sealed: SealedCall): Promise<boolean> {
    const call = this.#ownCalls.open(this.#log, sealed);
    if (call.kind === "rebuild") return this.#rebuildOn(call.standIn);
    // The used proofs and the lines of a log that lost its storage are lost: its stand-in has the later ones.
    const { standIn } = this.#rebuild;
    if (standIn !== undefined) {
      if (call.kind === "claim_proof") this.#rebuild.checkLostProofs();
      return this.#logOf(standIn).ownCall(this.#ownCalls.seal(standIn, call));
    }
    await this.#mayGoOn();
    switch (call.kind) {
      case "claim_proof":
        if ((call.layout ?? this.#layout) !== this.#layout)
          throw new Error("configuration: a period of LEDGER_REGIONS was changed that has just ended");
        return this.#writer.claimProof(call.proof);
      case "shelve":
        await this.#drain.shelve(call.shelves);
        return true;
    }
  }

  /**
   * The newest ends of requests behind a frame, as far as this object's memory has them; undefined: none, for a
   * reader who begins. Labels, times and numbers alone.
   */
  endsSince(frame: number | undefined): TailPart & { readonly standIn: string | null } {
    return { ...this.#writer.endsSince(frame), standIn: this.#rebuild.standIn ?? null };
  }

  async status(): Promise<ShardStatus> {
    await this.#start();
    const { size, frame } = this.#writer.head;
    return {
      log: this.#log,
      open: this.#writer.isOpen && !this.#rebuild.isRebuilt,
      sealed: this.#writer.isSealed,
      size,
      frames: frame === undefined ? 0 : frame.number + 1,
      seconds: frame?.seconds ?? 0,
      copied: this.#flush.copied,
      behindSeconds: this.#flush.behind(instant(Date.now())) / 1000,
      health: this.#health(),
      why: this.#stopped ?? null,
      isLost: this.#isLost && !this.#rebuild.isRebuilt,
      isRebuilt: this.#rebuild.isRebuilt,
      standIn: this.#rebuild.standIn ?? null,
    };
  }

  /**
   * The signed checkpoint, at most a new one each second; undefined when this log was never opened and
   * cannot be opened now.
   */
  async checkpoint(): Promise<Uint8Array | undefined> {
    await this.#mayGoOn();
    return this.#writer.head.size === 0 && !this.#writer.isOpen ? undefined : this.#reads.checkpoint();
  }

  /**
   * C2SP tlog-tiles: `width` hashes of a tile, 256 for a full tile; undefined when the log does not have the
   * tile.
   */
  async tile(level: number, index: number, width: number): Promise<Uint8Array | undefined> {
    await this.#mayGoOn();
    return this.#reads.tile(level, index, width);
  }

  /** C2SP tlog-tiles: the bundle of `width` entries. */
  async entries(index: number, width: number): Promise<Uint8Array | undefined> {
    await this.#mayGoOn();
    return this.#reads.entries(index, width);
  }

  /** Up to 64 leaves in a call; undefined for a leaf that the log does not have. */
  async leaves(indexes: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    await this.#mayGoOn();
    // RPC callers may send any type
    return Array.isArray(indexes) ? this.#reads.leaves(indexes.slice(0, LEAVES_A_CALL)) : [];
  }

  async frame(number: number): Promise<Uint8Array | undefined> {
    await this.#mayGoOn();
    return this.#reads.frame(number);
  }

  /**
   * The objects of the second copy in R2, from the one that has a frame, for readers to fetch them there: up to
   * 1,000 in a call. Empty until the frame is copied.
   */
  async frameCopies(number: number, limit: number): Promise<readonly FrameRange[]> {
    await this.#mayGoOn();
    return this.#reads.frameCopies(number, limit);
  }

  /**
   * C2SP tlog-proof for a leaf under the current checkpoint; undefined until the checkpoint covers the leaf.
   */
  async proof(index: number): Promise<Uint8Array | undefined> {
    await this.#mayGoOn();
    return this.#reads.proof(index);
  }

  /** Like {@link proof}, for up to 256 leaves in a call. */
  async proofs(indexes: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    await this.#mayGoOn();
    // RPC callers may send any type
    return Array.isArray(indexes) ? this.#reads.proofs(indexes.slice(0, TILE_WIDTH)) : [];
  }

  /**
   * Seals a log whose time is over, copies to R2, drains accounting lines, deletes rows. The runtime calls
   * it; as an RPC it is refused.
   */
  override async alarm(): Promise<void> {
    await this.#start();
    if (this.#rebuild.isRebuilt) {
      // It adds nothing. Frames that only the root log's checkpoint covered get their checkpoint in R2.
      if (this.#stopped === undefined && this.#flush.copied < this.#writer.head.size) await this.#flush.run();
      return;
    }
    if (this.#root.isForked) return; // only a restart may check again
    const closed = this.#stopped !== undefined || (await this.#closing.run());
    await this.#flush.run();
    // Also before the root log was asked: settling asks it.
    const rooted = this.#flush.stopped !== undefined || (await this.#root.settle(instant(Date.now())));
    const counted = await this.#traffic.handOver();
    if (!closed || !rooted || !counted) this.#flush.wake(); // the next alarm tries again
  }

  get #stopped(): string | undefined {
    // The root log may have a later checkpoint than the copy: a rebuilt log shows what the copy has. A checkpoint
    // within it must be in its past.
    const isShort = this.#rebuild.isRebuilt && this.#root.isAhead;
    return this.#flush.stopped ?? (isShort ? undefined : this.#root.stopped);
  }

  /**
   * True when no row is left of records that the copy in R2 or the root log knows, and no later check changes
   * that.
   */
  get #isLost(): boolean {
    return this.#writer.head.size === 0 && (this.#flush.isForked || this.#root.isForked);
  }

  async #rebuildOn(standIn: string | undefined): Promise<boolean> {
    await this.#start();
    if (!this.#rebuild.isRebuilt && !this.#isLost)
      throw new Error("ledger: this log has not lost its storage");
    // Without the root log's answer the copy could be older than its checkpoint unnoticed.
    if (!this.#root.isOpened && !this.#root.isForked) throw new Error("ledger: the root log cannot be asked");
    if (!(await this.#rebuild.step(standIn, this.#root.rooted))) return false;
    if (this.#stopped === undefined) return true;
    await this.ctx.storage.sync();
    this.ctx.abort("ledger: rebuilt, and starts again from its rows");
    return false;
  }

  /** Compares the log with its published checkpoints, and compares again after a failed read. */
  async #start(): Promise<void> {
    await Promise.all([this.#flush.start(), this.#root.start()]);
  }

  /** A log that is late with its lines goes on, like a log that is late with its copy, and reports it. */
  #health(): CopyHealth {
    const now = Date.now();
    const health = this.#stopped === undefined ? this.#flush.health(instant(now)) : "refusing";
    const frame = this.#drain.waitingFrame;
    const isLate = frame !== undefined && now - (this.#store.frameSeconds(frame) ?? 0) * 1000 > LINES_LATE_MS;
    return health === "good" && isLate ? "degraded" : health;
  }

  /**
   * A log that was rolled back must not show itself either: a new signature would start a second history.
   */
  async #mayGoOn(): Promise<void> {
    await this.#start();
    if (this.#stopped !== undefined) throw new RefusedAppend(`ledger: ${this.#stopped}`);
  }

  /**
   * No record before the log was opened in the root log: otherwise the log could be hidden without a trace.
   */
  async #mayBegin(): Promise<void> {
    await this.#root.open();
    if (!this.#root.isOpened) throw new RefusedAppend("ledger: this log is not open");
  }
}

/** Like `restore`. Its error tells callers that the log did not start, so that a different log may take a record. */
function restoredOrRefused(store: LedgerStore, origin: string): ReturnType<typeof restore> {
  try {
    return restore(store, origin);
  } catch (fault) {
    throw refusedStart(fault);
  }
}

/** The log that must be asked about the first use of a proof now. */
function logBefore(log: string, earlierLog: string | undefined): string | undefined {
  const own = predecessor(log, instant(Date.now()));
  if (own === undefined || earlierLog === undefined) return own;
  if (parseLogName(earlierLog)?.halfYear !== parseLogName(own)?.halfYear)
    throw new TypeError("ledger: not a log of the half-year before");
  return earlierLog;
}

/** RPC callers may send any type; the writer refuses invalid events. */
const hasConfiguration = (events: readonly (Partial<AuditEvent> | null)[]): boolean =>
  Array.isArray(events) && events.some((event) => event?.configuration !== undefined);
