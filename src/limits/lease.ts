import type { Instant } from "#kernel/clock";
import { CallMemory } from "./call-memory.ts";
import type { LeaseAnswer, LeaseCall } from "./lease-call.ts";
import {
  giveBack,
  remaining,
  take,
  windowAt,
  windowEnd,
  type StoredWindow,
  type QuotaWindow,
  type WindowStore,
} from "./window.ts";

// The time in which a revocation takes effect (P4), however old the guard's own revocation state was.
const leaseMillisecondsMax = 5_000;
const afterEpochMillisecondsMax = 7_000;
// Tokens in another isolate may come back soon. If no further isolate has tokens, only the end of the window
// brings more.
const denyMilliseconds = { othersHold: 250, alone: 1_000 };
const holdersMax = 10_000;

/**
 * The counters of one client. Tokens count when they are granted, so `granted − returned ≤ limit` holds in
 * every interleaving: with lost answers, repeated calls, dead isolates (a lost lease counts as spent) and
 * restarts (all reserved tokens count as spent).
 */
export class LeaseBook {
  readonly #incarnation: string;
  readonly #windows: WindowStore;
  readonly #holdersAssumed: number | undefined;
  readonly #calls = new CallMemory();
  readonly #holders = new Map<string, Instant>(); // oldest first

  /**
   * `incarnation`: new random text for each start of the guard. `holders`: how many isolates share each
   * quota, for guards that do not count them.
   */
  constructor(incarnation: string, windows: WindowStore, holders?: number) {
    this.#holdersAssumed = holders;
    this.#incarnation = incarnation;
    this.#windows = windows;
  }

  /**
   * `store` must be durable before the answer leaves.
   *
   * @param epochRead when the guard last asked for revocations.
   */
  lease(
    call: LeaseCall,
    at: Instant,
    epochRead: Instant,
  ): { readonly answer: LeaseAnswer; readonly store: StoredWindow | undefined } {
    const before = this.#calls.answerTo(call.id);
    if (before !== undefined) return { answer: before, store: undefined };

    const last = this.#windows.get(call.key);
    const current = windowAt(last, call.quota, at);
    const brought = this.#brings(call, current, at) ? Math.min(call.returned, current.granted) : 0;
    const settled = giveBack(current, brought);
    const granted = grantSize({
      limit: settled.quota.requests,
      remaining: remaining(settled),
      holders: this.#count(call.holder, at),
      want: call.want,
      need: call.need,
    });
    const window = take(settled, granted);

    this.#windows.set(call.key, window);
    const answer = this.#answer(window, granted, call.want, at, epochRead);
    this.#calls.remember(call.id, answer, brought > 0 ? windowEnd(window) : undefined);
    return {
      answer,
      store: sameRow(window, last)
        ? undefined
        : { key: call.key, quota: window.quota, start: window.start, reserved: window.reserved },
    };
  }

  #brings({ returned, incarnation, windowStart }: LeaseCall, window: QuotaWindow, at: Instant): boolean {
    return (
      returned > 0 &&
      incarnation === this.#incarnation &&
      windowStart === window.start &&
      this.#calls.takesReturns(at)
    );
  }

  #count(holder: string, at: Instant): number {
    if (this.#holdersAssumed !== undefined) return this.#holdersAssumed;
    this.#holders.delete(holder);
    this.#holders.set(holder, at);
    for (const [oldest, seen] of this.#holders) {
      if (seen > at - leaseMillisecondsMax && this.#holders.size <= holdersMax) break;
      this.#holders.delete(oldest);
    }
    return this.#holders.size;
  }

  #answer(window: QuotaWindow, granted: number, want: number, at: Instant, epochRead: Instant): LeaseAnswer {
    const windowMillisecondsLeft = windowEnd(window) - at;
    const deny =
      (this.#holdersAssumed ?? this.#holders.size) > 1 ? denyMilliseconds.othersHold : denyMilliseconds.alone;
    return {
      granted,
      limit: window.quota.requests,
      remaining: remaining(window),
      windowSeconds: window.quota.windowSeconds,
      windowStart: window.start,
      windowMillisecondsLeft,
      lifeMilliseconds: Math.max(
        0,
        Math.min(leaseMillisecondsMax, windowMillisecondsLeft, epochRead + afterEpochMillisecondsMax - at),
      ),
      incarnation: this.#incarnation,
      ...(granted === 0 && want > 0 ? { denyMilliseconds: Math.min(deny, windowMillisecondsLeft) } : {}),
    };
  }
}

/**
 * At most half of the remaining tokens is ever out ahead of its use, and no lease is over a twentieth of
 * the quota. Near the limit leases shrink to the need of the asking request, where the count is exact for
 * each. A part of that need would not help any request, so it is granted whole or not at all.
 */
export function grantSize(request: {
  readonly limit: number;
  readonly remaining: number;
  readonly holders: number;
  readonly want: number;
  readonly need: number;
}): number {
  if (request.need > request.remaining) return 0;
  const share = Math.max(
    1,
    Math.min(Math.floor(request.remaining / (2 * request.holders)), Math.floor(request.limit / 20)),
  );
  return Math.min(request.want, Math.max(share, request.need), request.remaining);
}

function sameRow(window: QuotaWindow, last: QuotaWindow | undefined): boolean {
  return window.reserved === last?.reserved && window.start === last.start && window.quota === last.quota;
}
