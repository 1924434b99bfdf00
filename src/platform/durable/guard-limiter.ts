import type { LeaseAnswer, LeaseCall } from "#limits/lease-call";
import type { Budget, Limiter, Spend } from "#limits/ports";
import { instant, type Clock } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import type { ClientGuard } from "./client-guard.ts";

export interface GuardLimiterOptions {
  readonly guards: DurableObjectNamespace<ClientGuard>;
  readonly clock: Clock;
  /** 128 random bits as text, new for each call. */
  readonly newId: () => string;
}

// The caller's lease ends before the guard thinks it does, however their clocks drift within five seconds.
const driftMilliseconds = 250;

/** Asks the client's guard for each request, one token at a time. */
export function guardLimiter({ guards, clock, newId }: GuardLimiterOptions): Limiter {
  let holder: string | undefined; // made in the first request: a Worker has no randomness before
  const lease = async ({ client, key, quota }: Spend, want: number): Promise<{ answer: LeaseAnswer; budget: Budget }> => {
    holder ??= newId();
    const asked = clock();
    const answer = await ask(guards, client, { id: newId(), holder, key, quota, want, returned: 0 });
    const budget = {
      policy: "default",
      limit: answer.limit,
      windowSeconds: answer.windowSeconds,
      remaining: answer.remaining,
      resetSeconds: Math.ceil(answer.windowMillisecondsLeft / 1000),
      livesUntil: instant(asked + answer.lifeMilliseconds - driftMilliseconds),
    };
    return { answer, budget };
  };
  return {
    async spend(of) {
      const { answer, budget } = await lease(of, 1);
      if (answer.granted > 0) return ok(budget);
      return err({ ...budget, reason: "quota_exhausted", retryAfterSeconds: answer.retryAfterSeconds ?? budget.resetSeconds });
    },
    async renew(of) {
      const { budget } = await lease(of, 0);
      return budget;
    },
  };
}

/** A guard that was just restarted fails the calls in flight, and its stub with them: one more try, by a new stub and the same id. */
async function ask(guards: DurableObjectNamespace<ClientGuard>, client: string, call: LeaseCall): Promise<LeaseAnswer> {
  try {
    return await guards.getByName(client).lease(call);
  } catch (fault) {
    if (!(fault instanceof Error) || Reflect.get(fault, "durableObjectReset") !== true) throw fault;
    return await guards.getByName(client).lease(call);
  }
}
