import { createHash } from "node:crypto";
import { applyUpdate, type AppliedUpdate } from "#registry/revocation";
import type { LeaseAnswer, LeaseCall } from "#limits/lease-call";
import type { Budget, Denied, Exhausted, Limiter, Spend } from "#limits/ports";
import {
  abandonAsk,
  beginAsk,
  demanded,
  mayAsk,
  putBack,
  renewalDue,
  settleAsk,
  spend,
  spendAnswered,
  budgetState,
  type Source,
} from "#limits/isolate-lease";
import { instant, type Clock } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { Asker, GuardReply } from "#platform/guard/object/client-guard";
import { inTime, PartBusy } from "#platform/deadlines";
import { pastReset } from "#platform/past-reset";
import { Bulkhead, type CallSlot } from "#limits/bulkhead";
import { guardStub, type NamedGuards } from "./guard-stub.ts";
import { IsolateLeases } from "./isolate-leases.ts";

/** A guard as a limiter calls it. */
interface Guard {
  lease(call: LeaseCall, asker: Asker): Promise<GuardReply>;
  leaseOfSubject(call: LeaseCall): Promise<LeaseAnswer>;
}

export interface GuardLimiterOptions {
  readonly guards: NamedGuards<Guard>;
  readonly clock: Clock;
  /** 128 random bits as text, new for each call. */
  readonly newId: () => string;
  /** Lets a call run longer than the request that began it. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** Receives the registry's position, and the records that have changed. */
  readonly onUpdate: (applied: AppliedUpdate) => void;
  /** Called at the end of each call of a guard for a lease. */
  readonly onLease?: (result: "granted" | "exhausted" | "failed", milliseconds: number) => void;
}

// A request that finds another request asking looks again every five milliseconds, for two seconds: as long
// as a call counts.
const looksMax = 400;
const lookMilliseconds = 5;
// For each client, with 50,000 running windows in each guard. A changed number restarts every subject's
// window.
const subjectGuards = 16;
// Requests that wait for a lease, of a client and of all. A slow guard of one client holds up no other client.
// An app may send a thousand repeats of a request at once; 2,048 requests of 30 KB are half of an isolate's memory.
const waiting = { concurrentPerClient: 1_024, concurrent: 2_048, timeoutMilliseconds: 10_000 };

/**
 * Spends from leases that the clients' guards grant to this isolate. limits/ has the arithmetic; this file
 * has the memory, the clock and the calls.
 */
export function guardLimiter(options: GuardLimiterOptions): Limiter {
  const { clock, waitUntil } = options;
  const leases = new IsolateLeases(clock);
  const ask = asker(options, leases);
  const waits = new Bulkhead();
  const waitingFor = (client: string): CallSlot => {
    const slot = waits.take(client, waiting, clock());
    if (typeof slot === "string") throw new PartBusy("guard");
    return slot;
  };
  // Renews for later requests: the served request starts the renewal and does not wait. If it fails, the
  // later requests ask themselves and report the fault.
  const renewAhead = (charge: Spend) => waitUntil(ask(charge, 0).catch(() => {}));
  const spendOne = async <R>(
    charge: Spend,
    revoked: (denied: Denied) => R | undefined,
  ): Promise<Result<Spent, Exhausted | R>> => {
    let slot: CallSlot | undefined;
    const wait = () => (slot ??= waitingFor(charge.client));
    try {
      return await spendWaiting(charge, revoked, wait);
    } finally {
      if (slot !== undefined) waits.give(slot);
    }
  };
  const spendWaiting = async <R>(
    charge: Spend,
    revoked: (denied: Denied) => R | undefined,
    wait: () => void,
  ): Promise<Result<Spent, Exhausted | R>> => {
    let counted = demanded(leases.get(charge), charge.many, clock());
    for (let looks = 0; looks < looksMax; looks += 1) {
      const at = clock();
      let spent = spend(counted, charge.many, at);
      const mustAsk = spent.outcome.kind === "empty" && mayAsk(counted, at);
      if (mustAsk) {
        leases.update(charge, counted);
        wait();
        const answer = await ask(charge, charge.many);
        spent = spendAnswered(leases.get(charge), charge.many, answer, clock());
      }
      // The denials are as young as the lease that is spent from, and a thief spends nothing of the quota.
      const refusal =
        charge.policy === "subject" || (!mustAsk && spent.outcome.kind === "empty")
          ? undefined
          : revoked(leases.revocations(charge)?.denied ?? missingRevocations());
      if (refusal !== undefined) {
        if (!mustAsk) leases.update(charge, counted);
        return err(refusal);
      }
      const { lease, outcome } = spent;
      leases.update(charge, lease);
      switch (outcome.kind) {
        case "spent":
          if (renewalDue(lease, clock())) renewAhead(charge);
          return ok({ charge, budget: outcome.budget, source: outcome.source });
        case "exhausted":
          return err(outcome.exhausted);
        case "empty":
          // A timer of this request: work that goes on after another request's promise can run in that request's
          // context (ADR 55).
          wait();
          await scheduler.wait(lookMilliseconds);
          counted = leases.get(charge);
      }
    }
    throw new Error("the client's guard does not answer");
  };
  return {
    async spend(spends, revoked) {
      const [only, ...further] = spends;
      if (only === undefined) return ok([]);
      if (further.length === 0) {
        const spent = await spendOne(only, revoked);
        return spent.ok ? ok([spent.value.budget]) : spent;
      }
      for (const charge of spends) {
        const { outcome } = spend(leases.get(charge), charge.many, clock());
        if (outcome.kind !== "exhausted") continue;
        // The exhaustion is known without a call. A caller that goes on asking takes nothing of the other
        // quota, even for a moment, and causes no guard call.
        leases.set(charge, demanded(leases.get(charge), charge.many, clock()));
        const refusal =
          charge.policy === "subject"
            ? undefined
            : revoked(leases.revocations(charge)?.denied ?? missingRevocations());
        return err(refusal ?? outcome.exhausted);
      }
      const results = await Promise.all(spends.map((charge) => spendOne(charge, revoked)));
      const refused = results.find((result) => !result.ok);
      const spent = results.flatMap((result) => (result.ok ? [result.value] : []));
      if (refused === undefined) return ok(spent.map(({ budget }) => budget));
      for (const { charge, source } of spent)
        leases.set(charge, putBack(leases.get(charge), charge.many, source));
      return refused;
    },
    async renew(charge, revoked) {
      const known = budgetState(leases.get(charge), clock());
      if (known?.alive !== true) await ask(charge, 0);
      const refusal = revoked(leases.revocations(charge)?.denied ?? missingRevocations());
      if (refusal !== undefined) return err(refusal);
      // alive when the guard answered, even in the last moment of a window
      const latest = known?.alive === true ? known : budgetState(leases.get(charge), clock());
      if (latest === undefined) throw new Error("the client's guard answered too late");
      return ok(latest.budget);
    },
  };
}

interface Spent {
  readonly charge: Spend;
  readonly budget: Budget;
  readonly source: Source;
}

function missingRevocations(): never {
  throw new Error("a lease came without revocations");
}

/** A call to the guard, from beginning the ask to settling it. Throws when the guard cannot be reached. */
function asker(
  { guards, clock, newId, onUpdate, onLease }: GuardLimiterOptions,
  leases: IsolateLeases,
): (charge: Spend, least: number) => Promise<LeaseAnswer> {
  let holder: string | undefined; // made in the first request: a Worker has no randomness before
  const clientLease = async (charge: Spend, call: LeaseCall): Promise<LeaseAnswer> => {
    const { client, issuer, home } = charge;
    const since = leases.revocations(charge)?.epoch;
    const listener = { client, issuer, ...(since !== undefined && { since }) };
    const askedAt = clock();
    const { answer, news, newsAgeMilliseconds } = await send(
      () => guardStub(guards, client, home),
      (guard) => guard.lease(call, listener),
    );
    const before = leases.revocations(charge);
    const applied = applyUpdate(before, news, clock());
    if (applied === undefined) throw new Error("revocation deltas were missed");
    leases.setRevocations(charge, applied.state);
    onUpdate({
      client,
      standing: applied.state,
      stale: applied.stale,
      after: news.kind === "deltas" ? before?.epoch : undefined,
      asOf: instant(askedAt - newsAgeMilliseconds),
    });
    return answer;
  };
  return async (charge, least) => {
    holder ??= newId();
    const id = newId();
    const { lease, call } = beginAsk(leases.get(charge), id, least, clock());
    leases.set(charge, lease);
    const since = clock();
    try {
      const answer = await (charge.policy === "subject"
        ? subjectLease(guards, charge, { id, holder, quota: charge.quota, ...call })
        : clientLease(charge, {
            id,
            holder,
            key: charge.policy === "default" ? charge.key : `${charge.key} ${charge.policy}`,
            quota: charge.quota,
            ...call,
          }));
      leases.set(charge, settleAsk(leases.get(charge), id, answer, clock()));
      onLease?.(answer.denyMilliseconds === undefined ? "granted" : "exhausted", clock() - since);
      return answer;
    } catch (fault) {
      onLease?.("failed", clock() - since);
      leases.set(charge, abandonAsk(leases.get(charge), id));
      throw fault;
    }
  };
}

/**
 * Each subject is counted by one of the client's further guards, under a hash. A client's id has no space.
 */
function subjectLease(
  guards: NamedGuards<Guard>,
  { client, key, subject, home }: Spend & { readonly policy: "subject" },
  call: Omit<LeaseCall, "key">,
): Promise<LeaseAnswer> {
  const hash = createHash("sha256").update(subject).digest();
  const name = `${client} ${(hash[0] ?? 0) % subjectGuards}`;
  return send(
    () => guardStub(guards, name, home),
    (guard) => guard.leaseOfSubject({ ...call, key: `${key} ${hash.toString("base64url")}` }),
  );
}

/** Both tries have the same id, and end with the guard's deadline. */
const send = <T>(newStub: () => Guard, ask: (guard: Guard) => Promise<T>): Promise<T> =>
  inTime("guard", () => pastReset(newStub, ask));
