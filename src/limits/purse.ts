import { instant, type Instant } from "#kernel/clock";
import { counted, expected, recent, type Demand } from "./demand.ts";
import type { LeaseAnswer, LeaseCall } from "./lease-call.ts";
import type { Budget, Exhausted, QuotaName } from "./ports.ts";

/** What one isolate holds of one quota: settled plain data. Each function takes a purse and gives the next one. */
export interface Purse {
  readonly policy: QuotaName;
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
  | { readonly kind: "spent"; readonly budget: Budget; readonly source: Source }
  | { readonly kind: "denied"; readonly exhausted: Exhausted }
  /** Nothing at hand that lives: ask. */
  | { readonly kind: "empty" };

/** Which window's tokens, by which count. */
export type Source = Pick<LeaseAnswer, "incarnation" | "windowStart">;

// The isolate's lease ends before the guard thinks it does, however their clocks drift within five seconds.
const driftMilliseconds = 250;
// Two requests of one isolate may see times this far apart; a clock that steps back further ends the lease.
const stepBackMilliseconds = 100;
const askMilliseconds = 2_000;
// Requests that find nothing at hand and ask at once; the others look again soon.
const asksMax = 8;
// Below two tokens a lease (a twentieth of the quota) nothing is asked for ahead: it would lie in one isolate while another is refused.
const limitForAhead = 40;

export const emptyPurse = (policy: QuotaName, at: Instant): Purse => ({
  policy,
  tokens: 0,
  lease: undefined,
  demand: { count: 0, at },
  asks: [],
});

/** Counts a request that wants so many tokens: once for each, before it spends. */
export const demanded = (purse: Purse, many: number, at: Instant): Purse => ({
  ...purse,
  demand: counted(purse.demand, many, at),
});

/** Spends tokens of a living lease: all that are wanted, or none. */
export function spend(
  purse: Purse,
  many: number,
  at: Instant,
): { readonly purse: Purse; readonly outcome: Outcome } {
  const { lease, tokens } = purse;
  if (lease === undefined || !lives(lease, at)) return { purse, outcome: { kind: "empty" } };
  if (tokens >= many) return spent(purse, lease, many, at);
  const isShort = many - tokens > lease.answer.remaining;
  return {
    purse,
    outcome: isShort && at < lease.deniedUntil ? denied(purse, lease, many, at) : { kind: "empty" },
  };
}

/** Puts back what was spent for nothing, because the request was refused by another quota. Gone when its lease is. */
export function putBack(purse: Purse, many: number, { incarnation, windowStart }: Source): Purse {
  const answer = purse.lease?.answer;
  const isSame = answer?.incarnation === incarnation && answer.windowStart === windowStart;
  return isSame ? { ...purse, tokens: purse.tokens + many } : purse;
}

/** How things stand by the guard's last answer, and whether that answer still lives. */
export function standing(
  purse: Purse,
  at: Instant,
): { readonly budget: Budget; readonly alive: boolean } | undefined {
  return purse.lease && { budget: budgetOf(purse, purse.lease, at), alive: lives(purse.lease, at) };
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
  return (
    lease.answer.remaining > 0 && at >= lease.deniedUntil && untilAnswered >= 1 && tokens < untilAnswered
  );
}

/**
 * Begins a call: what goes back leaves the purse here, before it is sent, so it cannot be spent as well.
 * `least`: what the request that asks must have, 0 when it only sees to those that follow.
 */
export function beginAsk(
  purse: Purse,
  id: string,
  least: number,
  at: Instant,
): {
  readonly purse: Purse;
  readonly call: Pick<LeaseCall, "want" | "need" | "returned" | "incarnation" | "windowStart">;
} {
  const { lease, tokens } = purse;
  const asks = underWay(purse, at);
  const target = Math.ceil(recent(purse.demand, at));
  // A dead lease gives everything back; a living one only what it would not spend in another life.
  const returned =
    lease === undefined || !lives(lease, at) ? tokens : Math.max(0, tokens - Math.max(1, least, 2 * target));
  const kept = tokens - returned;
  const coming = asks.reduce((sum, ask) => sum + ask.want, 0);
  const need = Math.max(Math.min(1, least), least - kept);
  const want = Math.max(need, target - kept - coming);
  return {
    purse: { ...purse, tokens: kept, asks: [...asks, { id, at, want }] },
    call: {
      want,
      need,
      returned,
      ...(returned > 0 && lease !== undefined
        ? { incarnation: lease.answer.incarnation, windowStart: lease.answer.windowStart }
        : {}),
    },
  };
}

/** Puts an answer's tokens into the purse. What was left of another window or incarnation counts as spent. */
export function settleAsk(purse: Purse, id: string, answer: LeaseAnswer, received: Instant): Purse {
  const ask = purse.asks.find((each) => each.id === id);
  if (ask === undefined) return purse; // an answer that took too long: its tokens count as spent
  const rest = { ...purse, asks: purse.asks.filter((each) => each !== ask) };
  const last = purse.lease;
  const same =
    last?.answer.windowStart === answer.windowStart && last.answer.incarnation === answer.incarnation;
  // Answers may overtake each other: the newest question has the word, and an older one only adds to the same window.
  if (last !== undefined && ask.at < last.asked)
    return same ? { ...rest, tokens: rest.tokens + answer.granted } : rest;
  const lease = {
    answer,
    asked: ask.at,
    received,
    diesAt: instant(ask.at + answer.lifeMilliseconds - driftMilliseconds),
    deniedUntil: instant(
      Math.min(received + (answer.denyMilliseconds ?? 0), ask.at + answer.windowMillisecondsLeft),
    ),
  };
  return { ...rest, lease, tokens: (same ? rest.tokens : 0) + answer.granted };
}

/** Ends a call that failed: whatever it brought back or was granted counts as spent. */
export const abandonAsk = (purse: Purse, id: string): Purse => ({
  ...purse,
  asks: purse.asks.filter((ask) => ask.id !== id),
});

/**
 * The tokens that an answer brought for the very request that asked: spent on the guard's word alone, so that they count
 * also where the window ends before the lease could live.
 */
export function spendAnswered(
  purse: Purse,
  many: number,
  answer: LeaseAnswer,
  at: Instant,
): { readonly purse: Purse; readonly outcome: Outcome } {
  const { lease, tokens } = purse;
  if (lease === undefined) return { purse, outcome: { kind: "empty" } };
  if (answer.granted === 0) return { purse, outcome: denied(purse, lease, many, at) };
  return tokens >= many ? spent(purse, lease, many, at) : { purse, outcome: { kind: "empty" } };
}

const lives = ({ asked, diesAt }: Lease, at: Instant): boolean =>
  at < diesAt && at >= asked - stepBackMilliseconds;

const underWay = ({ asks }: Purse, at: Instant): readonly Ask[] =>
  asks.filter((ask) => Math.abs(at - ask.at) < askMilliseconds);

function budgetOf({ policy, tokens }: Purse, { answer, received, diesAt }: Lease, at: Instant): Budget {
  return {
    policy,
    limit: answer.limit,
    windowSeconds: answer.windowSeconds,
    // What this isolate knows of: its own tokens, and what the guard had left when it last answered.
    remaining: answer.remaining + tokens,
    // Counted from the answer's arrival, which is later than the guard's own moment: never too early.
    resetSeconds: Math.ceil(Math.max(0, received + answer.windowMillisecondsLeft - at) / 1000),
    livesUntil: diesAt,
  };
}

function spent(purse: Purse, lease: Lease, many: number, at: Instant) {
  const next = { ...purse, tokens: purse.tokens - many };
  return {
    purse: next,
    outcome: { kind: "spent" as const, budget: budgetOf(next, lease, at), source: lease.answer },
  };
}

function denied(purse: Purse, lease: Lease, many: number, at: Instant) {
  const budget = budgetOf(purse, lease, at);
  const remaining = Math.min(budget.remaining, many - 1); // whatever it is, it was not enough
  return {
    kind: "denied" as const,
    exhausted: {
      ...budget,
      remaining,
      reason: reasons[purse.policy],
      retryAfterSeconds: budget.resetSeconds,
    },
  };
}

const reasons = {
  default: "quota_exhausted",
  subject: "subject_quota_exhausted",
  records: "record_quota_exhausted",
} as const satisfies Record<QuotaName, Exhausted["reason"]>;
