import { AsyncLocalStorage } from "node:async_hooks";
import { within } from "./within.ts";

/**
 * Every part of our own that a request of the gateway waits for, with the milliseconds for which it waits. A call
 * that takes longer is a fault: 503 with `Retry-After`, and nothing is disclosed. The row says what a late answer
 * means. docs/runbook.md has the table for operators.
 */
export const deadlines = {
  /** One try of an append; a second try asks the same log. A late append is the same record: it has the same event id and step. */
  ledger: 2_500,
  /** The answer has no proof; the record stands. A lease may be 7 s old by then, and two tries and a wait fit in 10 s. */
  ledgerProof: 800,
  /** A lease, a renewal, denials, a used assertion. A late grant counts as spent; a late assertion is used up. */
  guard: 2_000,
  /** A read of D1. A copy that is young enough is used in its place. */
  registry: 3_000,
  /** The Consents of patients. Who needs them is refused; a late answer is not kept. */
  consents: 2_000,
  /** The turn to read Consents at an origin, and their filing. A late filing is in force. */
  consentReadings: 5_000,
  /** A Consent filed, a review opened, a token revoked. The late effect is in force; each may be repeated. */
  control: 5_000,
  /** An operator's act. A late act is done, and on record as begun. */
  desk: 30_000,
  /** The claim of an idempotency key ends by itself. */
  requestKeys: 2_000,
  /** The lease of a row ends by itself. */
  rowLeases: 2_000,
  /** The codes of a page. A late code is made, and the row has it at the next call. */
  codes: 5_000,
  /** An export begun, found or ended. A late beginning is no export that the client knows: it ends within a day. */
  exports: 5_000,
  /** The head of an answer of `jobs`: a file has it with its first page. Rows of a late page are on record, and do not leave. */
  jobs: 60_000,
  /** An accounting reads all shelves of a patient. */
  accounting: 20_000,
  /** Sums after an answer: they are lost. */
  elementCounts: 10_000,
  /** A sign of life, or states for `/readyz`: shown as not answering. */
  readiness: 2_000,
  /** The states of origins: their own two seconds, and the registry. */
  originStates: 4_000,
} as const satisfies Readonly<Record<string, number>>;

export type OwnPart = keyof typeof deadlines;

// All parts together, for one request: it covers a few slow answers. Then each further call has a short deadline
// only, so a part that answers as usual still serves, and a batch over a frozen part ends.
const requestMilliseconds = 10_000;
const shortMilliseconds = 500;
// Calls of an isolate that wait for one part. A waiting request holds some 30 KB, and an isolate has 128 MB.
const waitingMax = 1_536;
// The ledger's queue refuses requests at their arrival (LedgerQueue): the outcome of a write always gets its try.
// Signs of life are kept for a second.
const unbounded: ReadonlySet<OwnPart> = new Set<OwnPart>(["ledger", "readiness"]);

/** These parts have a budget of their own for a request. */
const ofOwnBudget: ReadonlySet<OwnPart> = new Set<OwnPart>(["jobs"]);

/** Too many calls of this isolate wait for a part: this call was not made. */
export class PartBusy extends Error {
  override readonly name: string;

  constructor(part: OwnPart) {
    super(`${part}: too many calls wait`);
    this.name = `PartBusy ${part}`;
  }
}

/** The time in which calls ran. Calls side by side count once. */
class CallTime {
  #milliseconds = 0;
  #pending = 0;
  #since = 0;

  until(now: number): number {
    return this.#milliseconds + (this.#pending > 0 ? Math.max(0, now - this.#since) : 0);
  }

  begin(now: number): void {
    if (this.#pending === 0) this.#since = now;
    this.#pending += 1;
  }

  end(now: number): void {
    this.#pending -= 1;
    if (this.#pending === 0) this.#milliseconds += Math.max(0, now - this.#since);
  }
}

/** The waits of a request. */
class Waited {
  /** The parts of our own. */
  readonly parts = new CallTime();
  readonly origins = new CallTime();
  #isAnswered = false;

  /** A long answer has its head, and each of its windows has a deadline of its own. */
  answered(): void {
    this.#isAnswered = true;
  }

  left(now: number): number {
    return this.#isAnswered ? Infinity : requestMilliseconds - this.parts.until(now);
  }
}

const waited = new AsyncLocalStorage<Waited>();

/** Answers a request within its budget for the parts of our own. */
export async function withinBudget<T>(answer: () => T | Promise<T>): Promise<T> {
  const request = new Waited();
  try {
    return await waited.run(request, answer);
  } finally {
    request.answered();
  }
}

/** Begins a call of an origin for this request, and returns how to end it. */
export function originCallBegins(now: number): (now: number) => void {
  const origins = waited.getStore()?.origins;
  origins?.begin(now);
  return (later) => origins?.end(later);
}

/** The milliseconds in which a call of an origin ran for this request. */
export const originMilliseconds = (now: number): number => waited.getStore()?.origins.until(now) ?? 0;

interface WaitingCall {
  readonly until: number;
}

/** The calls that wait for a part. A call of a request that was cancelled never ends: it counts for its deadline. */
class Waiting {
  readonly #part: OwnPart;
  readonly #calls = new Set<WaitingCall>();

  constructor(part: OwnPart) {
    this.#part = part;
  }

  take(now: number): WaitingCall {
    const longest = now + deadlines[this.#part];
    if (this.#calls.size >= waitingMax)
      // later than any deadline: the clock was set back
      for (const call of this.#calls) if (call.until <= now || call.until > longest) this.#calls.delete(call);
    if (this.#calls.size >= waitingMax) throw new PartBusy(this.#part);
    const call = { until: longest };
    this.#calls.add(call);
    return call;
  }

  give(call: WaitingCall): void {
    this.#calls.delete(call);
  }
}

const waiting = new Map<OwnPart, Waiting>();

function waitingFor(part: OwnPart): Waiting | undefined {
  if (unbounded.has(part)) return undefined;
  const known = waiting.get(part) ?? new Waiting(part);
  waiting.set(part, known);
  return known;
}

/**
 * The only way to call a part of our own (test/platform/deadlines.test.ts): its answer, or an error when it is late,
 * or when as many calls wait for it as this isolate may hold.
 */
export async function inTime<T>(part: OwnPart, call: () => Promise<T>): Promise<T> {
  const now = Date.now();
  const calls = waitingFor(part);
  const slot = calls?.take(now);
  const request = ofOwnBudget.has(part) ? undefined : waited.getStore();
  const milliseconds = Math.min(deadlines[part], Math.max(shortMilliseconds, request?.left(now) ?? Infinity));
  request?.parts.begin(now);
  try {
    return await within(milliseconds, call(), `${part}: no answer in time`);
  } finally {
    if (slot !== undefined) calls?.give(slot);
    request?.parts.end(Date.now());
  }
}

/** A part that is called by RPC, each call in its time. */
export const partInTime = <Stub extends object>(part: OwnPart, stub: Stub): Stub =>
  new Proxy(stub, {
    get:
      (target, method) =>
      (...args: readonly unknown[]) =>
        // a stub has any method that its entry point has
        inTime(part, async () => await Reflect.apply(Reflect.get(target, method) as Method, target, args)),
  });

type Method = (...args: readonly unknown[]) => Promise<unknown>;
