import { randomBytes } from "node:crypto";
import { AnonymousCap, isAnonymousRefusal } from "#audit/anonymous-cap";
import { aboutNobody, type AuditEvent } from "#audit/event";
import type { Counted } from "#audit/ports";
import { type Instant, instant } from "#kernel/clock";
import type { Secret } from "#kernel/secret";
import { type Draft, draftAppend } from "./draft.ts";
import type { LedgerStore } from "#platform/ledger/object/log/store";

/** An anonymous refusal beyond the cap, waiting to be counted. */
interface Uncounted {
  readonly reason: string;
  readonly resolve: (counted: Counted) => void;
  readonly reject: (fault: Error) => void;
}

// How long counts gather before they are recorded.
const EVERY_MS = 60_000;

/**
 * Anonymous refusals beyond the cap of a log. They are counted in rows, exactly, and their sum is recorded
 * once a minute.
 */
export class LedgerTally {
  readonly #storage: DurableObjectStorage;
  readonly #store: LedgerStore;
  readonly #subjectKey: Secret<Uint8Array>;
  readonly #cap = new AnonymousCap();
  #waiting: Uncounted[] = [];
  #recordedAt = instant(0); // when the counts were last recorded
  // No commit reads the rows to find none: this object alone writes them.
  #isCounted: boolean;

  constructor(storage: DurableObjectStorage, store: LedgerStore, subjectKey: Secret<Uint8Array>) {
    this.#storage = storage;
    this.#store = store;
    this.#subjectKey = subjectKey;
    this.#isCounted = Object.keys(store.tally()).length > 0;
  }

  /** True when these events are to be counted instead of recorded. */
  takes(events: readonly AuditEvent[], now: Instant): boolean {
    return events.every(isAnonymousRefusal) && !this.#cap.admits(now);
  }

  /** Resolves when the count is durable, after the next `store`. */
  count(reason: string): Promise<Counted> {
    return new Promise<Counted>((resolve, reject) => {
      this.#waiting.push({ reason, resolve, reject });
    });
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** The counts that are not recorded yet, by reason. */
  get counts(): Readonly<Record<string, number>> {
    return this.#isCounted ? this.#store.tally() : {};
  }

  /** True when there are counts whose minute is over. */
  isDue(now: Instant): boolean {
    return this.#isCounted && now - this.#recordedAt >= EVERY_MS;
  }

  async store(): Promise<void> {
    const waiting = this.#waiting.splice(0);
    const counts = new Map<string, number>();
    for (const { reason } of waiting) counts.set(reason, (counts.get(reason) ?? 0) + 1);
    try {
      this.#storage.transactionSync(() => this.#store.addTally(counts));
      await this.#storage.sync();
    } catch (fault) {
      for (const one of waiting.toReversed()) this.#waiting.unshift(one); // for `fail`
      throw fault;
    }
    this.#store.created();
    this.#isCounted = true;
    for (const { resolve } of waiting) resolve("counted");
  }

  fail(fault: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(fault);
  }

  /**
   * The counts as a record, when they are due. Call `recorded` after its commit, which also calls
   * `clearTally`.
   */
  draft(now: Instant): Draft | undefined {
    return this.isDue(now)
      ? draftAppend([tallyEvent(randomBytes(16).toString("hex"), now, this.counts)], this.#subjectKey)
      : undefined;
  }

  recorded(now: Instant): void {
    this.#recordedAt = now;
    this.#isCounted = false;
  }
}

export const tallyEvent = (id: string, at: Instant, tally: Readonly<Record<string, number>>): AuditEvent => ({
  id,
  at,
  kind: "refusals",
  ...aboutNobody,
  tally,
});
