import { hear, type Bulletin } from "#identity/revocation";
import type { LeaseAnswer, LeaseCall } from "#limits/lease-call";
import type { Limiter, Spend } from "#limits/ports";
import { abandonAsk, beginAsk, demanded, mayAsk, renewalDue, settleAsk, spend, spendAnswered, standing } from "#limits/purse";
import { instant, type Clock } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import type { ClientGuard } from "./client-guard.ts";
import type { Told } from "./guard-told.ts";
import { Purses } from "./purses.ts";

export interface GuardLimiterOptions {
  readonly guards: DurableObjectNamespace<ClientGuard>;
  readonly clock: Clock;
  /** 128 random bits as text, new for each call. */
  readonly newId: () => string;
  /** Lets a call outlive the request that began it. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** Hears where the registry is, and which of its records are not what they were. */
  readonly onNews: (bulletin: Bulletin) => void;
}

// A request that finds others asking looks again every five milliseconds, for two seconds: as long as a call counts.
const looksMax = 400;
const lookMilliseconds = 5;

/** Spends out of leases that the clients' guards grant to this isolate. The arithmetic is limits/purse; here are its memory, the clock and the wire. */
export function guardLimiter(options: GuardLimiterOptions): Limiter {
  const { clock, waitUntil } = options;
  const purses = new Purses(clock);
  const ask = asker(options, purses);
  // For the requests that follow: whoever was served sees to it, and does not wait. Those ask themselves, and tell of the fault.
  const renewAhead = (of: Spend) => {
    if (renewalDue(purses.of(of), clock())) waitUntil(ask(of, 0).catch(() => {}));
  };
  return {
    async prepare(of) {
      const purse = purses.of(of);
      // A twentieth of a small quota is one request: it would be taken from another isolate for a caller who is not proven.
      if (of.quota.requests < 40 || spend(purse, clock()).outcome.kind !== "empty" || !mayAsk(purse, clock())) return;
      const asked = ask(of, 1).catch(() => {});
      waitUntil(asked); // this request may be refused meanwhile, and the answer's tokens are the isolate's
      await asked;
    },
    async spend(of, revoked) {
      purses.set(of, demanded(purses.of(of), clock()));
      for (let looks = 0; looks < looksMax; looks += 1) {
        let answer: LeaseAnswer | undefined;
        const before = spend(purses.of(of), clock()).outcome.kind;
        if (before === "empty" && mayAsk(purses.of(of), clock())) answer = await ask(of, 1);
        // What is denied is as young as the lease that is spent from, and a thief spends nothing of the quota.
        const refusal = answer === undefined && before === "empty" ? undefined : revoked(purses.heard(of)?.denied ?? nobodyKnows());
        if (refusal !== undefined) return err(refusal);
        const { purse, outcome } = answer === undefined ? spend(purses.of(of), clock()) : spendAnswered(purses.of(of), answer, clock());
        purses.set(of, purse);
        switch (outcome.kind) {
          case "spent":
            renewAhead(of);
            return ok(outcome.budget);
          case "denied":
            return err(outcome.exhausted);
          case "empty":
            await scheduler.wait(lookMilliseconds); // its own timer: no request waits for another's promise (DESIGN §4)
        }
      }
      throw new Error("the client's guard does not answer");
    },
    async renew(of, revoked) {
      if (standing(purses.of(of), clock())?.alive !== true) await ask(of, 0);
      const refusal = revoked(purses.heard(of)?.denied ?? nobodyKnows());
      if (refusal !== undefined) return err(refusal);
      const heard = standing(purses.of(of), clock()); // alive when the guard answered, be it the last moment of a window
      if (heard === undefined) throw new Error("the client's guard answered too late");
      return ok(heard.budget);
    },
  };
}

function nobodyKnows(): never {
  throw new Error("a lease came without what is revoked");
}

/** One call to the guard, from leaving the purse to coming back into it. Throws when the guard cannot be reached. */
function asker({ guards, clock, newId, onNews }: GuardLimiterOptions, purses: Purses): (of: Spend, least: 0 | 1) => Promise<LeaseAnswer> {
  let holder: string | undefined; // made in the first request: a Worker has no randomness before
  return async (of, least) => {
    holder ??= newId();
    const id = newId();
    const { purse, call } = beginAsk(purses.of(of), id, least, clock());
    purses.set(of, purse);
    try {
      const since = purses.heard(of)?.epoch;
      const asked = clock();
      const { answer, news, newsAgeMilliseconds } = await send(guards, of, { id, holder, key: of.key, quota: of.quota, ...call }, since);
      const heard = hear(purses.heard(of), news);
      if (heard === undefined) throw new Error("news of revocations were missed");
      purses.setHeard(of, heard.heard);
      onNews({ client: of.client, standing: heard.heard, stale: heard.stale, asOf: instant(asked - newsAgeMilliseconds) });
      purses.set(of, settleAsk(purses.of(of), id, answer, clock()));
      return answer;
    } catch (fault) {
      purses.set(of, abandonAsk(purses.of(of), id));
      throw fault;
    }
  };
}

/** A guard that was just restarted fails the calls in flight, and its stub with them: one more try, by a new stub and the same id. */
async function send(
  guards: DurableObjectNamespace<ClientGuard>,
  { client, issuer }: Spend,
  call: LeaseCall,
  since: number | undefined,
): Promise<Told> {
  const listener = { client, issuer, ...(since !== undefined && { since }) };
  try {
    return await guards.getByName(client).lease(call, listener);
  } catch (fault) {
    if (!(fault instanceof Error) || Reflect.get(fault, "durableObjectReset") !== true) throw fault;
    return await guards.getByName(client).lease(call, listener);
  }
}
