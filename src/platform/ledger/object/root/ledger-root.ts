import { DurableObject } from "cloudflare:workers";
import { instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import { checkpointText } from "#ledger/tlog/checkpoint";
import { commit, type Head } from "#ledger/commit";
import type { CopyHealth } from "#ledger/flush";
import { FRAME_LEAVES_MAX } from "#ledger/leaf/frame";
import { inclusionNote } from "#ledger/tlog/inclusion-note";
import { isOpenLog, isStandIn, overAt, parseLogName, standInsOf } from "#ledger/log-name";
import { emptyRoot, inclusionProof } from "#ledger/tlog/merkle";
import { readRootLeaf, ROOT_LOG } from "#ledger/root-log";
import { checkpointRefusal, type CheckpointRefusal } from "#ledger/tlog/witness";
import type { AddCheckpoint } from "#ledger/tlog/witness-request";
import { LedgerBucket } from "#platform/ledger/object/log/bucket";
import { type LedgerConfig, type LedgerEnv, readLedgerConfig, signerOf } from "#platform/ledger/config";
import { LedgerJurisdiction } from "./jurisdiction.ts";
import { keptLayoutText } from "./kept-layout.ts";
import { LedgerFlush } from "#platform/ledger/object/copy/flush";
import { LedgerObjects } from "#platform/ledger/object/log/objects";
import type { FrameRange } from "#ledger/frame-copies";
import { LedgerReads } from "#platform/ledger/object/log/reads";
import { RootPublisher } from "./publisher.ts";
import { readWitnesses } from "./config.ts";
import { RootRows } from "./rows.ts";
import { CheckpointSigner, signText } from "#platform/ledger/object/log/signer";
import { LedgerStore } from "#platform/ledger/object/log/store";
import { restoreHead } from "#platform/ledger/object/log/stored-log";

export type RootEnv = LedgerEnv & { readonly LEDGER_BUCKET: R2Bucket; readonly WITNESSES: unknown };

/** The reason why the root log refused a checkpoint. */
type NotTaken = CheckpointRefusal | "log_not_opened" | "not_a_checkpoint_of_this_log";

/**
 * The size of the log's checkpoint that is in the root log now, and the reason if it refused the new
 * checkpoint.
 */
export interface CheckpointTaken {
  readonly size: number;
  readonly not?: NotTaken;
}

// A frame of the root log, a checkpoint and a round of the witnesses gather the checkpoints that all logs
// handed over in this time.
const GATHER_MS = 10_000;

/** The public status of the root log. */
export interface RootStatus {
  readonly size: number;
  readonly copied: number;
  readonly behindSeconds: number; // the age of the oldest checkpoint without a copy
  readonly health: CopyHealth;
  readonly why: string | null;
  readonly cosigned: boolean; // every witness cosigned the published checkpoint
}

/**
 * The log of the ledger's checkpoints, which also opens its logs; a ledger has a single object of this
 * class. It takes a checkpoint that a log signed and that extends, by proof, the checkpoint before. It never
 * takes a smaller checkpoint, nor a checkpoint of a different history. So a log that was rolled back or
 * rewritten no longer fits the root log, and the root log is cosigned by external witnesses.
 */
export class LedgerRoot extends DurableObject<RootEnv> {
  readonly #config: LedgerConfig;
  readonly #store: LedgerStore;
  readonly #rows: RootRows;
  readonly #objects: LedgerObjects;
  readonly #reads: LedgerReads;
  readonly #flush: LedgerFlush;
  readonly #jurisdiction: LedgerJurisdiction;
  readonly #publisher: RootPublisher;
  #head: Head;

  constructor(ctx: DurableObjectState, env: RootEnv) {
    super(ctx, env);
    this.#config = readLedgerConfig(env);
    if (ctx.id.name !== ROOT_LOG)
      throw new Error("ledger: the object's name is not the name of the root log");
    this.#store = new LedgerStore(ctx.storage.sql);
    this.#rows = new RootRows(ctx.storage.sql);
    this.#head = restoreHead(this.#store, `${this.#config.name}/${ROOT_LOG}`);
    const signer = new CheckpointSigner(this.#config, this.#store, this.#head);
    const head = () => this.#head;
    const bucket = new LedgerBucket(env.LEDGER_BUCKET);
    this.#jurisdiction = new LedgerJurisdiction(bucket, this.#config);
    this.#objects = new LedgerObjects(this.#store, bucket, head);
    this.#reads = new LedgerReads(this.#objects, signer, head);
    const { retainBytes } = this.#config;
    const parts = {
      storage: ctx.storage,
      config: this.#config,
      store: this.#store,
      bucket,
      objects: this.#objects,
      signer,
      head,
    };
    this.#flush = new LedgerFlush({ ...parts, everyMs: GATHER_MS, retainBytes: () => retainBytes });
    this.#publisher = new RootPublisher(
      this.#objects,
      this.#rows,
      signer,
      readWitnesses(env.WITNESSES),
      head,
    );
    void ctx.blockConcurrencyWhile(() => this.#start());
  }

  /**
   * Opens a log when it takes records now and is not open yet. Returns the log's last checkpoint in the root
   * log: of size 0 right after the opening. Undefined for a log that was never opened and cannot be opened
   * now. A log adds nothing before it was opened here. `layout`: of keys in the log's half-year, by the log's own
   * configuration. If the half-year began with a different layout, nothing is opened and the answer is that
   * layout (`readKeptLayout`).
   */
  async open(log: string, layout?: string): Promise<string | undefined> {
    await this.#mayGoOn();
    const kept = layout === undefined ? undefined : this.#layoutFor(log, layout);
    if (kept !== layout && kept !== undefined) return keptLayoutText(kept);
    const known = this.#rows.entry(log);
    if (known !== undefined) return known.note;
    // A stand-in is opened by its appointment alone.
    if (isStandIn(log) || !isOpenLog(log, this.#config.shards, instant(Date.now()))) return undefined;
    return this.#opened(log);
  }

  /**
   * The layout with which the half-year of a log began: the given layout while none is kept. A half-year in which
   * no log takes or remembers a proof any more has any layout, so that past periods may be left out.
   */
  #layoutFor(log: string, layout: string): string {
    const now = instant(Date.now());
    const halfYear = parseLogName(log)?.halfYear;
    if (halfYear === undefined || now >= (overAt(log) ?? 0)) return layout;
    const kept = this.#rows.layout(halfYear);
    // Not before the half-year begins: until then the period may be edited.
    if (kept === undefined && isOpenLog(log, this.#config.shards, now))
      this.#rows.keepLayout(halfYear, layout);
    return kept ?? layout;
  }

  /** The layout with which a half-year began; undefined before its first log was opened. */
  async layoutOf(halfYear: string): Promise<string | undefined> {
    await this.#mayGoOn();
    return this.#rows.layout(halfYear);
  }

  /**
   * Appoints the log that takes the records of a log whose storage was lost, and opens it. A second call answers
   * the same. Undefined for a log that was never opened, or whose half-year is over: it needs none. Only the
   * ledger's own worker binds this object, and it asks after the log itself found its storage empty.
   */
  async appointStandIn(log: string): Promise<string | undefined> {
    await this.#mayGoOn();
    const [standIn] = standInsOf(log);
    if (standIn === undefined || this.#rows.entry(log) === undefined) return undefined;
    if (!isOpenLog(log, this.#config.shards, instant(Date.now()))) return undefined;
    if (this.#rows.entry(standIn) === undefined) this.#opened(standIn);
    return standIn;
  }

  /** Makes the leaf with a log's checkpoint of size 0. */
  #opened(log: string): string {
    const origin = `${this.#config.name}/${log}`;
    const note = signText(this.#config, origin, checkpointText({ origin, size: 0, root: emptyRoot }));
    this.#rows.save({ log, size: 0, root: emptyRoot, frame: -1, note, waiting: true });
    this.#commitWaiting();
    this.#gather(); // for the witnesses
    return note;
  }

  /** The logs of a half-year that were opened. Once the half-year is over, no log joins them. */
  async logsOf(halfYear: string): Promise<readonly string[]> {
    await this.#mayGoOn();
    return this.#rows.logsOf(halfYear);
  }

  /** Takes a log's checkpoint, with the proof that it extends the log's last checkpoint here. */
  async add(log: string, { oldSize, proof, checkpoint }: AddCheckpoint): Promise<CheckpointTaken> {
    await this.#mayGoOn();
    const last = this.#rows.entry(log);
    if (last === undefined) return { size: 0, not: "log_not_opened" };
    const read = readRootLeaf(checkpoint, signerOf(this.#config, this.#head.origin), this.#head.size);
    if (!read.ok || read.value.log !== log) return { size: last.size, not: "not_a_checkpoint_of_this_log" };
    const { size, root, frame } = read.value.checkpoint;
    const why = checkpointRefusal(last, oldSize, proof, { size, root });
    if (why !== undefined) return { size: last.size, not: why };
    if (size === last.size) return { size };
    if ((frame?.number ?? -1) <= last.frame) return { size: last.size, not: "not_a_checkpoint_of_this_log" };
    this.#rows.save({
      log,
      size,
      root,
      frame: frame?.number ?? -1,
      note: new TextDecoder().decode(checkpoint),
      waiting: true,
    });
    this.#gather();
    return { size };
  }

  async status(): Promise<RootStatus> {
    await this.#start();
    return {
      size: this.#head.size,
      copied: this.#flush.copied,
      behindSeconds: this.#flush.behind(instant(Date.now())) / 1000,
      health: this.#stopped === undefined ? this.#flush.health(instant(Date.now())) : "refusing",
      why: this.#stopped ?? null,
      cosigned: this.#rows.published()?.whole ?? false,
    };
  }

  /** The last published checkpoint, at most a new checkpoint every ten seconds, with its cosignatures. */
  async checkpoint(): Promise<Uint8Array | undefined> {
    await this.#mayGoOn();
    const shown =
      this.#rows.published() ?? (this.#head.size === 0 ? undefined : await this.#publisher.publish());
    return shown === undefined ? undefined : utf8(shown.note);
  }

  async tile(level: number, index: number, width: number): Promise<Uint8Array | undefined> {
    await this.#mayGoOn();
    return this.#reads.tile(level, index, width);
  }

  async entries(index: number, width: number): Promise<Uint8Array | undefined> {
    await this.#mayGoOn();
    return this.#reads.entries(index, width);
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
   * C2SP tlog-proof for a leaf under the published checkpoint, which includes the witnesses' cosignatures.
   */
  async proof(index: number): Promise<Uint8Array | undefined> {
    await this.#mayGoOn();
    const shown = this.#rows.published();
    if (shown === undefined || !Number.isSafeInteger(index) || index < 0 || index >= shown.size)
      return undefined;
    const at = await this.#objects.hashesAbout(this.#head, [index, shown.size]);
    return utf8(inclusionNote(index, inclusionProof(index, shown.size, at), shown.note));
  }

  /**
   * Makes leaves of the new checkpoints, gets cosignatures, copies to R2. The runtime calls it; as an RPC it
   * is refused.
   */
  override async alarm(): Promise<void> {
    await this.#start();
    if (this.#jurisdiction.stopped !== undefined) return this.#gather(); // nothing of it may reach the bucket
    const whole = this.#stopped !== undefined || (await this.#publishWaiting());
    await this.#flush.run();
    if (!whole) this.#gather(); // a witness is missing: ask again
  }

  /** Sets the alarm to ten seconds from now, if it is not set. */
  #gather(): void {
    this.#flush.wake();
  }

  async #publishWaiting(): Promise<boolean> {
    this.#commitWaiting();
    return this.#head.size === 0 || (await this.#publisher.publish()).whole;
  }

  /**
   * Commits frames of all waiting checkpoints at once, without an await. The output gate holds every answer
   * until they are durable.
   */
  #commitWaiting(): void {
    for (;;) {
      const entries = this.#rows.waiting(FRAME_LEAVES_MAX);
      if (entries.length === 0) return;
      const now = instant(Date.now());
      const leaves = entries.map(({ note }) => utf8(note));
      const done = commit(this.#head, leaves, now);
      this.ctx.storage.transactionSync(() => {
        this.#store.insert(done, new Uint8Array(), undefined);
        for (const entry of entries) this.#rows.save({ ...entry, waiting: false });
      });
      this.#store.created();
      this.#head = done.head;
      this.#flush.committed(now);
    }
  }

  /** A root log that was rolled back must not show itself, nor vouch for any log. */
  async #mayGoOn(): Promise<void> {
    await this.#start();
    if (this.#stopped !== undefined) throw new Error(`ledger: ${this.#stopped}`);
  }

  get #stopped(): string | undefined {
    return this.#jurisdiction.stopped ?? this.#flush.stopped;
  }

  /** Compares the log with its bucket, and compares again after a failed read. */
  async #start(): Promise<void> {
    if (!this.#jurisdiction.isKept) await this.#jurisdiction.compare();
    if (this.#jurisdiction.stopped !== undefined) return;
    await this.#flush.start();
    if (!this.#jurisdiction.isKept && this.#flush.stopped === undefined) await this.#jurisdiction.keep();
  }
}
