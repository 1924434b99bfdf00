import { instant, stepBackMilliseconds, type Instant } from "#kernel/clock";
import { counted, expected, recent, type Demand } from "./demand.ts";
import type { LeaseAnswer, LeaseCall } from "./lease-call.ts";
import type { Budget, Exhausted, QuotaName } from "./ports.ts";

/**
 * The tokens that an isolate holds for a quota: settled plain data. Each function takes a lease and gives
 * the next lease.
 */
export interface IsolateLease {
  readonly policy: QuotaName;
  /** Granted by `latest`, or by an earlier answer in the same window, and not spent. */
  readonly tokens: number;
  readonly latest: LatestAnswer | undefined;
  readonly demand: Demand;
  readonly asks: readonly Ask[];
}

interface LatestAnswer {
  readonly answer: LeaseAnswer;
  readonly askedAt: Instant;
  readonly receivedAt: Instant;
  readonly diesAt: Instant;
  /** The guard has nothing to give before this moment. */
  readonly deniedUntil: Instant;
}

/**
 * A call under way. It counts for `askMilliseconds` at most, because a cancelled request never reports that
 * it is over.
 */
export interface Ask {
  readonly id: string;
  readonly at: Instant;
  readonly want: number;
}

type Outcome =
  | { readonly kind: "spent"; readonly budget: Budget; readonly source: Source }
  | { readonly kind: "exhausted"; readonly exhausted: Exhausted }
  /** No living tokens here: the isolate must ask the guard. */
  | { readonly kind: "empty" };

/** The window that tokens belong to, and the incarnation of the guard that counted them. */
export type Source = Pick<LeaseAnswer, "incarnation" | "windowStart">;

// The isolate's lease ends before the guard thinks it does, however far their clocks drift within five
// seconds.
const driftMilliseconds = 250;
const askMilliseconds = 2_000;
// At most this many requests without tokens ask the guard at once; further requests look again soon.
const asksMax = 8;
// If a lease (a twentieth of the quota) would be under two tokens, nothing is asked for ahead: the token
// would lie in one isolate while another refuses requests.
const limitForAhead = 40;

export const emptyLease = (policy: QuotaName, at: Instant): IsolateLease => ({
  policy,
  tokens: 0,
  latest: undefined,
  demand: { count: 0, at },
  asks: [],
});

/**
 * Counts a request that wants this many tokens. Call it once for each request, before the request spends.
 */
export const demanded = (lease: IsolateLease, many: number, at: Instant): IsolateLease => ({
  ...lease,
  demand: counted(lease.demand, many, at),
});

/** Spends tokens of a living lease: all the wanted tokens, or none. */
export function spend(
  lease: IsolateLease,
  many: number,
  at: Instant,
): { readonly lease: IsolateLease; readonly outcome: Outcome } {
  const { latest, tokens } = lease;
  if (latest === undefined || !lives(latest, at)) return { lease, outcome: { kind: "empty" } };
  if (tokens >= many) return spent(lease, latest, many, at);
  const isShort = many - tokens > latest.answer.remaining;
  return {
    lease,
    outcome: isShort && at < latest.deniedUntil ? exhausted(lease, latest, many, at) : { kind: "empty" },
  };
}

/**
 * Puts tokens back that were spent in vain because another quota refused the request. They are lost if the
 * lease has ended.
 */
export function putBack(
  lease: IsolateLease,
  many: number,
  { incarnation, windowStart }: Source,
): IsolateLease {
  const answer = lease.latest?.answer;
  const isSame = answer?.incarnation === incarnation && answer.windowStart === windowStart;
  return isSame ? { ...lease, tokens: lease.tokens + many } : lease;
}

/** The budget by the guard's last answer, and if that answer is still alive. */
export function budgetState(
  lease: IsolateLease,
  at: Instant,
): { readonly budget: Budget; readonly alive: boolean } | undefined {
  return lease.latest && { budget: budgetOf(lease, lease.latest, at), alive: lives(lease.latest, at) };
}

/** True if another request may ask the guard now. */
export const mayAsk = (lease: IsolateLease, at: Instant): boolean => underWay(lease, at).length < asksMax;

/**
 * True if a request that was served should ask ahead for the requests that follow: half the lease's life is
 * over, or the remaining tokens would be spent before an answer came. At most one such call runs at a time.
 */
export function renewalDue(lease: IsolateLease, at: Instant): boolean {
  const { latest, tokens } = lease;
  if (latest === undefined || !lives(latest, at) || latest.answer.limit < limitForAhead) return false;
  if (underWay(lease, at).length > 0) return false;
  if (at - latest.askedAt >= latest.answer.lifeMilliseconds / 2) return true;
  const untilAnswered = expected(lease.demand, at, 1.5 * (latest.receivedAt - latest.askedAt));
  return (
    latest.answer.remaining > 0 && at >= latest.deniedUntil && untilAnswered >= 1 && tokens < untilAnswered
  );
}

/**
 * Begins a call. Returned tokens leave the lease here, before the call is sent, so that they cannot be
 * spent as well.
 * `least`: the tokens that the asking request needs; 0 for a call ahead of later requests.
 */
export function beginAsk(
  lease: IsolateLease,
  id: string,
  least: number,
  at: Instant,
): {
  readonly lease: IsolateLease;
  readonly call: Pick<LeaseCall, "want" | "need" | "returned" | "incarnation" | "windowStart">;
} {
  const { latest, tokens } = lease;
  const asks = underWay(lease, at);
  const target = Math.ceil(recent(lease.demand, at));
  // A dead lease gives everything back; a living lease gives back only the tokens that it would not spend
  // in another life.
  const returned =
    latest === undefined || !lives(latest, at)
      ? tokens
      : Math.max(0, tokens - Math.max(1, least, 2 * target));
  const kept = tokens - returned;
  const coming = asks.reduce((sum, ask) => sum + ask.want, 0);
  const need = Math.max(Math.min(1, least), least - kept);
  const want = Math.max(need, target - kept - coming);
  return {
    lease: { ...lease, tokens: kept, asks: [...asks, { id, at, want }] },
    call: {
      want,
      need,
      returned,
      ...(returned > 0 && latest !== undefined
        ? { incarnation: latest.answer.incarnation, windowStart: latest.answer.windowStart }
        : {}),
    },
  };
}

/**
 * Puts an answer's tokens into the lease. Tokens left from another window or incarnation count as spent.
 */
export function settleAsk(
  lease: IsolateLease,
  id: string,
  answer: LeaseAnswer,
  receivedAt: Instant,
): IsolateLease {
  const ask = lease.asks.find((each) => each.id === id);
  if (ask === undefined) return lease; // an answer that took too long: its tokens count as spent
  const rest = { ...lease, asks: lease.asks.filter((each) => each !== ask) };
  const last = lease.latest;
  const same =
    last?.answer.windowStart === answer.windowStart && last.answer.incarnation === answer.incarnation;
  // Answers may overtake each other. The answer to the newest call decides, and an older answer only adds
  // tokens to the same window.
  if (last !== undefined && ask.at < last.askedAt)
    return same ? { ...rest, tokens: rest.tokens + answer.granted } : rest;
  const latest = {
    answer,
    askedAt: ask.at,
    receivedAt,
    diesAt: instant(ask.at + answer.lifeMilliseconds - driftMilliseconds),
    deniedUntil: instant(
      Math.min(receivedAt + (answer.denyMilliseconds ?? 0), ask.at + answer.windowMillisecondsLeft),
    ),
  };
  return { ...rest, latest, tokens: (same ? rest.tokens : 0) + answer.granted };
}

/** Ends a call that failed: the tokens that it returned or was granted count as spent. */
export const abandonAsk = (lease: IsolateLease, id: string): IsolateLease => ({
  ...lease,
  asks: lease.asks.filter((ask) => ask.id !== id),
});

/**
 * Spends the tokens that an answer granted to the asking request. The guard's word alone is enough, so they
 * count even if the window ends before the lease could live.
 */
export function spendAnswered(
  lease: IsolateLease,
  many: number,
  answer: LeaseAnswer,
  at: Instant,
): { readonly lease: IsolateLease; readonly outcome: Outcome } {
  const { latest, tokens } = lease;
  if (latest === undefined) return { lease, outcome: { kind: "empty" } };
  if (answer.granted === 0) return { lease, outcome: exhausted(lease, latest, many, at) };
  return tokens >= many ? spent(lease, latest, many, at) : { lease, outcome: { kind: "empty" } };
}

const lives = ({ askedAt, diesAt }: LatestAnswer, at: Instant): boolean =>
  at < diesAt && at >= askedAt - stepBackMilliseconds;

const underWay = ({ asks }: IsolateLease, at: Instant): readonly Ask[] =>
  asks.filter((ask) => Math.abs(at - ask.at) < askMilliseconds);

function budgetOf(
  { policy, tokens }: IsolateLease,
  { answer, receivedAt, diesAt }: LatestAnswer,
  at: Instant,
): Budget {
  return {
    policy,
    limit: answer.limit,
    windowSeconds: answer.windowSeconds,
    // As far as this isolate knows: its own tokens, and the guard's remaining tokens when it last answered.
    remaining: answer.remaining + tokens,
    // Counted from the answer's arrival, which is later than the guard's own moment: never too early.
    resetSeconds: Math.ceil(Math.max(0, receivedAt + answer.windowMillisecondsLeft - at) / 1000),
    livesUntil: diesAt,
  };
}

function spent(lease: IsolateLease, latest: LatestAnswer, many: number, at: Instant) {
  const next = { ...lease, tokens: lease.tokens - many };
  return {
    lease: next,
    outcome: { kind: "spent" as const, budget: budgetOf(next, latest, at), source: latest.answer },
  };
}

function exhausted(lease: IsolateLease, latest: LatestAnswer, many: number, at: Instant) {
  const budget = budgetOf(lease, latest, at);
  // the exact number is unknown, but it was not enough
  const remaining = Math.min(budget.remaining, many - 1);
  return {
    kind: "exhausted" as const,
    exhausted: {
      ...budget,
      remaining,
      reason: reasons[lease.policy],
      retryAfterSeconds: budget.resetSeconds,
    },
  };
}

const reasons = {
  default: "quota_exhausted",
  subject: "subject_quota_exhausted",
  records: "record_quota_exhausted",
} as const satisfies Record<QuotaName, Exhausted["reason"]>;
