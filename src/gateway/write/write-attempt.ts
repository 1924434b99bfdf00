import { isObject, readJson } from "#fhir/json/json";
import { err, ok, type Result } from "#kernel/result";
import { originWriteMilliseconds } from "#kernel/origin-timeout";
import type { KeyedAttempt } from "#limits/request-keys";
import { concernedByUnread, concernsNobody, type ConcernedBy } from "#gateway/origin/concerned-by-write";
import type { OriginRefusal } from "#gateway/origin/forward";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { FilingRefusal } from "#gateway/consents/consent-filing";
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
  type Way,
} from "./once.ts";
import type { PlannedWrite } from "./planned-write.ts";
import { versionIn } from "./stored-row.ts";
import { writtenConsent, type DoneWrite, type SendRefusal } from "./write-send.ts";

export type OnceRefusal =
  /** The key was used for a different request. */
  | { readonly reason: "idempotency_key_reused" }
  /** A request with this key is being done. */
  | { readonly reason: "idempotency_key_in_use"; readonly retryAfterSeconds: number }
  /** An earlier attempt sent the write, its outcome is unknown, and to send it again could do it twice. */
  | { readonly reason: "outcome_unknown" };

// Before the write the row may be leased and read again.
const leasingMilliseconds = originWriteMilliseconds / 2 + 10_000;
const sendingMilliseconds = leasingMilliseconds + originWriteMilliseconds;

/** The statuses of refusals that stored rows decide, in one face whether a row is hidden or absent. */
export const rowStatuses: ReadonlySet<number> = new Set([404, 409, 412, 422]);

/** A write on its way, under the attempt that has its key. */
export class WriteAttempt {
  readonly #attempt: KeyedAttempt;
  readonly #origin: OriginSession;
  #isSending = false;
  #way: Way = { way: "once" };

  constructor(attempt: KeyedAttempt, origin: OriginSession) {
    this.#attempt = attempt;
    this.#origin = origin;
  }

  /** True if an earlier attempt may have sent the write. */
  get isResumed(): boolean {
    return this.#attempt.earlier !== undefined;
  }

  /** Ends an attempt that sent nothing: the key is as it was before. */
  async release(): Promise<void> {
    if (!this.#isSending) await this.#attempt.ended({ kind: "nothing" });
  }

  /** The end of an earlier attempt's write, if the origin knows it. `undefined`: the write may be sent. */
  async settleEarlier(): Promise<Result<SettledWrite | undefined, SettleRefusal>> {
    if (this.#attempt.earlier === undefined) return ok(undefined);
    const [kept = { way: "once" } as const] = readStored(this.#attempt.earlier);
    const settled = await settleWrite(kept, this.#name, this.#origin);
    if (settled.ok && settled.value !== undefined) await this.#done(settled.value.end);
    return settled;
  }

  /** The write as it is sent. A resumed write is sent in its earlier way only. */
  async prepare(plan: PlannedWrite): Promise<Result<PlannedWrite, OnceRefusal>> {
    if (plan.kind !== "send") return ok(plan);
    const way = wayOf(plan, (await this.#origin.traits())?.capabilities ?? {});
    if (this.#attempt.earlier !== undefined && !isSameWay(way, readStored(this.#attempt.earlier)[0]))
      return err({ reason: "outcome_unknown" });
    this.#way = way;
    return ok(sentBy(way, this.#name, plan));
  }

  async sending(): Promise<void> {
    await this.#attempt.sending(storedText([this.#way]), sendingMilliseconds);
    this.#isSending = true;
  }

  /** The write as it ended: the key stores it. */
  async sent(
    plan: Extract<PlannedWrite, { kind: "send" }>,
    sent: Result<DoneWrite, SendRefusal>,
  ): Promise<Result<DoneWrite, SendRefusal>> {
    const end = await countedAsDone(plan, sent, this.#origin);
    if (end.ok) await this.#done(end.value);
    else await this.#ends({ kind: isUnanswered(end.error) ? "unknown" : "nothing" });
    return end;
  }

  /** The origin had nothing to do. */
  async unsent({ kind, type, ...plan }: Exclude<PlannedWrite, { kind: "send" }>): Promise<void> {
    const id = "id" in plan ? plan.id : undefined;
    await this.#done({ status: kind === "found" ? 200 : 204, type, id, version: undefined });
  }

  get #name(): string {
    return writeName(this.#attempt.name);
  }

  async #done({ status, type, id, version }: StoredEnd): Promise<void> {
    await this.#ends({ kind: "done", result: storedText([{ way: "done", status, type, id, version }]) });
  }

  /** The write is done whatever happens here: a repeat then finds its outcome unknown. */
  async #ends(end: Parameters<KeyedAttempt["ended"]>[0]): Promise<void> {
    await storeEnd(this.#attempt, end);
  }
}

/** Stores the end of an attempt. A second try settles a connection that broke; nothing depends on the end. */
export async function storeEnd(
  attempt: Pick<KeyedAttempt, "ended">,
  end: Parameters<KeyedAttempt["ended"]>[0],
): Promise<void> {
  await attempt.ended(end).catch(() => attempt.ended(end).catch(() => {}));
}

/** True if the write may have been done. */
export const isUnanswered = ({ reason }: SendRefusal): boolean =>
  reason === "write_outcome_unknown" || reason === "write_answer_unfit" || reason === "consent_not_filed";

export type SettleRefusal = OnceRefusal | OriginRefusal | FilingRefusal;

/** A write of an earlier attempt that was done, and the patients of its resource. A Consent may not be filed yet. */
export interface SettledWrite {
  readonly end: StoredEnd;
  readonly concerned: ConcernedBy;
}

/** Asks the origin for the end of a write whose outcome is unknown. `undefined`: it may be sent. */
export async function settleWrite(
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
      const json = read.ok ? readJson(read.value.body) : undefined;
      const row = json?.ok === true && isObject(json.value) ? json.value : undefined;
      const bases = { origin: read.ok ? read.value.base : origin.base, public: origin.base };
      const end = { status: 201, type, id, version: row && versionIn(row) } as const;
      return ok({ end, concerned: row === undefined ? concernsNobody : concernedByUnread(row, bases) });
    }
  }
}

/**
 * The end of a write. A create under an id of its own that the origin refuses because the id is taken counts as done:
 * an earlier attempt, or the same request with an earlier token, created it.
 */
export async function countedAsDone(
  plan: Extract<PlannedWrite, { kind: "send" }>,
  sent: Result<DoneWrite, SendRefusal>,
  origin: OriginSession,
): Promise<Result<DoneWrite, SendRefusal>> {
  const { write, type, id } = plan;
  if (sent.ok || sent.error.reason !== "write_precondition_failed") return sent;
  if (write.ifNone !== "same id" || id === undefined) return sent;
  const there = await origin.ask({ path: `${type}/${id}`, query: "" });
  if (!there.ok) return there.error.reason === "absent" ? sent : err({ reason: "write_outcome_unknown" });
  const filed =
    type === "Consent" ? await origin.fileConsentAgain(writtenConsent(id, plan, undefined)) : ok(undefined);
  const done = {
    status: 201,
    type,
    id,
    version: undefined,
    body: undefined,
    base: there.value.base,
  } as const;
  return ok(filed.ok ? done : { ...done, isUnfiled: true });
}
