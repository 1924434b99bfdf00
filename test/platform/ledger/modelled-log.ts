import { layoutWithoutRegions } from "#ledger/layout";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { createHash } from "node:crypto";
import { expect, vi } from "vitest";
import type { AuditEvent } from "#audit/event";
import type { Recorded } from "#audit/ports";
import { utf8 } from "#kernel/encoded";
import { fromUtf8 } from "#ledger/bytes/bytes";
import { type Checkpoint, openCheckpoint } from "#ledger/tlog/checkpoint";
import { checkpointKey, objectKey } from "#ledger/flush";
import { openInclusionNote } from "#ledger/tlog/inclusion-note";
import { overAt, SWITCH_SLACK_MS } from "#ledger/log-name";
import { TILE_WIDTH } from "#ledger/tlog/tile";
import { instant } from "#kernel/clock";
import { verifyLog } from "#ledger/verify";
import { configurationLogs } from "#platform/ledger/client/sink";
import { breakNext, type Loss, reload } from "./broken-writes.ts";
import { bucketReader, bytesAt, type Fault, faultyBucket, flushWith, originOf } from "./bucket.ts";
import { bucketIsAway, readBucket, rootIsAway, rootLog } from "./outages.ts";
import { putBack, type Rows, rowsOf } from "./rows.ts";
import {
  appendNamed,
  definitionsOf,
  disclosureOf,
  failure,
  newId,
  publicReader,
  refusal,
  shard,
  verifierOf,
} from "./worker.ts";

const REMEMBERED_MS = 130_000; // a proof, and the owner of an event id
const DEGRADED_MS = 120_000;
const REFUSE_MS = 1_800_000;
const SHARDS = 64;
const ROUNDING_MS = 10_000; // the step of the clock in frames
const secondHistory = /the bucket holds another|a shelf holds another/u;

interface Acknowledged {
  readonly events: readonly AuditEvent[];
  readonly proof: string | undefined;
  readonly at: Recorded;
  readonly times: readonly [earliest: number, latest: number]; // of its commit, by the clock or by its frame
  readonly clock: number; // the clock's time
}

/** The state that the model returns to when the object goes back. */
interface Moment {
  readonly rows: Rows;
  readonly size: number;
  readonly unsure: number;
}

/** A log with events in its life, and the facts that must hold. Each event ends with `look`. */
export class ModelledLog {
  readonly #log: string;
  #acknowledged: Acknowledged[] = [];
  #shown: Checkpoint[] = []; // every checkpoint that was ever seen: served, in R2, in the root log
  #moment: Moment | undefined;
  #now: number;
  #latest: number; // the latest time that the clock ever had
  #latestFrame = 0; // frames never go back
  #isSealed = false;
  #copied = 0; // leaves, at the last status
  #isBucketAway = false;
  #isRootAway = false;
  /** The log runs and has read both the bucket and the root log since its start. */
  #sawBucket = false;
  #sawRoot = false;
  /**
   * The log went back to a moment that no check can notice: from here on two histories are possible, and the
   * bucket may have objects of the lost history.
   */
  #isForked = false;
  // commits whose answer was lost: the number of frames that may exist without an acknowledgement
  #unsure = 0;

  constructor(log: string, now: number) {
    [this.#log, this.#now, this.#latest] = [log, now, now];
    vi.setSystemTime(now);
  }

  /** Stopped for good, rightly: only after a fork. */
  isOver = false;

  async append(count: number, proven: boolean): Promise<void> {
    const withheld = { paths: [count > 50 ? "name" : "photo"] };
    const events = [{ ...disclosureOf(1), withheld }, ...Array.from({ length: count - 1 }, () => refusal())];
    await this.#append(events, proven ? createHash("sha256").update(newId()).digest("base64url") : undefined);
  }

  /** A retry after a lost answer; it gets its first position for as long as that is remembered. */
  async appendAgain(which: number): Promise<void> {
    const one = this.#acknowledged[which % Math.max(this.#acknowledged.length, 1)];
    if (one === undefined) return;
    const answer = await this.#append(one.events, one.proof);
    if (answer !== undefined && this.#latest <= one.clock + REMEMBERED_MS)
      expect(answer, "the same position").toEqual(one.at);
  }

  /** A different request comes with a used proof. */
  async replay(which: number): Promise<void> {
    const used = this.#acknowledged.filter(({ proof }) => proof !== undefined);
    const one = used[which % Math.max(used.length, 1)];
    if (one === undefined || this.#latest > one.clock + REMEMBERED_MS) return;
    expect(await this.#append([refusal()], one.proof, true), "a proof is used once").toBeUndefined();
  }

  async breakWrite(write: "frame insert" | "disk" | "stage", loss: Loss): Promise<void> {
    if (!(await this.#runs())) return;
    const { hit } = await breakNext(this.#log, write, loss);
    if (write === "stage") await runDurableObjectAlarm(shard(this.#log));
    else await this.#append([refusal()], undefined, false, hit);
    await this.#restart(() => reload(this.#log));
  }

  async breakFlush(nth: number, fault: Fault): Promise<void> {
    if (this.#isBucketAway || !(await this.#runs())) return;
    const { bucket } = await runInDurableObject(shard(this.#log), (_, state) =>
      faultyBucket(nth, fault, () => state.abort("a crash made by the test")),
    );
    await this.#restart(() => flushWith(this.#log, bucket));
  }

  async kill(): Promise<void> {
    await this.#restart(async () => {
      await runInDurableObject(shard(this.#log), (_, state) => state.abort("killed by the test")).catch(
        () => undefined,
      );
    });
  }

  /** Kills the object during appends: each append is answered or not. */
  async killAmidAppends(count: number): Promise<void> {
    const answers = Array.from({ length: count }, () =>
      this.#append([refusal()], undefined, false, () => true),
    );
    await scheduler.wait(count % 4);
    await Promise.all([...answers, this.kill()]);
  }

  async evict(): Promise<void> {
    await this.#restart(() => reload(this.#log));
  }

  async bucketOutage(isAway: boolean): Promise<void> {
    this.#isBucketAway = isAway;
    bucketIsAway(isAway);
  }

  async rootOutage(isAway: boolean): Promise<void> {
    this.#isRootAway = isAway;
    rootIsAway(isAway);
  }

  async clock(milliseconds: number): Promise<void> {
    this.#now += milliseconds;
    this.#latest = Math.max(this.#latest, this.#now);
    vi.setSystemTime(this.#now);
    if (milliseconds < 50_000 || this.#isBucketAway) return;
    // otherwise they are late with their copies
    for (const log of configurationLogs(layoutWithoutRegions(SHARDS), instant(this.#now)))
      await runDurableObjectAlarm(shard(log));
  }

  /** The log's alarm comes, if it is set. It must be set while something waits for its copy. */
  async alarm(): Promise<void> {
    const wasSet = await runDurableObjectAlarm(shard(this.#log));
    const { size, copied, why } = await shard(this.#log).status();
    if (why === null && copied < size)
      expect(wasSet, "an alarm is set while a record has no copy").toBe(true);
  }

  /**
   * The clock passes the moment from which an alarm seals the log. It may go back: a sealed log stays
   * sealed.
   */
  async halfYearEnds(): Promise<void> {
    await this.clock(Math.max(0, overOf(this.#log) + 1_000 - this.#now));
  }

  async rootAlarm(): Promise<void> {
    await runDurableObjectAlarm(rootLog());
  }

  async remember(): Promise<void> {
    if (!(await this.#runs())) return;
    const { size } = await shard(this.#log).status();
    this.#moment = { rows: await rowsOf(this.#log), size, unsure: this.#unsure };
  }

  /**
   * The object goes back to the remembered moment. If more was published or handed over, it must refuse, and
   * it shows nothing until its rows are brought forward again. If nothing was, no check can notice it: the
   * later records are lost.
   */
  async rollBack(): Promise<void> {
    const moment = this.#moment;
    if (moment === undefined || !(await this.#runs())) return;
    await this.bucketOutage(false);
    await this.rootOutage(false);
    const [published, standing] = [await this.#published(), await this.#standing()];
    const later = await rowsOf(this.#log);
    await putBack(this.#log, moment.rows);
    await this.#restart(() => reload(this.#log));
    if (Math.max(published?.size ?? 0, standing?.size ?? 0) <= moment.size) {
      this.#isForked = true;
      this.#isSealed = false;
      this.#unsure = moment.unsure; // a frame without an acknowledgement may wait for its copy again
      this.#acknowledged = this.#acknowledged.filter(({ at }) => at.index < moment.size);
      this.#shown = this.#shown.filter(({ size }) => size <= moment.size);
      return;
    }
    const where = (published?.size ?? 0) > moment.size ? "was published" : "stands in the root log";
    const why = `a checkpoint ${where} that this log does not extend`;
    expect(await shard(this.#log).status()).toMatchObject({ health: "refusing", why });
    expect(await failure(() => shard(this.#log).append([refusal()]))).toContain(why);
    const [reader, copies] = [publicReader(this.#log), bucketReader(this.#log)];
    await this.#showsNoNewCheckpoint();
    const origin = originOf(this.#log);
    const bundle = await bytesAt(objectKey(origin, { kind: "entries", index: 0 }));
    const tile = await bytesAt(objectKey(origin, { kind: "tile", level: 0, index: 0 }));
    for (const [shown, copy] of [
      [await reader.frame(0), await copies.frame(0)],
      [await reader.entries(0, TILE_WIDTH), bundle],
      [await reader.tile(0, 0, TILE_WIDTH), tile],
    ] as const)
      expect([undefined, copy], "only objects in R2").toContainEqual(shown);
    await putBack(this.#log, later);
    await this.#restart(() => reload(this.#log));
    expect(await shard(this.#log).status(), "brought forward again it goes on").toMatchObject({ why: null });
  }

  /** The facts that must hold at every moment. */
  async look(): Promise<void> {
    await this.clock(1_500); // a checkpoint is signed once a second
    const { size, copied, health, why, sealed } = await shard(this.#log).status();
    this.#explain(why);
    if (this.#isSealed) expect([sealed, size % TILE_WIDTH], "a sealed log stays sealed").toEqual([true, 0]);
    this.#isSealed = sealed;
    if (why !== null) {
      expect(health).toBe("refusing");
      await this.#showsNoNewCheckpoint();
      return;
    }
    this.#copied = copied;
    // The seal is a commit without an acknowledgement, too.
    if (copied === size) this.#unsure = sealed || this.#latest < overOf(this.#log) ? 0 : 1;
    const [certain, possible] = this.#late(copied);
    if (certain > REFUSE_MS) expect(health).toBe("refusing");
    else if (certain > DEGRADED_MS) expect(health).not.toBe("good");
    if (possible < DEGRADED_MS && this.#unsure === 0) expect(health).not.toBe("refusing");
    const last = this.#acknowledged.reduce((most, { at }) => Math.max(most, at.index + at.count), 0);
    expect(size, "acknowledged records are there").toBeGreaterThanOrEqual(last);
    const served = await publicReader(this.#log).checkpoint();
    for (const one of [served && this.#read(served), await this.#published(), await this.#standing()]) {
      if (one === undefined || one.size === 0) continue;
      const same = this.#shown.find((earlier) => earlier.size === one.size);
      if (same === undefined) this.#shown.push(one);
      else expect(one, "each size has one root").toEqual(same);
    }
  }

  /**
   * A stopped log: the public worker may repeat a checkpoint within a second, but shows no new checkpoint.
   */
  async #showsNoNewCheckpoint(): Promise<void> {
    const last = await publicReader(this.#log).checkpoint();
    if (last !== undefined)
      expect(this.#shown, "a stopped log shows no new checkpoint").toContainEqual(this.#read(last));
  }

  /**
   * All services are back: after some alarms the log is healthy, and everything that was acknowledged or
   * shown is in one history.
   */
  async settle(): Promise<void> {
    await this.bucketOutage(false);
    await this.rootOutage(false);
    for (let i = 0; i < 6 && !this.isOver; i++) {
      await this.clock(50_000);
      await this.alarm();
      await this.look();
    }
    if (this.isOver) return;
    const { size, ...status } = await shard(this.#log).status();
    expect(status).toMatchObject({
      copied: size,
      health: "good",
      why: null,
      sealed: this.#isSealed || this.#now >= overOf(this.#log),
    });
    expect((await this.#standing())?.size, "in the root log").toBe(size);
    const claims = { receipts: this.#acknowledged.map(({ at }) => at), since: this.#shown };
    for (const [name, reader] of Object.entries({
      shown: publicReader(this.#log),
      inBucket: bucketReader(this.#log),
    })) {
      const verified = await verifyLog(reader, verifierOf(this.#log), claims);
      expect(verified, `${name}: ${verified.ok ? "" : JSON.stringify(verified.error)}`).toMatchObject({
        ok: true,
        value: { size },
      });
    }
    const { lists } = await definitionsOf(this.#log); // throws when a record's epoch lacks its definition
    const disclosed = this.#acknowledged.filter(({ events }) => events[0]?.kind === "disclosure");
    expect(lists.length, "disclosures with their paths").toBeGreaterThanOrEqual(disclosed.length);
    const proofs = await shard(this.#log).proofs(this.#acknowledged.map(({ at }) => at.index));
    for (const [i, { at }] of this.#acknowledged.entries())
      expect(
        openInclusionNote(proofs[i] ?? new Uint8Array(), at.leafHash, verifierOf(this.#log)),
        "its leaf",
      ).toMatchObject({
        ok: true,
        value: { index: at.index },
      });
  }

  /** Returns the position; undefined when the append was refused, rightly. */
  async #append(
    events: readonly AuditEvent[],
    proof: string | undefined,
    isReplay = false,
    broken = never,
  ): Promise<Recorded | undefined> {
    const [now, late] = [this.#now, this.#late(this.#copied)];
    const answer = await appendNamed(this.#log, events, proof).catch((fault: Error) => fault);
    if (answer instanceof Error) {
      if (broken() || !(await this.#takesConfigurations())) this.#unsure++;
      else if (answer.message.includes("too far behind its copy"))
        expect(late[1] > REFUSE_MS || this.#unsure > 0).toBe(true);
      else if (answer.message.includes("this log is not open"))
        expect(this.#isSealed || now >= overOf(this.#log) - SWITCH_SLACK_MS).toBe(true);
      else this.#explain(answer.message.replace("ledger: ", ""));
      return undefined;
    }
    if (answer === "replayed" && isReplay) return undefined;
    if (typeof answer === "string") throw new Error(`${answer}, and it was not`);
    expect(this.#isSealed, "nothing is added to a sealed log").toBe(false);
    expect(late[0], "not so far behind its copy").toBeLessThanOrEqual(REFUSE_MS);
    if (broken === never) [this.#sawBucket, this.#sawRoot] = [true, true];
    if (this.#acknowledged.some(({ at }) => at.index === answer.index)) return answer; // acknowledged again
    this.#latestFrame = Math.max(this.#latestFrame, Math.floor(now / ROUNDING_MS) * ROUNDING_MS);
    const times = [Math.min(now, this.#latestFrame), Math.max(now, this.#latestFrame)] as const;
    this.#acknowledged.push({ events, proof, at: answer, times, clock: now });
    return answer;
  }

  /** A restarted log takes nothing while no log records its configuration. */
  async #takesConfigurations(): Promise<boolean> {
    if (this.#isRootAway) return false; // an unopened log cannot be opened
    const logs = await Promise.all(
      configurationLogs(layoutWithoutRegions(SHARDS), instant(this.#now)).map((log) => shard(log).status()),
    );
    return logs.some(({ open, health }) => open && health !== "refusing");
  }

  /** Checks that a stop has the reason that the model expects. */
  #explain(why: string | null): void {
    const mustStop = (this.#isBucketAway && !this.#sawBucket) || (this.#isRootAway && !this.#sawRoot);
    if (why !== null && this.#isForked && secondHistory.test(why)) {
      this.isOver = true;
      return;
    }
    if (mustStop)
      expect([
        ...(this.#isBucketAway && !this.#sawBucket ? ["the published checkpoint cannot be read"] : []),
        ...(this.#isRootAway && !this.#sawRoot ? ["the root log cannot be asked"] : []),
      ]).toContain(why);
    else expect(why).toBeNull();
    if (!this.#isBucketAway) this.#sawBucket = true;
    if (!this.#isRootAway) this.#sawRoot = true;
  }

  /** How long the oldest record without a copy has waited, at least and at most. */
  #late(copied: number): readonly [certain: number, possible: number] {
    const waiting = this.#acknowledged.filter(({ at }) => at.index >= copied).map(({ times }) => times);
    if (waiting.length === 0) return [0, 0];
    const [first] = waiting;
    return [
      Math.max(0, this.#now - (first?.[1] ?? this.#now)),
      this.#now - Math.min(...waiting.map(([earliest]) => earliest)),
    ];
  }

  async #runs(): Promise<boolean> {
    const { why } = await shard(this.#log).status();
    this.#explain(why);
    return why === null && !this.isOver;
  }

  async #restart(how: () => Promise<void>): Promise<void> {
    await how();
    [this.#sawBucket, this.#sawRoot] = [false, false];
  }

  async #published(): Promise<Checkpoint | undefined> {
    const note = await (await readBucket(checkpointKey(originOf(this.#log))))?.bytes();
    return note && this.#read(note);
  }

  async #standing(): Promise<Checkpoint | undefined> {
    const [note] = await runInDurableObject(rootLog(), (_, { storage: { sql } }) =>
      sql.exec<{ note: string }>("SELECT note FROM root_logs WHERE log = ?", this.#log).toArray(),
    );
    return note && this.#read(utf8(note.note));
  }

  #read(note: Uint8Array): Checkpoint {
    const checkpoint = openCheckpoint(note, verifierOf(this.#log));
    if (!checkpoint.ok) throw new Error(`${checkpoint.error}: ${fromUtf8(note)}`);
    return checkpoint.value;
  }
}

const never = (): boolean => false;
const overOf = (log: string): number => overAt(log) ?? 0;
