import { faceOf } from "#entrypoint/gateway-face";
import { readObject } from "#fhir/json/json";
import { largest } from "#kernel/largest";
import { originWriteMilliseconds } from "#fhir/origin";
import { err, ok, type Result } from "#kernel/result";
import type { KeyedAttempt, KeyedRequest, RequestKeys } from "#limits/request-keys";
import type { FilingRefusal } from "#gateway/consents/consent-filing";
import { concernedByUnread, concernsNobody, type ConcernedBy } from "#gateway/origin/concerned-by-write";
import type { OriginRefusal } from "#gateway/origin/forward";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { PlannedWrite } from "#gateway/change/plan/planned-write";
import { versionIn } from "#gateway/change/plan/stored-row";
import {
  fingerprintOf,
  createdId,
  isSameWay,
  readStored,
  sentBy,
  storedText,
  wayOf,
  writeName,
  type StoredEnd,
  type StoredWrite,
} from "./ways.ts";

export type OnceRefusal =
  /** The key was used for a different request. */
  | { readonly reason: "idempotency_key_reused" }
  /** A request with this key is being done. */
  | { readonly reason: "idempotency_key_in_use"; readonly retryAfterSeconds: number }
  /** An earlier attempt sent the write, its outcome is unknown, and to send it again could do it twice. */
  | { readonly reason: "outcome_unknown" };

export type SettleRefusal = OnceRefusal | OriginRefusal | FilingRefusal;

/** A write that was done before this request, and the patients of its resource. */
export interface SettledWrite {
  readonly end: StoredEnd;
  readonly concerned: ConcernedBy;
}

/** The end of a write that this attempt sent. `nothing`: the write was certainly not done. */
export type AttemptEnd = StoredEnd | "unknown" | "nothing";

// Before a write is sent its row may be leased and read again.
const sendingMilliseconds = originWriteMilliseconds / 2 + 10_000 + originWriteMilliseconds;

/** The statuses of refusals that stored rows decide, in one face whether a row is hidden or absent. */
const rowStatuses: ReadonlySet<number> = new Set([404, 409, 412, 422]);

/**
 * Does a request once under its key, however often it comes. The attempt of a request that was done before has the
 * end of each of its writes, and sends nothing.
 *
 * @param request undefined: it has no key, and is done each time it comes.
 * @param form `bundle`: several writes have one key, and each has a name by its place.
 */
export async function once<T, R>(
  request: KeyedRequest | undefined,
  keys: RequestKeys,
  origin: OriginSession,
  form: "write" | "bundle",
  act: (attempt?: Attempt) => Promise<Result<T, R>>,
): Promise<Result<T, R | OnceRefusal>> {
  if (request === undefined) return act();
  const claim = await keys.claim(request);
  switch (claim.kind) {
    case "other":
      return err({ reason: "idempotency_key_reused" });
    case "busy":
      // No attempt sends this write again, so there is nothing to wait for.
      if (form === "write" && claim.earlier !== undefined && isOnce(claim.earlier))
        return err({ reason: "outcome_unknown" });
      return err({ reason: "idempotency_key_in_use", retryAfterSeconds: claim.retryAfterSeconds });
    case "done":
      return act(new Attempt({ ...nothingToStore, earlier: claim.result }, origin, form));
    case "claimed": {
      const attempt = new Attempt(claim.attempt, origin, form);
      try {
        const result = await act(attempt);
        if (!result.ok) await attempt.release();
        return result;
      } catch (fault) {
        await attempt.release().catch(() => {}); // its time ends then
        throw fault;
      }
    }
  }
}

const isOnce = (earlier: string): boolean => readStored(earlier)[0]?.way === "once";

const nothingToStore = { name: "", sending: async () => {}, ended: async () => {} };

/** A change set on its way, under the attempt that has its key: all its writes have one key. */
export class Attempt {
  readonly #attempt: KeyedAttempt;
  readonly #origin: OriginSession;
  readonly #form: "write" | "bundle";
  /** The writes as an earlier attempt left them, by their place in the set. */
  readonly #earlier: readonly StoredWrite[];
  readonly #writes: Map<number, StoredWrite>;
  /** The writes for which the origin had nothing to do. */
  readonly #unsent = new Set<number>();
  /** From here on a fault leaves the key as it is. */
  #isStored = false;

  constructor(attempt: KeyedAttempt, origin: OriginSession, form: "write" | "bundle") {
    this.#attempt = attempt;
    this.#origin = origin;
    this.#form = form;
    this.#earlier = attempt.earlier === undefined ? [] : readStored(attempt.earlier);
    this.#writes = new Map(this.#earlier.entries());
  }

  /** Ends an attempt that sent nothing: the key is as it was before. */
  async release(): Promise<void> {
    if (!this.#isStored) await this.#attempt.ended({ kind: "nothing" });
  }

  /** True if the write was done and answered before. */
  isRepeat(index: number): boolean {
    return this.#keptOf(index).way === "done";
  }

  /** The end of a write in an earlier attempt, if the origin knows it. `undefined`: the write may be sent. */
  async settle(index: number): Promise<Result<SettledWrite | undefined, SettleRefusal>> {
    const settled = await settleWrite(this.#keptOf(index), this.#nameOf(index), this.#origin);
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

  /** A write as it is sent. A resumed write is sent in its earlier way only. */
  async prepare(index: number, plan: PlannedWrite): Promise<Result<PlannedWrite, OnceRefusal>> {
    if (plan.kind !== "send") {
      const [status, id] = plan.kind === "found" ? ([200, plan.id] as const) : ([204, undefined] as const);
      this.#noteEnd(index, { status, type: plan.type, id, version: undefined });
      this.#unsent.add(index);
      return ok(plan);
    }
    const way = wayOf(plan, (await this.#origin.traits())?.capabilities ?? {}, this.#attempt.name);
    if (this.#mayBeSent(index) && !isSameWay(way, this.#keptOf(index)))
      return err({ reason: "outcome_unknown" });
    this.#writes.set(index, way);
    return ok(sentBy(way, this.#nameOf(index), plan));
  }

  /**
   * The end of an update of which an earlier attempt lost the answer, if the row now says what was sent. Ask for it once
   * the row was judged: the writer may see that its version is another.
   */
  async settleByContent(index: number): Promise<Result<SettledWrite | undefined, SettleRefusal>> {
    const kept = this.#keptOf(index);
    if (kept.way !== "version" || kept.content === undefined) return ok(undefined);
    const { type, id, status, version, content } = kept;
    const read = await this.#origin.read({ path: `${type}/${id}`, query: "" });
    if (!read.ok) return read;
    const row = readObject(read.value.body);
    const now = row && versionIn(row);
    if (row === undefined || now === undefined || now === version) return ok(undefined);
    if (fingerprintOf(read.value.body, this.#attempt.name) !== content) return ok(undefined);
    const end = { status, type, id, version: now };
    this.#noteEnd(index, end);
    const bases = { origin: read.value.base, public: this.#origin.base };
    return ok({ end, concerned: concernedByUnread(row, bases) });
  }

  /** The refusal of a write that an earlier attempt may have sent: its own effect may be the reason. */
  refusalOf<R extends Parameters<typeof faceOf>[0]>(refusal: R, index?: number): R | OnceRefusal {
    const mayBeSent = index === undefined ? this.#attempt.earlier !== undefined : this.#mayBeSent(index);
    return mayBeSent && rowStatuses.has(faceOf(refusal).status) ? { reason: "outcome_unknown" } : refusal;
  }

  /** Call it before the first write is sent. Throws when another attempt took over. */
  async sending(count: number): Promise<void> {
    await this.#attempt.sending(this.#text, sendingMilliseconds * count);
    this.#isStored = true;
  }

  /**
   * Stores the ends of this attempt's writes. The writes are done whatever happens here: a repeat then finds
   * their outcomes unknown. A second try settles a connection that broke.
   *
   * @param writes the places of all writes of the set.
   */
  async ended(ends: ReadonlyMap<number, AttemptEnd>, writes: readonly number[]): Promise<void> {
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
    this.#isStored = true;
    await this.#attempt.ended(end).catch(() => this.#attempt.ended(end).catch(() => {}));
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
    return writeName(this.#attempt.name, this.#form === "bundle" ? index : undefined);
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

/** Asks the origin for the end of a write whose outcome is unknown. `undefined`: it may be sent. */
async function settleWrite(
  kept: StoredWrite,
  name: string,
  origin: OriginSession,
): Promise<Result<SettledWrite | undefined, SettleRefusal>> {
  switch (kept.way) {
    case "once":
      return err({ reason: "outcome_unknown" });
    // The origin creates nothing twice, or replaces only the version that was judged.
    case "none":
    case "identifier":
    case "version":
      return ok(undefined);
    case "done":
      return ok({ end: kept, concerned: concernsNobody });
    case "id": {
      const { type } = kept;
      const id = createdId(name);
      const read = await origin.read({ path: `${type}/${id}`, query: "" });
      if (!read.ok && read.error.reason === "absent") return ok(undefined);
      if (!read.ok && read.error.reason !== "resource_withheld") return read;
      const row = read.ok ? readObject(read.value.body) : undefined;
      const bases = { origin: read.ok ? read.value.base : origin.base, public: origin.base };
      const end = { status: 201, type, id, version: row && versionIn(row) } as const;
      return ok({ end, concerned: row === undefined ? concernsNobody : concernedByUnread(row, bases) });
    }
  }
}
