import { isObject, property, readJson, textAt, type JsonObject } from "#fhir/json/json";
import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import { utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import type { KeyedAttempt } from "#limits/request-keys";
import { concernedByUnread, concernsNobody, type ConcernedBy } from "#gateway/origin/concerned-by-write";
import type { OriginRefusal } from "#gateway/origin/forward";
import type { OriginSession } from "#gateway/origin/origin-session";
import { createdId, readWays, sentBy, wayOf, waysText, type Way } from "./once.ts";
import type { PlannedWrite } from "./planned-write.ts";
import { versionIn } from "./stored-row.ts";
import type { DoneWrite, SendRefusal } from "./write-send.ts";

export type OnceRefusal =
  /** The key was used for a different request. */
  | { readonly reason: "idempotency_key_reused" }
  /** A request with this key is being done. */
  | { readonly reason: "idempotency_key_in_use"; readonly retryAfterSeconds: number }
  /** An earlier attempt sent the write, its outcome is unknown, and to send it again could do it twice. */
  | { readonly reason: "outcome_unknown" };

/** The end of a write that was done: all that a key stores of it. */
export type KeptEnd = Pick<DoneWrite, "status" | "type" | "id" | "version">;

// A write waits ten seconds for its origin, twice if the origin wants a new token.
export const sendingMilliseconds = 30_000;

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
  async releases(): Promise<void> {
    if (!this.#isSending) await this.#attempt.ended({ kind: "nothing" });
  }

  /** The end of an earlier attempt's write, if the origin knows it. `undefined`: the write may be sent. */
  async settleEarlier(
    type: ResourceType,
  ): Promise<Result<SettledWrite | undefined, OnceRefusal | OriginRefusal>> {
    if (this.#attempt.earlier === undefined) return ok(undefined);
    const [way = { way: "once" }] = readWays(this.#attempt.earlier);
    const settled = await settleEarlier(way, { type, name: this.#attempt.name }, this.#origin);
    if (settled.ok && settled.value !== undefined)
      await this.#attempt.ended({ kind: "done", result: endsText([settled.value.end]) });
    return settled;
  }

  /** The write as it is sent. A resumed write is sent in its earlier way only. */
  async prepare(plan: PlannedWrite): Promise<Result<PlannedWrite, OnceRefusal>> {
    if (plan.kind !== "send") return ok(plan);
    const way = wayOf(plan, (await this.#origin.traits())?.capabilities ?? {});
    if (this.#attempt.earlier !== undefined) {
      const [earlier] = readWays(this.#attempt.earlier);
      if (!isSameWay(way, earlier)) return err({ reason: "outcome_unknown" });
    }
    this.#way = way;
    return ok(sentBy(way, this.#attempt.name, plan));
  }

  async sending(): Promise<void> {
    await this.#attempt.sending(waysText([this.#way]), sendingMilliseconds);
    this.#isSending = true;
  }

  /** The write as it ended: the key stores it. */
  async sent(
    plan: Extract<PlannedWrite, { kind: "send" }>,
    sent: Result<DoneWrite, SendRefusal>,
  ): Promise<Result<DoneWrite, SendRefusal>> {
    const end = await standing(plan, sent, this.#origin);
    await this.#ends(
      end.ok
        ? { kind: "done", result: endsText([end.value]) }
        : { kind: isUnanswered(end.error) ? "unknown" : "nothing" },
    );
    return end;
  }

  /** The origin had nothing to do. */
  async unsent({ kind, type, ...plan }: Exclude<PlannedWrite, { kind: "send" }>): Promise<void> {
    const id = "id" in plan ? plan.id : undefined;
    const end = { status: kind === "found" ? 200 : 204, type, id, version: undefined } as const;
    await this.#ends({ kind: "done", result: endsText([end]) });
  }

  /** The write is done whatever happens here: a repeat then finds its outcome unknown. */
  async #ends(end: Parameters<KeyedAttempt["ended"]>[0]): Promise<void> {
    await this.#attempt.ended(end).catch(() => {});
  }
}

export const isUnanswered = ({ reason }: SendRefusal): boolean =>
  reason === "write_outcome_unknown" || reason === "write_answer_unfit";

const isSameWay = (now: Way, earlier: Way | undefined): boolean =>
  earlier !== undefined && now.way !== "once" && JSON.stringify(now) === JSON.stringify(earlier);

/** A write of an earlier attempt that was done, and the patients of its resource. */
export interface SettledWrite {
  readonly end: KeptEnd;
  readonly concerned: ConcernedBy;
}

/** Asks the origin for the end of a write whose outcome is unknown. */
export async function settleEarlier(
  way: Way,
  { type, name }: { readonly type: ResourceType; readonly name: string },
  origin: OriginSession,
): Promise<Result<SettledWrite | undefined, OnceRefusal | OriginRefusal>> {
  switch (way.way) {
    case "once":
      return err({ reason: "outcome_unknown" });
    // The origin creates nothing twice, or replaces only the version that was judged.
    case "identifier":
    case "version":
      return ok(undefined);
    case "id": {
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
 * A create under an id of its own that the origin refuses because the id is taken: an earlier attempt, or the
 * same request with an earlier token, created it.
 */
export async function standing(
  { write, type, id }: Extract<PlannedWrite, { kind: "send" }>,
  sent: Result<DoneWrite, SendRefusal>,
  origin: OriginSession,
): Promise<Result<DoneWrite, SendRefusal>> {
  if (sent.ok || sent.error.reason !== "write_precondition_failed") return sent;
  if (write.ifNone !== "same id" || id === undefined) return sent;
  const there = await origin.ask({ path: `${type}/${id}`, query: "" });
  if (!there.ok) return there.error.reason === "absent" ? sent : err({ reason: "write_outcome_unknown" });
  return ok({ status: 201, type, id, version: undefined, body: undefined, base: there.value.base });
}

/** The ends of the writes of a request, as a key stores them. */
export const endsText = (ends: readonly KeptEnd[]): string =>
  JSON.stringify(ends.map(({ status, type, id, version }) => ({ status: `${status}`, type, id, version })));

export function readEnds(text: string): readonly KeptEnd[] {
  const read = readJson(utf8(text));
  if (!read.ok || !Array.isArray(read.value)) return [];
  return read.value.flatMap((item: JsonObject): readonly KeptEnd[] => {
    const status = statuses.find((known) => `${known}` === property(item, "status"));
    const type = textAt(item, "type") ?? "";
    if (status === undefined || !isResourceType(type)) return [];
    return [{ status, type, id: textAt(item, "id"), version: textAt(item, "version") }];
  });
}

const statuses = [200, 201, 204] as const;
