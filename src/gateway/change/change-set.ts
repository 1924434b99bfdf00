import type { What } from "#audit/event";
import type { BatchEntry } from "#fhir/batch";
import { err, ok, type Result } from "#kernel/result";
import type { Permission } from "#gateway/admission/authorize";
import type { GateRefusal, ReleaseGate } from "#gateway/admission/release-gate";
import { concernsNobody, type ConcernedBy } from "#gateway/origin/concerned-by-write";
import type { OriginSession } from "#gateway/origin/origin-session";
import { writeParts, type Intended, type Part, type ProofReplayed } from "#gateway/record/parts";
import {
  sizeHeldBy,
  type PlannedWrite,
  type PlanRefusal,
  type SentPlan,
} from "#gateway/change/plan/planned-write";
import { mayHideStrangers } from "#policy/search/searched-unnamed";
import type { AskedWrite } from "#gateway/change/plan/write-body";
import { planWrite } from "#gateway/change/plan/write-plan";
import type { Attempt, AttemptEnd, SettledWrite, SettleRefusal } from "./attempt.ts";
import { earlierWrite, onRepeat } from "./effects.ts";
import { sendWhole } from "./send-whole.ts";
import { isUnknown, sendWrite, type DoneWrite, type SendRefusal, type SentEnd } from "./send.ts";
import { withCases, type CaseRefusal } from "./with-cases.ts";

/** Puts the writes of a set on record before they are sent, and their ends. Throws when the ledger cannot. */
export interface ChangeRecord {
  intendParts(parts: readonly Part[]): Promise<Intended>;
  noteParts(parts: readonly Part[]): Promise<void>;
}

/** Why the origin gets no write of a set. */
export type UnsentSet = GateRefusal | ProofReplayed | CaseRefusal;

/** Why a write is not sent. */
export type ChangeRefusal = PlanRefusal | SettleRefusal | GateRefusal | CaseRefusal;

/** The end of a write of a set. */
export type ChangeEnd =
  | { readonly kind: "refused"; readonly refusal: ChangeRefusal }
  /** The origin got it. */
  | (SentEnd & { readonly kind: "sent"; readonly plan: SentPlan; readonly concerned: ConcernedBy })
  | {
      /**
       * `unsent`: the origin had nothing to do. `settled`: an earlier attempt did it, whose outcome was unknown.
       * `repeated`: it was done and answered before.
       */
      readonly kind: "unsent" | "settled" | "repeated";
      readonly done: DoneWrite;
      readonly refusal?: undefined;
      readonly concerned: ConcernedBy;
    };

/** A write of a change set. */
export interface WriteInSet {
  /** Its place in the set. */
  readonly index: number;
  readonly asked: AskedWrite;
  /** The request, as its records name it. */
  readonly what: What;
  /** Its patients are noted here. */
  readonly origin: OriginSession;
  /** Undefined: a request of its own. */
  readonly entry?: Pick<BatchEntry, "method" | "fullUrl">;
  plan?: PlannedWrite;
  /** {@link OriginSession.generation} when the write was planned. */
  plannedIn?: number;
  end?: ChangeEnd;
}

/** The end of a change, once its set is done. */
export function endOfChange({ end }: WriteInSet): ChangeEnd {
  if (end === undefined) throw new Error("a change without an end");
  return end;
}

/** The origin had nothing to do: the resource to create exists, or the resource to delete does not. */
function unsentEnd(plan: Exclude<PlannedWrite, SentPlan>, { base }: OriginSession): ChangeEnd {
  const [status, id, concerned] =
    plan.kind === "found"
      ? ([200, plan.id, plan.concerned] as const)
      : ([204, undefined, concernsNobody] as const);
  const done = { status, type: plan.type, id, version: undefined, body: undefined, base };
  return { kind: "unsent", done, concerned };
}

export type PlannedInSet = WriteInSet & { plan: PlannedWrite };

/** A set of which all intents are on record. */
export interface SentSet {
  /** The changes that went to the origin, in their order. */
  readonly sending: readonly WriteInSet[];
  /** The refusal of a whole, if the origin says no end of each change. */
  readonly refusal?: SendRefusal | undefined;
}

type Sending = WriteInSet & { plan: SentPlan };
const isSending = (change: WriteInSet): change is Sending =>
  change.end === undefined && change.plan?.kind === "send";

// FHIR R4 http §3.1.0.11.2
const order: readonly unknown[] = ["DELETE", "POST", "PUT", "PATCH"];
const rankOf = ({ entry }: WriteInSet): number => order.indexOf(entry?.method);

/**
 * Changes at the origin: each is decided, the intents of all are on record, and then they are sent, once. A single
 * write is a set of one, the writes of a batch are independent, and those of a transaction are a whole.
 */
export class ChangeSet {
  readonly #form: "single" | "batch" | "transaction";
  readonly #permission: Permission;
  readonly #gate: Pick<ReleaseGate, "stillGood" | "spendNames">;
  readonly #record: Pick<ChangeRecord, "intendParts">;
  readonly #attempt: Attempt | undefined;

  /** @param attempt for a set under a key. */
  constructor(
    form: "single" | "batch" | "transaction",
    permission: Permission,
    gate: Pick<ReleaseGate, "stillGood" | "spendNames">,
    record: Pick<ChangeRecord, "intendParts">,
    attempt: Attempt | undefined,
  ) {
    this.#form = form;
    this.#permission = permission;
    this.#gate = gate;
    this.#record = record;
    this.#attempt = attempt;
  }

  /**
   * Does independent changes: each gets an end of its own.
   *
   * @param writes the places of all writes of the set, also of those that were refused before.
   */
  async each(changes: readonly WriteInSet[], writes: readonly number[]): Promise<Result<SentSet, UnsentSet>> {
    for (const change of changes) {
      const decided = await this.#decide(change);
      if (!decided.ok) change.end = { kind: "refused", refusal: decided.error };
      if (!mayHideStrangers(change.asked.interaction)) continue;
      const covered = await change.origin.coverRelation();
      if (!covered.ok) change.end = { kind: "refused", refusal: covered.error };
    }
    const sending = changes.filter(isSending).toSorted((a, b) => rankOf(a) - rankOf(b));
    const sent = await this.#afterIntent(sending, async () => {
      for (const change of sending) {
        if (change.end !== undefined) continue; // its case is not open
        const plan = await this.#stillPlanned(change);
        change.end = plan.ok
          ? await this.#send(change, plan.value)
          : { kind: "refused", refusal: plan.error };
      }
    });
    if (!sent.ok) return sent;
    for (const change of changes.filter(({ end }) => end === undefined)) {
      const current = await this.#current(change);
      if (!current.ok) change.end = { kind: "refused", refusal: current.error };
      else if (current.value.kind !== "send") change.end = unsentEnd(current.value, change.origin);
    }
    await this.#store(sending, writes);
    return ok({ sending });
  }

  /**
   * Does all of the planned changes, or none.
   *
   * @param origin notes the patients of all of them.
   */
  async whole(
    changes: readonly PlannedInSet[],
    writes: readonly number[],
    origin: OriginSession,
  ): Promise<Result<SentSet, ChangeRefusal | UnsentSet>> {
    for (const change of changes) {
      const prepared = await this.#prepared(change, change.plan);
      if (!prepared.ok) return prepared;
      change.plan = prepared.value;
    }
    const paid = await this.#gate.spendNames(origin.names.concerned);
    if (!paid.ok) return paid;
    const sending = changes.filter(isSending);
    // without writes the gate is asked again all the same
    const still = sending.length === 0 ? await this.#gate.stillGood() : ok(undefined);
    if (!still.ok) return still;
    let refusal: SendRefusal | undefined;
    const sent = await this.#afterIntent(sending, async () => {
      const ends = await sendWhole(
        sending.map(({ plan, asked, entry }) => {
          return { plan, fullUrl: entry?.fullUrl, isShown: asked.conditions.returns === "representation" };
        }),
        origin,
      );
      if (!ends.ok) refusal = ends.error;
      for (const [index, change] of sending.entries()) {
        const { plan } = change;
        const end = ends.ok ? ends.value[index] : { refusal: ends.error };
        if (end === undefined) throw new Error("a write of a transaction without an end");
        change.end = { ...end, kind: "sent", plan, concerned: plan.concerned };
        origin.held.give(sizeHeldBy(plan));
      }
    });
    if (!sent.ok) return sent;
    for (const change of changes)
      if (change.plan.kind !== "send") change.end = unsentEnd(change.plan, change.origin);
    await this.#store(sending, writes);
    return ok({ sending, refusal });
  }

  /** Decides about a write, or finds its end in an earlier attempt. */
  async #decide(change: WriteInSet): Promise<Result<unknown, ChangeRefusal>> {
    const { index, asked, origin } = change;
    const settled = await this.#attempt?.settle(index);
    if (settled?.ok === false) return settled;
    if (settled?.value !== undefined) return this.answerEarlier(change, settled.value);
    const planned = await this.#plan(change);
    const earlier = earlierWrite(asked, planned);
    const again = earlier && (await onRepeat(asked, earlier, this.#permission, origin));
    if (again?.ok === false) return again;
    const paid = await this.#gate.spendNames(origin.names.concerned);
    if (!paid.ok) return paid;
    if (!planned.ok && !ofOtherVersion.has(planned.error.reason))
      return err(this.#attempt?.refusalOf(planned.error, index) ?? planned.error);
    const prepared = planned.ok ? await this.#prepared(change, planned.value) : planned;
    if (prepared.ok) {
      change.plan = prepared.value;
      return prepared;
    }
    // The row has another version: perhaps the version that an earlier attempt wrote.
    const written = await this.#attempt?.settleByContent(index);
    if (written?.ok === false) return written;
    if (written?.value !== undefined) return this.answerEarlier(change, written.value);
    return err(this.#attempt?.refusalOf(prepared.error, index) ?? prepared.error);
  }

  /** A write that was done before this request: its effect may have failed then. */
  async answerEarlier(change: WriteInSet, settled: SettledWrite): Promise<Result<undefined, ChangeRefusal>> {
    const { asked, origin, index } = change;
    const earlier = { ...settled.end, isUnderKey: true };
    const again = await onRepeat(asked, earlier, this.#permission, origin);
    if (!again.ok) return again;
    const kind = this.#attempt?.isRepeat(index) === true ? "repeated" : "settled";
    const done = { ...settled.end, body: undefined, base: origin.base };
    change.end = { kind, done, concerned: settled.concerned };
    return again;
  }

  #plan(change: WriteInSet): Promise<Result<PlannedWrite, PlanRefusal>> {
    const { asked, origin } = change;
    change.plannedIn = origin.generation;
    return planWrite(asked, this.#permission, origin);
  }

  async #prepared({ index }: WriteInSet, plan: PlannedWrite): Promise<Result<PlannedWrite, ChangeRefusal>> {
    return this.#attempt === undefined ? ok(plan) : this.#attempt.prepare(index, plan);
  }

  /**
   * The plan of a write by the Consents of now: a Consent of this set may have been filed since the plan was made. A
   * body that was merged before would overwrite what the client may no longer see, and the address of a found row may
   * be withheld. The intent on record names the resource, so a plan for a different resource or version is refused.
   */
  async #current(change: WriteInSet): Promise<Result<PlannedWrite, ChangeRefusal>> {
    const { plan: before, plannedIn, origin } = change;
    if (before === undefined) throw new Error("a change without a plan");
    if (plannedIn === origin.generation) return ok(before);
    if (before.kind === "send") origin.held.give(sizeHeldBy(before));
    const planned = await this.#plan(change);
    const prepared =
      planned.ok && planned.value.kind === "send" ? await this.#prepared(change, planned.value) : planned;
    if (!prepared.ok) return prepared;
    if (placeOf(before) !== placeOf(prepared.value)) return err({ reason: "version_not_current" });
    change.plan = prepared.value; // its bytes are held now
    return prepared;
  }

  /**
   * Fifty writes may take longer than a lease lives: a client who is denied meanwhile writes no more. A write whose
   * Consents changed meanwhile is planned again, once.
   */
  async #stillPlanned(change: Sending, mayPlan = true): Promise<Result<SentPlan, ChangeRefusal>> {
    const current = await this.#current(change);
    if (!current.ok) return current;
    const still = this.#form === "single" ? ok(undefined) : await this.#gate.stillGood();
    if (still.ok) return ok(current.value.kind === "send" ? current.value : change.plan);
    if (!mayPlan || still.error.reason !== "consent_changed") return still;
    change.origin.judgeAnew();
    return this.#stillPlanned(change, false);
  }

  async #send({ asked, origin }: WriteInSet, plan: SentPlan): Promise<ChangeEnd> {
    const end = await sendWrite(plan, origin);
    const again =
      end.done !== undefined && end.isEarlier === true
        ? await onRepeat(asked, end.done, this.#permission, origin, plan)
        : ok(undefined);
    origin.held.give(sizeHeldBy(plan));
    const failed = again.ok ? {} : { refusal: again.error };
    return { ...end, ...failed, kind: "sent", plan, concerned: plan.concerned };
  }

  /**
   * The only way in which the origin hears of a write: the client's lease is renewed and the registry asked
   * again (P4), the intents go on record (P1), and then the writes are sent, once. A crash after that leaves
   * the intents, which name the patients whom the writes concern.
   */
  async #afterIntent(
    sending: readonly Sending[],
    send: () => Promise<void>,
  ): Promise<Result<undefined, UnsentSet>> {
    if (sending.length === 0) return ok(undefined);
    const still = await this.#gate.stillGood();
    if (!still.ok) return still;
    const intended = await this.#record.intendParts(sending.flatMap((change) => this.#intentOf(change)));
    if (!intended.ok) return intended;
    return withCases<ChangeEnd, UnsentSet>(sending, {
      isRegistrar: this.#permission.policy.isAmendmentRegistrar,
      refusedAlone: this.#form === "transaction" ? undefined : (refusal) => ({ kind: "refused", refusal }),
      stillGood: () => this.#gate.stillGood(),
      send: async () => {
        await this.#attempt?.sending(sending.length);
        for (const { origin } of sending) origin.held.mayThrow = false;
        await send();
      },
    });
  }

  #intentOf({ what, plan, origin }: Sending): readonly Part[] {
    const { type, id } = plan;
    const named = this.#form === "single" || id === undefined ? what : { ...what, type, id };
    return writeParts("intent", named, plan.concerned, { origin });
  }

  /** The key stores the ends of the writes that were sent. */
  async #store(sending: readonly WriteInSet[], writes: readonly number[]): Promise<void> {
    await this.#attempt?.ended(
      new Map(sending.map((change) => [change.index, storedEnd(endOfChange(change))])),
      writes,
    );
  }
}

/** Refusals of a row that the writer sees: an earlier attempt of the same write may be their cause. */
const ofOtherVersion: ReadonlySet<string> = new Set(["version_not_current", "patch_not_applicable"]);

const storedEnd = (end: ChangeEnd): AttemptEnd =>
  end.kind !== "sent" ? "nothing" : (end.done ?? (isUnknown(end) ? "unknown" : "nothing"));

/** The resource and the version that a plan is about. */
function placeOf(plan: PlannedWrite): string {
  const { method, path, version } = plan.kind === "send" ? plan.write : {};
  return JSON.stringify([plan.kind, plan.type, plan.kind !== "nothing" && plan.id, method, path, version]);
}
