import { instant, type Instant } from "#kernel/clock";
import { counted, expected, recent, type Demand } from "./demand.ts";
import type { LeaseAnswer, LeaseCall } from "./lease-call.ts";
import type { Budget, Exhausted } from "./ports.ts";

/** What one isolate holds of one quota: settled plain data. Each function takes a purse and gives the next one. */
export interface Purse {
  /** Granted by `lease`, or an earlier one of the same window, and not spent. */
  readonly tokens: number;
  readonly lease: Lease | undefined;
  readonly demand: Demand;
  readonly asks: readonly Ask[];
}

interface Lease {
  readonly answer: LeaseAnswer;
  readonly asked: Instant;
  readonly received: Instant;
  readonly diesAt: Instant;
  /** Until then the guard has nothing to give. */
  readonly deniedUntil: Instant;
}

/** A call under way. It counts for `askMilliseconds` at most: a cancelled request never comes back to say that it is over. */
export interface Ask {
  readonly id: string;
  readonly at: Instant;
  readonly want: number;
}

type Outcome =
  | { readonly kind: "spent"; readonly budget: Budget }
  | { readonly kind: "denied"; readonly exhausted: Exhausted }
  /** Nothing at hand that lives: ask. */
  | { readonly kind: "empty" };

// The isolate's lease ends before the guard thinks it does, however their clocks drift within five seconds.
const driftMilliseconds = 250;
// Two requests of one isolate may see times this far apart; a clock that steps back further ends the lease.
const stepBackMilliseconds = 100;
const askMilliseconds = 2_000;
// Requests that find nothing at hand and ask at once; the others look again soon.
const asksMax = 8;
// Below two tokens a lease (a twentieth of the quota) nothing is asked for ahead: it would lie in one isolate while another is refused.
const limitForAhead = 40;

export const emptyPurse = (at: Instant): Purse => ({ tokens: 0, lease: undefined, demand: { count: 0, at }, asks: [] });

/** Counts a request that wants a token: once for each, before it spends. */
export const demanded = (purse: Purse, at: Instant): Purse => ({ ...purse, demand: counted(purse.demand, at) });

/** Spends one token of a living lease. */
export function spend(purse: Purse, at: Instant): { readonly purse: Purse; readonly outcome: Outcome } {
  const { lease, tokens } = purse;
  if (lease === undefined || !lives(lease, at)) return { purse, outcome: { kind: "empty" } };
  if (tokens > 0) {
    const next = { ...purse, tokens: tokens - 1 };
    return { purse: next, outcome: { kind: "spent", budget: budgetOf(lease, next.tokens, at) } };
  }
  if (at < lease.deniedUntil) return { purse, outcome: { kind: "denied", exhausted: exhausted(lease, at) } };
  return { purse, outcome: { kind: "empty" } };
}

/** How things stand by the guard's last answer, and whether that answer still lives. */
export function standing({ lease, tokens }: Purse, at: Instant): { readonly budget: Budget; readonly alive: boolean } | undefined {
  return lease && { budget: budgetOf(lease, tokens, at), alive: lives(lease, at) };
}

/** Whether one more request may ask the guard now. */
export const mayAsk = (purse: Purse, at: Instant): boolean => underWay(purse, at).length < asksMax;

/**
 * Whether a request that was served should ask ahead, for those that follow: half the lease's life is over, or what is
 * left would be spent before an answer came. One at a time.
 */
export function renewalDue(purse: Purse, at: Instant): boolean {
  const { lease, tokens } = purse;
  if (lease === undefined || !lives(lease, at) || lease.answer.limit < limitForAhead) return false;
  if (underWay(purse, at).length > 0) return false;
  if (at - lease.asked >= lease.answer.lifeMilliseconds / 2) return true;
  const untilAnswered = expected(purse.demand, at, 1.5 * (lease.received - lease.asked));
  return lease.answer.remaining > 0 && at >= lease.deniedUntil && untilAnswered >= 1 && tokens < untilAnswered;
}

/**
 * Begins a call: what goes back leaves the purse here, before it is sent, so it cannot be spent as well.
 * `least`: 1 for a request that needs a token itself.
 */
export function beginAsk(
  purse: Purse,
  id: string,
  least: 0 | 1,
  at: Instant,
): { readonly purse: Purse; readonly call: Pick<LeaseCall, "want" | "returned" | "incarnation" | "windowStart"> } {
  const { lease, tokens } = purse;
  const asks = underWay(purse, at);
  const target = Math.ceil(recent(purse.demand, at));
  // A dead lease gives everything back; a living one only what it would not spend in another life.
  const returned = lease === undefined || !lives(lease, at) ? tokens : Math.max(0, tokens - Math.max(1, 2 * target));
  const coming = asks.reduce((sum, ask) => sum + ask.want, 0);
  const want = Math.max(least, target - (tokens - returned) - coming);
  return {
    purse: { ...purse, tokens: tokens - returned, asks: [...asks, { id, at, want }] },
    call: {
      want,
      returned,
      ...(returned > 0 && lease !== undefined ? { incarnation: lease.answer.incarnation, windowStart: lease.answer.windowStart } : {}),
    },
  };
}

/** Puts an answer's tokens into the purse. What was left of another window or incarnation counts as spent. */
export function settleAsk(purse: Purse, id: string, answer: LeaseAnswer, received: Instant): Purse {
  const ask = purse.asks.find((each) => each.id === id);
  if (ask === undefined) return purse; // an answer that took too long: its tokens count as spent
  const rest = { ...purse, asks: purse.asks.filter((each) => each !== ask) };
  const last = purse.lease;
  const same = last?.answer.windowStart === answer.windowStart && last.answer.incarnation === answer.incarnation;
  // Answers may overtake each other: the newest question has the word, and an older one only adds to the same window.
  if (last !== undefined && ask.at < last.asked) return same ? { ...rest, tokens: rest.tokens + answer.granted } : rest;
  const lease = {
    answer,
    asked: ask.at,
    received,
    diesAt: instant(ask.at + answer.lifeMilliseconds - driftMilliseconds),
    deniedUntil: instant(Math.min(received + (answer.denyMilliseconds ?? 0), ask.at + answer.windowMillisecondsLeft)),
  };
  return { ...rest, lease, tokens: (same ? rest.tokens : 0) + answer.granted };
}

/** Ends a call that failed: whatever it brought back or was granted counts as spent. */
export const abandonAsk = (purse: Purse, id: string): Purse => ({ ...purse, asks: purse.asks.filter((ask) => ask.id !== id) });

/**
 * The token that an answer brought for the very request that asked: spent on the guard's word alone, so that it counts
 * also where the window ends before the lease could live.
 */
export function spendAnswered(purse: Purse, answer: LeaseAnswer, at: Instant): { readonly purse: Purse; readonly outcome: Outcome } {
  const { lease, tokens } = purse;
  if (lease === undefined) return { purse, outcome: { kind: "empty" } };
  if (answer.granted > 0 && tokens > 0) {
    const next = { ...purse, tokens: tokens - 1 };
    return { purse: next, outcome: { kind: "spent", budget: budgetOf(lease, next.tokens, at) } };
  }
  return answer.granted === 0
    ? { purse, outcome: { kind: "denied", exhausted: exhausted(lease, at) } }
    : { purse, outcome: { kind: "empty" } };
}

const lives = ({ asked, diesAt }: Lease, at: Instant): boolean => at < diesAt && at >= asked - stepBackMilliseconds;

const underWay = ({ asks }: Purse, at: Instant): readonly Ask[] => asks.filter((ask) => Math.abs(at - ask.at) < askMilliseconds);

function budgetOf({ answer, received, diesAt }: Lease, tokens: number, at: Instant): Budget {
  return {
    policy: "default",
    limit: answer.limit,
    windowSeconds: answer.windowSeconds,
    // What this isolate knows of: its own tokens, and what the guard had left when it last answered.
    remaining: answer.remaining + tokens,
    // Counted from the answer's arrival, which is later than the guard's own moment: never too early.
    resetSeconds: Math.ceil(Math.max(0, received + answer.windowMillisecondsLeft - at) / 1000),
    livesUntil: diesAt,
  };
}

function exhausted(lease: Lease, at: Instant): Exhausted {
  const budget = budgetOf(lease, 0, at);
  return { ...budget, remaining: 0, reason: "quota_exhausted", retryAfterSeconds: budget.resetSeconds };
}
