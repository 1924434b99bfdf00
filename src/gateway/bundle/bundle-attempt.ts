import { largest } from "#kernel/largest";
import { faceOf } from "#entrypoint/gateway-face";
import { originWriteMilliseconds } from "#kernel/origin-timeout";
import { err, ok, type Result } from "#kernel/result";
import type { KeyedAttempt } from "#limits/request-keys";
import { concernsNobody } from "#gateway/origin/concerned-by-write";
import type { OriginSession } from "#gateway/origin/origin-session";
import {
  createdId,
  isSameWay,
  storedText,
  readStored,
  sentBy,
  wayOf,
  writeName,
  type StoredEnd,
  type StoredWrite,
} from "#gateway/write/once";
import type { PlannedWrite } from "#gateway/write/planned-write";
import {
  rowStatuses,
  settleWrite,
  storeEnd,
  type OnceRefusal,
  type SettledWrite,
  type SettleRefusal,
} from "#gateway/write/write-attempt";

/** The end of a write that this attempt sent. `nothing`: the write was certainly not done. */
export type SentEnd = StoredEnd | "unknown" | "nothing";

// The writes of a batch are sent one after the other.
const sendingMilliseconds = { request: 30_000, write: originWriteMilliseconds };

/** A batch or a transaction on its way, under the attempt that has its key: all its writes have one key. */
export class BundleAttempt {
  readonly #attempt: Pick<KeyedAttempt, "name" | "sending" | "ended">;
  readonly #origin: OriginSession;
  /** The writes as an earlier attempt left them, by the index of the entry. */
  readonly #earlier: readonly StoredWrite[];
  readonly #writes: Map<number, StoredWrite>;
  readonly isResumed: boolean;
  /** The writes for which the origin had nothing to do. */
  readonly #unsent = new Set<number>();
  #isSending = false;

  constructor(attempt: KeyedAttempt, origin: OriginSession) {
    this.#attempt = attempt;
    this.#origin = origin;
    this.#earlier = attempt.earlier === undefined ? [] : readStored(attempt.earlier);
    this.#writes = new Map(this.#earlier.entries());
    this.isResumed = attempt.earlier !== undefined;
  }

  /** A request that was done: each of its writes has an end, and nothing is sent. */
  static repeated(result: string, origin: OriginSession): BundleAttempt {
    const nothing = async () => {};
    return new BundleAttempt({ name: "", earlier: result, sending: nothing, ended: nothing }, origin);
  }

  /** Ends an attempt that sent nothing: the key is as it was before. */
  async release(): Promise<void> {
    if (!this.#isSending) await this.#attempt.ended({ kind: "nothing" });
  }

  /** True if the entry's write was done and answered before. */
  isRepeat(index: number): boolean {
    return this.#earlier[index]?.way === "done";
  }

  /** The end of an entry's write in an earlier attempt. `undefined`: the write may be sent. */
  async settle(index: number): Promise<Result<SettledWrite | undefined, SettleRefusal>> {
    const settled = await settleWrite(
      this.#earlier[index] ?? { way: "none" },
      this.#nameOf(index),
      this.#origin,
    );
    if (settled.ok && settled.value !== undefined) this.#noteEnd(index, settled.value.end);
    return settled;
  }

  /**
   * The ends of all writes of a transaction in an earlier attempt, by the index of the entry. `undefined`: the
   * transaction may be sent.
   *
   * @param isAtomic the origin does all of a transaction or nothing: one resource tells of all.
   */
  async settleWhole(
    isAtomic: boolean,
  ): Promise<Result<ReadonlyMap<number, SettledWrite> | undefined, SettleRefusal>> {
    const sent = [...this.#earlier.entries()].filter(([, { way }]) => way !== "none");
    const unsettled = sent.filter(([, { way }]) => way !== "done");
    if (sent.length === 0) return ok(undefined);
    const ids = unsettled.filter(([, { way }]) => way === "id");
    const asked = isAtomic ? ids.slice(0, 1) : ids;
    const settled = new Map<number, SettledWrite>();
    for (const [index] of asked) {
      const one = await this.settle(index);
      if (!one.ok) return one;
      if (one.value !== undefined) settled.set(index, one.value);
    }
    const isDone =
      unsettled.length === 0 || (asked.length > 0 && settled.size === (isAtomic ? 1 : unsettled.length));
    if (isDone)
      return ok(
        new Map(sent.map(([index, kept]) => [index, settled.get(index) ?? this.#assumed(index, kept)])),
      );
    // A part was done, or a write of unknown outcome cannot be asked about.
    const isDivided = settled.size > 0 || unsettled.some(([, { way }]) => way === "once");
    return isDivided || unsettled.length < sent.length ? err({ reason: "outcome_unknown" }) : ok(undefined);
  }

  /** An entry's write as it is sent. A resumed write is sent in its earlier way only. */
  async prepare(index: number, plan: PlannedWrite): Promise<Result<PlannedWrite, OnceRefusal>> {
    if (plan.kind !== "send") {
      const [status, id] = plan.kind === "found" ? ([200, plan.id] as const) : ([204, undefined] as const);
      this.#noteEnd(index, { status, type: plan.type, id, version: undefined });
      this.#unsent.add(index);
      return ok(plan);
    }
    const way = wayOf(plan, (await this.#origin.traits())?.capabilities ?? {});
    if (this.#mayBeSent(index) && !isSameWay(way, this.#earlier[index]))
      return err({ reason: "outcome_unknown" });
    this.#writes.set(index, way);
    return ok(sentBy(way, this.#nameOf(index), plan));
  }

  /** The refusal of a write that an earlier attempt may have sent: its own effect may be the reason. */
  refusalOf<R extends Parameters<typeof faceOf>[0]>(refusal: R, index?: number): R | OnceRefusal {
    const mayBeSent = index === undefined ? this.isResumed : this.#mayBeSent(index);
    return mayBeSent && rowStatuses.has(faceOf(refusal).status) ? { reason: "outcome_unknown" } : refusal;
  }

  /** Call it before the first write is sent. Throws when another attempt took over. */
  async sending(count: number): Promise<void> {
    const { request, write } = sendingMilliseconds;
    await this.#attempt.sending(this.#text, request + write * count);
    this.#isSending = true;
  }

  /**
   * Stores the ends of this attempt's writes. The writes are done whatever happens here: a repeat then finds
   * their outcomes unknown.
   */
  async ended(ends: ReadonlyMap<number, SentEnd>, writes: readonly number[]): Promise<void> {
    for (const [index, end] of ends) {
      if (end === "unknown") continue;
      if (end === "nothing")
        this.#writes.set(index, this.#mayBeSent(index) ? this.#keptOf(index) : { way: "none" });
      else this.#noteEnd(index, end);
    }
    const wayAt = (index: number) => this.#writes.get(index)?.way ?? "none";
    const end = writes.every((index) => wayAt(index) === "done")
      ? ({ kind: "done", result: this.#text } as const)
      : writes.every((index) => wayAt(index) === "none" || this.#unsent.has(index))
        ? ({ kind: "nothing" } as const)
        : ({ kind: "unknown", content: this.#text } as const);
    await storeEnd(this.#attempt, end);
  }

  /**
   * A write of an atomic transaction of which another write was done. The record of its intent names its
   * patients.
   */
  #assumed(index: number, kept: StoredWrite): SettledWrite {
    const end = endOf(kept, this.#nameOf(index));
    if (end === undefined) throw new Error("a write of a done transaction has no end");
    this.#noteEnd(index, end);
    return { end, concerned: concernsNobody };
  }

  #noteEnd(index: number, { status, type, id, version }: StoredEnd): void {
    this.#writes.set(index, { way: "done", status, type, id, version });
  }

  #mayBeSent(index: number): boolean {
    const { way } = this.#keptOf(index);
    return way !== "none" && way !== "done";
  }

  #keptOf(index: number): StoredWrite {
    return this.#earlier[index] ?? { way: "none" };
  }

  #nameOf(index: number): string {
    return writeName(this.#attempt.name, index);
  }

  get #text(): string {
    const length = largest(this.#writes.keys(), -1) + 1;
    return storedText(Array.from({ length }, (_, index) => this.#writes.get(index) ?? { way: "none" }));
  }
}

/** The end that a stored write has if it was done. */
function endOf(kept: StoredWrite, name: string): StoredEnd | undefined {
  switch (kept.way) {
    case "done":
      return kept;
    case "id":
      return { status: 201, type: kept.type, id: createdId(name), version: undefined };
    case "version":
      return { status: kept.status, type: kept.type, id: kept.id, version: undefined };
    case "identifier":
    case "none":
    case "once":
      return undefined;
  }
}
