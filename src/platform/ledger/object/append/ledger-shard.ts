import { DurableObject } from "cloudflare:workers";
import type { AuditEvent } from "#audit/event";
import type { Counted, Known, Recorded, Replayed } from "#audit/ports";
import { instant } from "#kernel/clock";
import type { CopyHealth } from "#ledger/flush";
import { overAt, parseLogName } from "#ledger/log-name";
import { ROOT_LOG } from "#ledger/root-log";
import { predecessor } from "#ledger/predecessor";
import { TILE_WIDTH } from "#ledger/tlog/tile";
import type { AccountingIntake } from "#platform/ledger/object/accounting/accounting-intake";
import type { AccountingShelf } from "#platform/ledger/object/accounting/accounting-shelf";
import { ledgerConfigurationRecord } from "#platform/ledger/configuration-record";
import { LedgerBucket } from "#platform/ledger/object/log/bucket";
import { LedgerClosing } from "./closing.ts";
import { type LedgerEnv, readLedgerConfig } from "#platform/ledger/config";
import { LedgerDrain } from "#platform/ledger/object/accounting/drain";
import { LedgerFlush } from "#platform/ledger/object/copy/flush";
import { type FrameCopy, LedgerObjects } from "#platform/ledger/object/log/objects";
import { OwnCalls, type SealedCall } from "./own-calls.ts";
import { LedgerReads } from "#platform/ledger/object/log/reads";
import type { LedgerRoot } from "#platform/ledger/object/root/ledger-root";
import { LedgerRootLink } from "#platform/ledger/object/root/link";
import { CheckpointSigner } from "#platform/ledger/object/log/signer";
import { LedgerStore } from "#platform/ledger/object/log/store";
import { restore } from "#platform/ledger/object/log/view";
import { LedgerWriter } from "./writer.ts";

/** What anyone may know about a shard. */
export interface ShardStatus {
  readonly log: string;
  readonly open: boolean;
  readonly sealed: boolean; // it ended: nothing is ever added again
  readonly size: number;
  readonly frames: number;
  readonly seconds: number; // of the last frame; 0 when there is none
  readonly copied: number; // leaves that the checkpoint in R2 covers
  readonly health: CopyHealth;
  readonly why: string | null; // a log that is stopped says why
}

type ShardEnv = LedgerEnv & {
  readonly LEDGER_BUCKET: R2Bucket;
  readonly LEDGER_SHARD: DurableObjectNamespace<LedgerShard>;
  readonly LEDGER_ROOT: DurableObjectNamespace<LedgerRoot>;
  readonly ACCOUNTING_SHELF: DurableObjectNamespace<AccountingShelf>;
  readonly ACCOUNTING_INTAKE: DurableObjectNamespace<AccountingIntake>;
};

const LEAVES_A_CALL = 64; // of up to 64 KiB each
const LINES_LATE_MS = 120_000; // two drains were missed

/**
 * One log of the ledger. It does not start on rows that contradict each other or what it once signed; it starts but adds and shows
 * nothing when the checkpoint in R2 or the one in the root log is ahead of it, or not of its past, or cannot be read.
 */
export class LedgerShard extends DurableObject<ShardEnv> {
  readonly #log: string;
  readonly #writer: LedgerWriter;
  readonly #reads: LedgerReads;
  readonly #flush: LedgerFlush;
  readonly #root: LedgerRootLink;
  readonly #drain: LedgerDrain;
  readonly #closing: LedgerClosing;
  readonly #store: LedgerStore;
  readonly #configured: () => Promise<void>;
  readonly #ownCalls: OwnCalls;

  constructor(ctx: DurableObjectState, env: ShardEnv) {
    super(ctx, env);
    const config = readLedgerConfig(env);
    this.#log = ctx.id.name ?? "";
    if (parseLogName(this.#log) === undefined)
      throw new Error("ledger: this object has not the name of a log");
    this.#ownCalls = new OwnCalls(config.accountingKey);
    const store = new LedgerStore(ctx.storage.sql);
    const restored = restore(store, `${config.name}/${this.#log}`);
    const head = () => this.#writer.head;
    this.#writer = new LedgerWriter(ctx, config, store, this.#log, restored, {
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
    // A stub that broke is not used twice.
    const root = () => env.LEDGER_ROOT.getByName(ROOT_LOG);
    this.#root = new LedgerRootLink(root, this.#log, config, objects, head);
    this.#store = store;
    this.#drain = new LedgerDrain(ctx.storage, config, this.#log, {
      shelves: env.ACCOUNTING_SHELF,
      intakes: env.ACCOUNTING_INTAKE,
    });
    const parts = { storage: ctx.storage, config, store, bucket, objects, signer, head };
    this.#flush = new LedgerFlush({
      ...parts,
      drain: this.#drain,
      // Of a log that is stopped somebody may want every row.
      keepBytes: () =>
        this.#stopped !== undefined ? Infinity : this.#writer.isSealed ? 0 : config.keepBytes,
      idleUntil: () => (this.#writer.isSealed || head().size === 0 ? undefined : overAt(this.#log)),
    });
    const own = { log: this.#log, append: (events: readonly AuditEvent[]) => this.#writer.append(events) };
    this.#configured = ledgerConfigurationRecord(config, env.LEDGER_SHARD, own);
    this.#closing = new LedgerClosing({
      log: this.#log,
      shards: config.shards,
      writer: this.#writer,
      root: this.#root,
      append: (log, event) => env.LEDGER_SHARD.getByName(log).append([event]),
    });
    void ctx.blockConcurrencyWhile(() => this.#start());
  }

  /**
   * Records events, all in one frame, and answers where the first record stands. Throws for an event that is not one (TypeError), for
   * more than a frame holds (RangeError), for a log that is not open or is stopped, and when the commit fails; then nothing was recorded
   * that anybody was told of. The same events under the same (id, step) again within 130 s answer the first position.
   * An anonymous refusal beyond the cap is counted instead. With the hash of a DPoP proof: "replayed", and nothing is recorded, when
   * another event used that proof before, in this log or the one before it. A worker's configuration that was recorded of late is "known".
   */
  async append(
    events: readonly AuditEvent[],
    proofHash?: string,
  ): Promise<Recorded | Counted | Replayed | Known> {
    if (this.#stopped !== undefined) await this.#mayGoOn();
    if (!this.#root.isOpened) await this.#mayBegin();
    if (this.#flush.health(instant(Date.now())) === "refusing")
      throw new Error("ledger: too far behind its copy in R2");
    const before = proofHash === undefined ? undefined : predecessor(this.#log, instant(Date.now()));
    if (proofHash !== undefined && before !== undefined) {
      const proof = { hash: proofHash, event: events[0]?.id ?? "" };
      const claim = this.#ownCalls.seal(before, { kind: "claim_proof", proof });
      if (!(await this.env.LEDGER_SHARD.getByName(before).ownCall(claim))) return "replayed";
    }
    // A configuration does not wait for this log's own: two logs that take them in each other's place would wait for each other.
    const configured = tellsConfiguration(events) ? undefined : this.#configured();
    const [answer] = await Promise.all([this.#writer.append(events, proofHash), configured]);
    return answer;
  }

  /**
   * What the ledger's own objects ask of each other; whoever else binds this class is refused before anything is done.
   * - A claim of a proof: around a switch of half-years two logs take records of one key, and the earlier one decides whose a proof is.
   *   False: another event's.
   * - Shelving: takes copies of all accounting lines of some shelves there, so that who reads these next finds every disclosure that was
   *   acknowledged. Tells nothing. Throws when that cannot be done.
   */
  async ownCall(sealed: SealedCall): Promise<boolean> {
    const call = this.#ownCalls.open(this.#log, sealed);
    await this.#mayGoOn();
    switch (call.kind) {
      case "claim_proof":
        return this.#writer.claimProof(call.proof);
      case "shelve":
        await this.#drain.shelve(call.shelves);
        return true;
    }
  }

  async status(): Promise<ShardStatus> {
    await this.#start();
    const { size, frame } = this.#writer.head;
    return {
      log: this.#log,
      open: this.#writer.isOpen,
      sealed: this.#writer.isSealed,
      size,
      frames: frame === undefined ? 0 : frame.number + 1,
      seconds: frame?.seconds ?? 0,
      copied: this.#flush.copied,
      health: this.#health(),
      why: this.#stopped ?? null,
    };
  }

  /** The signed checkpoint, at most one new one a second; undefined when this log was never opened and cannot be now. */
  async checkpoint(): Promise<Uint8Array | undefined> {
    await this.#mayGoOn();
    return this.#writer.head.size === 0 && !this.#writer.isOpen ? undefined : this.#reads.checkpoint();
  }

  /** C2SP tlog-tiles: `width` hashes of a tile, 256 for a full one; undefined when the log has no such tile. */
  async tile(level: number, index: number, width: number): Promise<Uint8Array | undefined> {
    await this.#mayGoOn();
    return this.#reads.tile(level, index, width);
  }

  /** C2SP tlog-tiles: the bundle of `width` entries. */
  async entries(index: number, width: number): Promise<Uint8Array | undefined> {
    await this.#mayGoOn();
    return this.#reads.entries(index, width);
  }

  /** Up to 64 leaves in one call; undefined for each that the log does not have. */
  async leaves(indexes: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    await this.#mayGoOn();
    return Array.isArray(indexes) ? this.#reads.leaves(indexes.slice(0, LEAVES_A_CALL)) : []; // over RPC anything may come
  }

  async frame(number: number): Promise<Uint8Array | undefined> {
    await this.#mayGoOn();
    return this.#reads.frame(number);
  }

  /** Which object of the second copy in R2 has a frame: a reader fetches the frame there. Undefined while the copy has not come so far. */
  async frameCopy(number: number): Promise<FrameCopy | undefined> {
    await this.#mayGoOn();
    return this.#reads.frameCopy(number);
  }

  /** C2SP tlog-proof for a leaf under the current checkpoint; undefined when the checkpoint does not reach it yet. */
  async proof(index: number): Promise<Uint8Array | undefined> {
    await this.#mayGoOn();
    return this.#reads.proof(index);
  }

  /** As {@link proof}, of up to 256 leaves in one call. */
  async proofs(indexes: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    await this.#mayGoOn();
    return Array.isArray(indexes) ? this.#reads.proofs(indexes.slice(0, TILE_WIDTH)) : []; // over RPC anything may come
  }

  /** Ends a log whose time is over, copies to R2, drains accounting lines, frees rows. The runtime calls it; as an RPC it is refused. */
  override async alarm(): Promise<void> {
    await this.#start();
    if (this.#root.isForked) return; // only a restart may look again
    const closed = this.#stopped !== undefined || (await this.#closing.run());
    await this.#flush.run();
    // Also while the root log was not asked yet: settling asks.
    const rooted = this.#flush.stopped !== undefined || (await this.#root.settle(instant(Date.now())));
    if (!closed || !rooted) this.#flush.wake(); // the next alarm tries again
  }

  get #stopped(): string | undefined {
    return this.#flush.stopped ?? this.#root.stopped;
  }

  /** Looks at what was published of this log, again when the last look failed. */
  async #start(): Promise<void> {
    await Promise.all([this.#flush.start(), this.#root.start()]);
  }

  /** A log that is late with its lines goes on, as one that is late with its copy, and says so. */
  #health(): CopyHealth {
    const now = Date.now();
    const health = this.#stopped === undefined ? this.#flush.health(instant(now)) : "refusing";
    const frame = this.#drain.waitingFrame;
    const isLate = frame !== undefined && now - (this.#store.frameSeconds(frame) ?? 0) * 1000 > LINES_LATE_MS;
    return health === "good" && isLate ? "degraded" : health;
  }

  /** A log that was rolled back must not show itself either: what it signed now would be a second history. */
  async #mayGoOn(): Promise<void> {
    await this.#start();
    if (this.#stopped !== undefined) throw new Error(`ledger: ${this.#stopped}`);
  }

  /** No record before the log was opened in the root log: nobody could see that it was hidden. */
  async #mayBegin(): Promise<void> {
    await this.#root.open();
    if (!this.#root.isOpened) throw new Error("ledger: this log is not open");
  }
}

/** Over RPC anything may come; what is no event is refused by the writer. */
const tellsConfiguration = (events: readonly (Partial<AuditEvent> | null)[]): boolean =>
  Array.isArray(events) && events.some((event) => event?.configuration !== undefined);
