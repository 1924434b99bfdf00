import { randomBytes } from "node:crypto";
import type { AuditEvent } from "#audit/event";
import { AnonymousCap, isAnonymousRefusal } from "#audit/anonymous-cap";
import type { Counted, Recorded, Replayed } from "#audit/ports";
import { instant, type Instant } from "#kernel/clock";
import { commit, type Head } from "#ledger/commit";
import { isOpenLog, SWITCH_SLACK_MS } from "#ledger/log-name";
import { howManyFit, sealBatch } from "./ledger-batch.ts";
import type { LedgerConfig } from "./ledger-config.ts";
import { type Draft, draftAppend } from "./ledger-draft.ts";
import { Epoch } from "./ledger-epoch.ts";
import { UsedProofs, type UsedProof } from "./ledger-proofs.ts";
import { packRecent, RECENT_MS, RecentAppends } from "./ledger-recent.ts";
import type { LedgerStore } from "./ledger-store.ts";
import type { Restored } from "./ledger-view.ts";

interface Waiting {
  readonly draft: Draft;
  readonly proof: UsedProof | undefined;
  readonly resolve: (recorded: Recorded) => void;
  readonly reject: (fault: Error) => void;
}

/** An anonymous refusal beyond the cap, waiting to be counted. */
interface Uncounted {
  readonly reason: string;
  readonly resolve: (counted: Counted) => void;
  readonly reject: (fault: Error) => void;
}

// How long counts gather before they go on record, with the next append.
const TALLY_MS = 60_000;
// From this many waiting appends on, 2 ms of patience make commits larger (reference/security-and-ledger.md §2.5).
const CROWD = 8;
const CROWD_WAIT_MS = 2;
const WAITING_BYTES_MAX = 33_554_432;

/**
 * The queue of a log, and its commits. An append is answered when its frame is durable. When a commit fails, nobody waiting gets a
 * position and the object is torn down; the next one starts from what is stored.
 */
export class LedgerWriter {
  readonly #ctx: DurableObjectState;
  readonly #config: LedgerConfig;
  readonly #store: LedgerStore;
  readonly #log: string;
  readonly #committed: (now: Instant) => void;
  readonly #recent = new RecentAppends();
  readonly #proofs: UsedProofs;
  #head: Head;
  #keyEpoch: number;
  #epoch: Epoch | undefined;
  #queue: Waiting[] = [];
  #uncounted: Uncounted[] = [];
  readonly #cap = new AnonymousCap();
  #tallied = instant(0); // when the counts last went on record
  #waitingBytes = 0;
  #busy = false;

  /** `committed` hears of each commit once its frame is durable and its appends are answered. */
  constructor(
    ctx: DurableObjectState,
    config: LedgerConfig,
    store: LedgerStore,
    log: string,
    restored: Restored,
    committed: (now: Instant) => void,
  ) {
    this.#ctx = ctx;
    this.#config = config;
    this.#store = store;
    this.#log = log;
    this.#committed = committed;
    this.#proofs = new UsedProofs(ctx.storage.sql, instant(Date.now()));
    ({ head: this.#head, keyEpoch: this.#keyEpoch } = restored);
    if (this.#head.frame === undefined) return;
    const since = Math.floor((Date.now() - RECENT_MS) / 1000) - 10; // frame times are rounded down to 10 s
    for (const { number, seconds, hash, recent } of store.recent(since)) {
      this.#recent.load(recent, { log, frame: number, frameHash: hash }, instant((seconds + 10) * 1000));
    }
  }

  /** What is committed. */
  get head(): Head {
    return this.#head;
  }

  get isOpen(): boolean {
    return isOpenLog(this.#log, this.#config.shards, instant(Date.now()));
  }

  /** `proofHash`: of the proof that the first append of a request uses up. */
  async append(events: readonly AuditEvent[], proofHash?: string): Promise<Recorded | Counted | Replayed> {
    const now = instant(Date.now());
    if (!this.isOpen) throw notOpen();
    const draft = draftAppend(events, this.#config.subjectKey);
    const earlier = this.#recent.find(draft);
    if (earlier !== undefined) return earlier;
    if (events.every(isAnonymousRefusal) && !this.#cap.admits(now)) return this.#count(events[0]?.outcome?.reason ?? "unknown");
    if (this.#waitingBytes + draft.leafBytes > WAITING_BYTES_MAX) throw new Error("ledger: overloaded");
    const proof = proofHash === undefined ? undefined : { hash: proofHash, event: draft.id };
    // Taken before it is stored: of two that came at once the second is refused even if the first one's commit then fails.
    if (proof !== undefined && !this.#proofs.take(proof, now)) return "replayed";
    const recorded = new Promise<Recorded>((resolve, reject) => {
      this.#queue.push({ draft, proof, resolve, reject });
    });
    this.#waitingBytes += draft.leafBytes;
    this.#recent.add(draft, recorded, now);
    if (!this.#busy) void this.#pump();
    return recorded;
  }

  /** Takes a proof in the name of the log that follows this one: true when no other event has it, durably. Throws once nobody should ask. */
  async claimProof(proof: UsedProof): Promise<boolean> {
    const now = instant(Date.now());
    if (!this.isOpen && !isOpenLog(this.#log, this.#config.shards, instant(now - SWITCH_SLACK_MS))) throw notOpen();
    if (!this.#proofs.take(proof, now)) return false;
    this.#ctx.storage.transactionSync(() => this.#proofs.store([proof], now));
    await this.#ctx.storage.sync();
    return true;
  }

  #count(reason: string): Promise<Counted> {
    const counted = new Promise<Counted>((resolve, reject) => {
      this.#uncounted.push({ reason, resolve, reject });
    });
    if (!this.#busy) void this.#pump();
    return counted;
  }

  async #pump(): Promise<void> {
    this.#busy = true;
    let batch: Waiting[] = [];
    let uncounted: Uncounted[] = [];
    try {
      await Promise.resolve(); // the other calls of this turn of the event loop join the first commit
      while (this.#queue.length > 0 || this.#uncounted.length > 0) {
        if (this.#queue.length >= CROWD || batch.length >= CROWD) await scheduler.wait(CROWD_WAIT_MS);
        const now = instant(Date.now());
        if (this.#epoch === undefined || this.#epoch.isSpent(now)) {
          this.#epoch = await Epoch.begin(this.#config, this.#head.origin, this.#keyEpoch + 1, now);
        }
        [batch, uncounted] = [this.#takeBatch(), this.#uncounted.splice(0)];
        if (uncounted.length > 0) await this.#addTally(uncounted);
        if (batch.length > 0) await this.#commit(batch, this.#epoch);
      }
    } catch (fault) {
      const told = new Error("ledger: the commit failed");
      for (const { reject } of [...batch, ...this.#queue.splice(0), ...uncounted, ...this.#uncounted.splice(0)]) reject(told);
      this.#ctx.abort(fault instanceof Error ? fault.message : told.message);
    } finally {
      this.#busy = false;
    }
  }

  /** The oldest waiting appends that fit one frame and one row of lines; always at least one. */
  #takeBatch(): Waiting[] {
    const batch = this.#queue.splice(0, howManyFit(this.#queue)); // none when only refusals wait to be counted
    for (const { draft } of batch) this.#waitingBytes -= draft.leafBytes;
    return batch;
  }

  async #addTally(uncounted: readonly Uncounted[]): Promise<void> {
    const counts = new Map<string, number>();
    for (const { reason } of uncounted) counts.set(reason, (counts.get(reason) ?? 0) + 1);
    this.#ctx.storage.transactionSync(() => this.#store.addTally(counts));
    await this.#ctx.storage.sync();
    this.#store.created();
    for (const { resolve } of uncounted) resolve("counted");
  }

  /** The counts so far as a record, once a minute; undefined when there are none. */
  #tallyEvent(now: Instant): Draft | undefined {
    if (now - this.#tallied < TALLY_MS) return undefined;
    const tally = this.#store.tally();
    if (Object.keys(tally).length === 0) return undefined;
    const event = { id: randomBytes(16).toString("hex"), at: now, kind: "refusals", patients: [], unnamed: [], counts: {}, tally };
    return draftAppend([event], this.#config.subjectKey);
  }

  /** One frame, one row of lines, and the tiles they fill, in one transaction; then the answers. */
  async #commit(batch: readonly Waiting[], epoch: Epoch): Promise<void> {
    const now = instant(Date.now());
    if (!this.isOpen) {
      // It waited past the end of the half-year: no verifier would take its record here, and its sender finds the next log.
      for (const { reject } of batch) reject(notOpen());
      return;
    }
    const drafts = batch.map(({ draft }) => draft);
    const { leaves, offsets, lines, roomForTally } = sealBatch(this.#config, this.#head, this.#keyEpoch, epoch, drafts);
    const tally = roomForTally ? this.#tallyEvent(now) : undefined; // after the batch, so that no position moves
    const counted = (tally?.records ?? []).map(({ plaintext, linesRoot }) => epoch.seal(plaintext, linesRoot));
    const done = commit(this.#head, [...leaves, ...counted], now);
    const answers = drafts.map((draft, i) => {
      const offset = offsets[i] ?? 0;
      const leafHash = done.leafHashes[offset] ?? new Uint8Array();
      const at = { log: this.#log, frame: done.number, frameHash: done.frameHash };
      return { draft, recorded: { ...at, index: done.first + offset, count: draft.records.length, leafHash } };
    });
    const box = lines.length === 0 ? undefined : epoch.sealLines(done.number, lines);
    this.#ctx.storage.transactionSync(() => {
      this.#store.insert(done, packRecent(answers), box);
      this.#proofs.store(
        batch.flatMap(({ proof }) => proof ?? []),
        now,
      );
      if (tally !== undefined) this.#store.clearTally();
    });
    await this.#ctx.storage.sync();
    this.#store.created();
    this.#head = done.head;
    this.#keyEpoch = epoch.number;
    if (tally !== undefined) this.#tallied = now;
    this.#recent.prune(now);
    for (const [i, { recorded }] of answers.entries()) batch[i]?.resolve(recorded);
    this.#committed(now);
  }
}

const notOpen = (): Error => new Error("ledger: this log is not open");
