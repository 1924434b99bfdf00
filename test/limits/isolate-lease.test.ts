import * as fc from "fast-check";
import { test } from "vitest";
import { instant } from "#kernel/clock";
import { GrantWindows } from "#limits/grant-windows";
import { LeaseBook } from "#limits/lease";
import { SubjectWindows } from "#limits/subject-windows";
import type { LeaseAnswer, LeaseCall } from "#limits/lease-call";
import {
  abandonAsk,
  beginAsk,
  demanded,
  emptyLease,
  mayAsk,
  putBack,
  renewalDue,
  settleAsk,
  spend,
  spendAnswered,
  budgetState,
  type IsolateLease,
  type Source,
} from "#limits/isolate-lease";
import type { StoredWindow } from "#limits/window";

const start = 60_000_000;
const at = (milliseconds: number) => instant(start + milliseconds);
const answer = (more: Partial<LeaseAnswer> = {}): LeaseAnswer => ({
  granted: 10,
  limit: 1_000,
  remaining: 900,
  windowSeconds: 60,
  windowStart: at(0),
  windowMillisecondsLeft: 60_000,
  lifeMilliseconds: 5_000,
  incarnation: "one",
  ...more,
});
/** A lease that was asked for at 0 and answered 40 ms later. */
const leased = (more: Partial<LeaseAnswer> = {}): IsolateLease =>
  settleAsk(beginAsk(emptyLease("default", at(0)), "first", 1, at(0)).lease, "first", answer(more), at(40));
const busy = (lease: IsolateLease, requests: number, now: number): IsolateLease =>
  Array.from({ length: requests }).reduce<IsolateLease>((busier) => demanded(busier, 1, at(now)), lease);

test("a lease is spent token by token, and reports the remaining quota as far as it knows", ({ expect }) => {
  const { lease, outcome } = spend(leased(), 1, at(100));
  expect(outcome).toMatchObject({
    kind: "spent",
    budget: {
      policy: "default",
      limit: 1_000,
      windowSeconds: 60,
      remaining: 909,
      resetSeconds: 60,
      livesUntil: at(4_750),
    },
  });
  expect(lease.tokens).toBe(9);
});

test("a lease lives five seconds less the clock drift from the time it was asked for, however late its answer came", ({
  expect,
}) => {
  const late = settleAsk(
    beginAsk(emptyLease("default", at(0)), "x", 1, at(0)).lease,
    "x",
    answer(),
    at(1_900),
  );
  expect(spend(late, 1, at(4_749)).outcome.kind).toBe("spent");
  expect(spend(late, 1, at(4_750)).outcome.kind).toBe("empty");
  expect(budgetState(late, at(4_750))?.alive).toBe(false);
});

test("a clock that steps back before the lease was asked for ends it", ({ expect }) => {
  expect(spend(leased(), 1, at(-50)).outcome.kind, "two requests may see times that far apart").toBe("spent");
  expect(spend(leased(), 1, at(-101)).outcome.kind).toBe("empty");
});

test("the window's end is reported as late as it may be, and a lease ends as early as it may", ({
  expect,
}) => {
  const ending = leased({ windowMillisecondsLeft: 2_980, lifeMilliseconds: 2_980 });
  expect(spend(ending, 1, at(40)).outcome).toMatchObject({
    kind: "spent",
    budget: { resetSeconds: 3, livesUntil: at(2_730) },
  });
  expect(spend(ending, 1, at(2_730)).outcome.kind).toBe("empty");
});

test("a denial is remembered as long as the guard said, never past its window, and refuses without a call", ({
  expect,
}) => {
  const denied = leased({ granted: 0, remaining: 0, denyMilliseconds: 1_000 });
  const { outcome } = spend(denied, 1, at(1_039));
  expect(outcome).toMatchObject({
    kind: "exhausted",
    exhausted: { reason: "quota_exhausted", remaining: 0, retryAfterSeconds: 60 },
  });
  expect(spend(denied, 1, at(1_040)).outcome.kind).toBe("empty");
  const ending = leased({
    granted: 0,
    remaining: 0,
    denyMilliseconds: 300,
    windowMillisecondsLeft: 300,
    lifeMilliseconds: 4_000,
  });
  expect(spend(ending, 1, at(299)).outcome.kind).toBe("exhausted");
  expect(spend(ending, 1, at(300)).outcome.kind, "the next window may have tokens").toBe("empty");
});

test("an answer serves the request that asked even if the window ends before the lease could live", ({
  expect,
}) => {
  const ending = answer({ granted: 1, windowMillisecondsLeft: 100, lifeMilliseconds: 100 });
  const lease = settleAsk(beginAsk(emptyLease("default", at(0)), "x", 1, at(0)).lease, "x", ending, at(40));
  expect(spend(lease, 1, at(40)).outcome.kind).toBe("empty");
  expect(spendAnswered(lease, 1, ending, at(40))).toMatchObject({
    outcome: { kind: "spent" },
    lease: { tokens: 0 },
  });
});

test("returned tokens leave the lease before they are sent, and name their window and incarnation", ({
  expect,
}) => {
  const { lease, call } = beginAsk(leased(), "back", 0, at(6_000));
  expect(call).toMatchObject({ returned: 10, incarnation: "one", windowStart: at(0) });
  expect(lease.tokens).toBe(0);
  expect(
    spend(abandonAsk(lease, "back"), 1, at(6_000)).outcome.kind,
    "a call that failed brings nothing back",
  ).toBe("empty");
});

test("a living lease keeps the tokens that it will spend: it asks for the missing tokens and returns only the surplus", ({
  expect,
}) => {
  expect(beginAsk(busy(leased(), 30, 2_500), "more", 0, at(2_500)).call).toEqual({
    want: 20,
    need: 0,
    returned: 0,
  });
  expect(beginAsk(busy(leased(), 2, 2_500), "less", 0, at(2_500)).call).toMatchObject({
    want: 0,
    returned: 6,
  });
});

test("tokens that a call under way has asked for are not asked for again", ({ expect }) => {
  let lease = busy(emptyLease("default", at(0)), 6, 0);
  const wants = ["a", "b", "c"].map((id) => {
    const begun = beginAsk(lease, id, 1, at(0));
    ({ lease } = begun);
    return begun.call.want;
  });
  expect(wants).toEqual([6, 1, 1]);
});

test("eight requests ask at once and no more, until a call is two seconds old", ({ expect }) => {
  let lease = emptyLease("default", at(0));
  for (let n = 0; n < 8; n += 1) {
    expect(mayAsk(lease, at(0))).toBe(true);
    ({ lease } = beginAsk(lease, `${n}`, 1, at(0)));
  }
  expect(mayAsk(lease, at(1_999))).toBe(false);
  expect(mayAsk(lease, at(2_000))).toBe(true);
});

test("a lease is renewed from half its life on, by a single request at a time", ({ expect }) => {
  expect(renewalDue(leased(), at(2_499))).toBe(false);
  expect(renewalDue(leased(), at(2_500))).toBe(true);
  expect(renewalDue(beginAsk(leased(), "renewing", 0, at(2_500)).lease, at(2_501))).toBe(false);
  expect(renewalDue(leased(), at(4_750)), "a dead lease: a request that needs a token asks").toBe(false);
});

test("a renewal comes early if the remaining tokens would be spent before its answer", ({ expect }) => {
  const slow = settleAsk(
    beginAsk(emptyLease("default", at(0)), "x", 1, at(0)).lease,
    "x",
    answer({ granted: 3 }),
    at(400),
  );
  expect(renewalDue(busy(slow, 10, 400), at(400)), "10 requests in 5 s are 1.2 in 600 ms").toBe(false);
  expect(renewalDue(busy(slow, 60, 400), at(400)), "60 requests in 5 s are 7.2 in 600 ms").toBe(true);
});

test("nothing is asked for ahead from a quota so small that a lease is a single token", ({ expect }) => {
  expect(renewalDue(busy(leased({ limit: 39 }), 60, 2_500), at(2_500))).toBe(false);
  expect(renewalDue(busy(leased({ limit: 40 }), 60, 2_500), at(2_500))).toBe(true);
});

test("answers that overtake each other add up only within the same window and incarnation", ({ expect }) => {
  let { lease } = beginAsk(emptyLease("default", at(0)), "old", 1, at(0));
  ({ lease } = beginAsk(lease, "new", 1, at(10)));
  lease = settleAsk(lease, "new", answer({ granted: 4, remaining: 50 }), at(60));
  expect(settleAsk(lease, "old", answer({ granted: 3, remaining: 54 }), at(70))).toMatchObject({
    tokens: 7,
    latest: { answer: { remaining: 50 } },
  });
  expect(
    settleAsk(lease, "old", answer({ granted: 3, windowStart: at(-60_000) }), at(70)).tokens,
    "of the last window",
  ).toBe(4);
  expect(
    settleAsk(lease, "old", answer({ granted: 3, incarnation: "zero" }), at(70)).tokens,
    "of a guard that died",
  ).toBe(4);
  ({ lease } = beginAsk(lease, "next", 1, at(80)));
  expect(
    settleAsk(lease, "next", answer({ granted: 2, incarnation: "two" }), at(90)).tokens,
    "of the guard that lives now",
  ).toBe(2);
});

test("an answer that comes after its call has expired adds nothing", ({ expect }) => {
  let { lease } = beginAsk(emptyLease("default", at(0)), "slow", 1, at(0));
  ({ lease } = beginAsk(lease, "other", 1, at(2_100)));
  expect(settleAsk(lease, "slow", answer(), at(2_200)).tokens).toBe(0);
});

test("records are spent all at once or not at all: missing tokens are asked for, and needed tokens do not go back", ({
  expect,
}) => {
  expect(spend(leased(), 10, at(100)).lease.tokens).toBe(0);
  expect(spend(leased(), 11, at(100))).toMatchObject({ outcome: { kind: "empty" }, lease: { tokens: 10 } });
  expect(beginAsk(leased(), "missing", 400, at(100)).call).toEqual({ want: 390, need: 390, returned: 0 });
  expect(beginAsk(leased(), "from nothing", 400, at(6_000)).call).toMatchObject({
    want: 400,
    need: 400,
    returned: 10,
  });
});

test("a request that wants too much is refused with the remaining budget, and a smaller request is served or asks", ({
  expect,
}) => {
  const denied = leased({ granted: 0, remaining: 30, denyMilliseconds: 1_000 });
  const { outcome } = spend({ ...denied, policy: "records", tokens: 4 }, 35, at(100));
  expect(outcome).toMatchObject({
    kind: "exhausted",
    exhausted: { policy: "records", reason: "record_quota_exhausted", remaining: 34 },
  });
  expect(spend({ ...denied, tokens: 4 }, 34, at(100)).outcome.kind, "the guard has thirty").toBe("empty");
  expect(spend({ ...denied, tokens: 4 }, 4, at(100)).outcome.kind).toBe("spent");
});

test("tokens spent in vain go back only into the lease of the same window", ({ expect }) => {
  const { lease, outcome } = spend(leased(), 3, at(100));
  if (outcome.kind !== "spent") throw new Error("a full lease");
  expect(putBack(lease, 3, outcome.source).tokens).toBe(10);
  expect(putBack({ ...leased({ incarnation: "two" }), tokens: 0 }, 3, outcome.source).tokens).toBe(0);
  expect(putBack({ ...leased({ windowStart: at(60_000) }), tokens: 0 }, 3, outcome.source).tokens).toBe(0);
  expect(putBack(emptyLease("default", at(200)), 3, outcome.source).tokens).toBe(0);
});

type Step =
  | { readonly do: "request"; readonly who: number; readonly many: number }
  | { readonly do: "renew" | "evict" | "put back"; readonly who: number }
  | { readonly do: "carry" | "repeat" | "answer" | "lose" | "cancel"; readonly which: number }
  | { readonly do: "wait"; readonly milliseconds: number; readonly clock: number }
  | { readonly do: "restart" };

const pick = fc.nat(3);
const who = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 30,
    // A single request, or the records of an answer.
    arbitrary: fc.record({
      do: fc.constant("request" as const),
      who,
      many: fc.oneof(
        { weight: 3, arbitrary: fc.constant(1) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 12 }) },
      ),
    }),
  },
  { weight: 12, arbitrary: fc.record({ do: fc.constant("carry" as const), which: pick }) },
  { weight: 12, arbitrary: fc.record({ do: fc.constant("answer" as const), which: pick }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("renew" as const), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("repeat" as const), which: pick }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom("lose" as const, "cancel" as const), which: pick }),
  },
  {
    weight: 4,
    // `whose` 3 moves every clock; 0 to 2 makes an isolate's clock drift away from the guard's.
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      milliseconds: fc.integer({ min: -300, max: 1_500 }),
      clock: fc.nat(9),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("evict" as const), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("put back" as const), who }) },
);

interface Sent {
  readonly call: LeaseCall;
  readonly who: number;
  readonly least: number;
}

interface Spent {
  readonly who: number;
  readonly many: number;
  readonly window: number;
  readonly source: Source;
}

interface Answered extends Sent {
  readonly answer: LeaseAnswer;
}

/**
 * A guard, three isolates with their leases and clocks, and the calls and answers between them, each moved
 * by a step.
 */
class Network {
  readonly admitted = new Map<number, number>();
  readonly #stored = new Map<string, StoredWindow>();
  readonly #leases: IsolateLease[];
  readonly #skews = [0, 0, 0];
  readonly #sent: Sent[] = [];
  readonly #calls: Sent[] = [];
  readonly #answers: Answered[] = [];
  readonly #spent: Spent[] = [];
  #subjects = new SubjectWindows([]);
  #book: LeaseBook;
  #made = 0;
  #now = start;
  readonly #quota: LeaseCall["quota"];

  readonly #kind: "grant" | "subject";

  constructor(requests: number, kind: "grant" | "subject") {
    this.#quota = { requests, windowSeconds: 60, revision: 1 };
    this.#leases = [0, 1, 2].map(() => emptyLease("default", at(0)));
    this.#kind = kind;
    this.#book = this.#begin();
  }

  step(step: Step): void {
    switch (step.do) {
      case "request":
        return this.#request(step.who, step.many);
      case "put back":
        return this.#putBack(step.who);
      case "renew":
        if (renewalDue(this.#lease(step.who), this.#time(step.who))) this.#ask(step.who, 0);
        return;
      case "evict":
        this.#leases[step.who] = emptyLease("default", this.#time(step.who));
        return;
      case "carry":
        for (const call of this.#calls.splice(step.which % Math.max(1, this.#calls.length), 1))
          this.#answers.push(this.#carry(call));
        return;
      case "repeat": {
        const old = this.#sent.at(-1 - step.which);
        // the retry gets the same answer; two answers would need two calls
        if (old !== undefined) this.#carry(old);
        return;
      }
      case "answer":
        for (const each of this.#answers.splice(step.which % Math.max(1, this.#answers.length), 1))
          this.#answer(each);
        return;
      case "lose":
        for (const { who, call } of this.#answers.splice(step.which % Math.max(1, this.#answers.length), 1))
          this.#leases[who] = abandonAsk(this.#lease(who), call.id);
        return;
      case "cancel":
        this.#answers.splice(step.which % Math.max(1, this.#answers.length), 1);
        return;
      case "wait":
        if (step.clock < 3) this.#skews[step.clock] = (this.#skews[step.clock] ?? 0) + step.milliseconds;
        else this.#now += step.milliseconds;
        return this.#forget();
      case "restart":
        this.#made += 1;
        this.#book = this.#begin();
        return;
    }
  }

  /** Every isolate asks until the guard has nothing more. */
  drain(): void {
    for (let n = 0; n < 500; n += 1) {
      this.#request(n % 3, 1);
      for (const call of this.#calls.splice(0)) this.#answers.push(this.#carry(call));
      for (const answer of this.#answers.splice(0)) this.#answer(answer);
    }
  }

  get #key(): string {
    return this.#kind === "grant" ? "main/TREAT" : "main/TREAT subject";
  }

  #begin(): LeaseBook {
    const stored = [...this.#stored.values()];
    this.#subjects = new SubjectWindows(stored);
    if (this.#kind === "subject") return new LeaseBook(`${this.#made}`, this.#subjects, 2);
    return new LeaseBook(`${this.#made}`, new GrantWindows(stored));
  }

  #forget(): void {
    if (this.#kind === "grant") return;
    const { forgotten, kept } = this.#subjects.forgetEnded(instant(this.#now));
    for (const key of forgotten) this.#stored.delete(key);
    for (const row of kept) this.#stored.set(row.key, row);
  }

  #time = (who: number) => instant(this.#now + (this.#skews[who] ?? 0));
  #lease = (who: number) => this.#leases[who] ?? emptyLease("default", this.#time(who));

  #request(who: number, many: number): void {
    this.#leases[who] = demanded(this.#lease(who), many, this.#time(who));
    this.#settle(who, many, spend(this.#lease(who), many, this.#time(who)));
  }

  #settle(who: number, many: number, { lease, outcome }: ReturnType<typeof spend>): void {
    const window = lease.latest?.answer.windowStart ?? 0;
    this.#leases[who] = lease;
    if (outcome.kind === "spent") {
      this.#count(window, many);
      this.#spent.push({ who, many, window, source: outcome.source });
    }
    if (outcome.kind === "empty" && mayAsk(lease, this.#time(who))) this.#ask(who, many);
  }

  /** A second quota refused the last request of an isolate: it does not count as admitted any more. */
  #putBack(who: number): void {
    const index = this.#spent.findLastIndex((each) => each.who === who);
    for (const { many, window, source } of index < 0 ? [] : this.#spent.splice(index, 1)) {
      this.#leases[who] = putBack(this.#lease(who), many, source);
      this.#count(window, -many);
    }
  }

  #count(window: number, many: number): void {
    this.admitted.set(window, (this.admitted.get(window) ?? 0) + many);
  }

  #ask(who: number, least: number): void {
    this.#made += 1;
    const { lease, call } = beginAsk(this.#lease(who), `${this.#made}`, least, this.#time(who));
    this.#leases[who] = lease;
    const made = {
      call: { id: `${this.#made}`, holder: `${who}`, key: this.#key, quota: this.#quota, ...call },
      who,
      least,
    };
    this.#sent.push(made);
    this.#calls.push(made);
  }

  #carry(sent: Sent): Answered {
    const { answer, store } = this.#book.lease(sent.call, instant(this.#now), instant(this.#now));
    if (store !== undefined) this.#stored.set(store.key, store);
    return { ...sent, answer };
  }

  #answer({ who, call, answer, least }: Answered): void {
    this.#leases[who] = settleAsk(this.#lease(who), call.id, answer, this.#time(who));
    if (least > 0) this.#settle(who, least, spendAnswered(this.#lease(who), least, answer, this.#time(who)));
  }
}

test("with calls interleaved, repeated, lost or cancelled, guards restarted and clocks skewed, no window admits more than its quota", ({
  expect,
}) => {
  let full = 0;
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 200, maxLength: 400, size: "max" }),
      // lost leases would hide tokens that are granted twice
      fc.subarray(["repeat", "lose", "cancel", "restart", "evict", "put back"] satisfies Step["do"][]),
      fc.oneof(fc.integer({ min: 1, max: 24 }), fc.integer({ min: 40, max: 140 })),
      fc.constantFrom("grant" as const, "subject" as const),
      (steps, troubles, requests, kind) => {
        const network = new Network(requests, kind);
        const happens = new Set<Step["do"]>(["request", "renew", "carry", "answer", "wait", ...troubles]);
        for (const each of steps) if (happens.has(each.do)) network.step(each);
        network.drain();
        for (const [window, count] of network.admitted) {
          expect(count, `window ${window}`).toBeLessThanOrEqual(requests);
          if (count === requests) full += 1;
        }
      },
    ),
    { numRuns: 500 },
  );
  expect(
    full,
    "windows used to the last request, so that a single extra request would be seen",
  ).toBeGreaterThan(30);
});
