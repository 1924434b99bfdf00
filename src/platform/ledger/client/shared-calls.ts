import type { Clock, Instant } from "#kernel/clock";
import { answersOf, joinedTexts } from "#platform/ledger/append-text";
import { within } from "#platform/within";
import type { StubOf } from "./stubs.ts";

/** The Durable Object that appends to a log, with the events and the answers as text (platform/ledger/append-text). */
export interface TextLog {
  appendText(events: string): Promise<string>;
  /** Several appends in a call. */
  appendTexts(appends: string): Promise<string>;
}

export interface SharedCallsPorts {
  readonly logOf: StubOf<TextLog>;
  readonly clock: Clock;
  /** Lets a call go on when the sender of its request leaves: further requests wait for it. */
  readonly keepAlive: (work: Promise<unknown>) => void;
}

/** In place of an answer: send the append alone. */
export const alone = Symbol("alone");
/** In place of an answer: no call runs, begin one. */
const begin = Symbol("begin");

// A log answers within milliseconds. A call that takes longer may have ended with the request that made it.
const TURN_MS = 1_000;
const PATIENCE_MS = 5_000;
const LATE = "ledger: no answer in time";
// A commit of a log takes up to 256 leaves and 1 MiB; an append of a read has about one KiB.
const TOGETHER_MAX = 64;
// The runtime lets a request make a thousand calls. This many of them are for further requests.
const CALLS_MAX = 32;

/**
 * The appends of an isolate to its logs. While a call to a log runs, further appends wait, and the next call takes
 * all of them along: a call costs a tenth of a request's CPU. A request without company waits for nothing.
 *
 * The request that made a call goes on making calls until no append waits. The runtime may end it at any time:
 * an append that waits longer than a second for its turn is sent alone, and so is an append that failed in
 * company. A log records a repeated append once.
 */
export class SharedCalls {
  readonly #ports: SharedCallsPorts;
  readonly #logs = new Map<string, LogCalls>();

  constructor(ports: SharedCallsPorts) {
    this.#ports = ports;
  }

  /** The answer to an append. Throws the fault of its call, or an error after five seconds without an answer. */
  append(log: string, events: string): Promise<string | typeof alone> {
    let calls = this.#logs.get(log);
    if (calls === undefined) this.#logs.set(log, (calls = new LogCalls(log, this.#ports)));
    return calls.append(events);
  }
}

interface Waiting {
  readonly events: string;
  readonly answer: (answer: string | typeof alone | typeof begin) => void;
  readonly fail: (fault: unknown) => void;
}

class LogCalls {
  readonly #log: string;
  readonly #ports: SharedCallsPorts;
  #running: { readonly since: Instant } | undefined;
  #waiting: Waiting[] = [];

  constructor(log: string, ports: SharedCallsPorts) {
    this.#log = log;
    this.#ports = ports;
  }

  async append(events: string): Promise<string | typeof alone> {
    for (;;) {
      const now = this.#ports.clock();
      if (this.#running === undefined || now - this.#running.since >= TURN_MS)
        return this.#begin(events, now);
      const answer = await this.#turn(events);
      if (answer !== begin) return answer;
    }
  }

  #begin(events: string, since: Instant): Promise<string> {
    const running = { since };
    this.#running = running;
    const call = this.#ports.logOf(this.#log).appendText(events);
    this.#ports.keepAlive(this.#goOn(running, call));
    return within(PATIENCE_MS, call, LATE);
  }

  /** The timer is this request's own: it also shows the runtime that the request is not stuck. */
  async #turn(events: string): Promise<string | typeof alone | typeof begin> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      return await new Promise((answer, fail) => {
        const waiting = { events, answer, fail };
        this.#waiting.push(waiting);
        timer = setTimeout(() => {
          const place = this.#waiting.indexOf(waiting);
          if (place >= 0) {
            this.#waiting.splice(place, 1);
            answer(alone);
          } else timer = setTimeout(() => fail(new Error(LATE)), PATIENCE_MS - TURN_MS);
        }, TURN_MS);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  async #goOn(begun: { readonly since: Instant }, first: Promise<unknown>): Promise<void> {
    await first.catch(() => undefined); // the request that made the call handles its fault
    let running = begun;
    for (let calls = 0; this.#running === running; calls += 1) {
      if (this.#waiting.length === 0 || calls === CALLS_MAX) {
        this.#running = undefined;
        for (const { answer } of this.#waiting.splice(0)) answer(begin);
        return;
      }
      running = { since: this.#ports.clock() };
      this.#running = running;
      await this.#callFor(this.#waiting.splice(0, TOGETHER_MAX));
    }
  }

  async #callFor(together: readonly Waiting[]): Promise<void> {
    try {
      const log = this.#ports.logOf(this.#log);
      const answers = answersOf(await log.appendTexts(joinedTexts(together.map(({ events }) => events))));
      for (const [index, { answer }] of together.entries()) answer(answers[index] ?? alone);
    } catch (fault) {
      for (const { fail } of together) fail(fault);
    }
  }
}
