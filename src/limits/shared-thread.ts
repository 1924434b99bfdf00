import { instant, type Clock, type Instant } from "#kernel/clock";
import { Bulkhead } from "./bulkhead.ts";

// A unit is a byte that the engine cuts: some 40 MB are a second of the thread. A unit counts what a client sends, asks
// for and gets. The cost of a hidden row is in no unit: a wait of the client would tell of the row.
const requestUnits = 16_384;
/** For each row of a page that a client asks for, whatever the origin sends. */
export const rowUnits = 1_024;
/** For each byte of content: it is parsed, merged, judged as readers judge it, and written out. */
export const contentUnits = 16;

const windowMilliseconds = 1_000;
// In one to two windows, a fifth of the thread: below, the isolate has time for everybody.
const busyUnits = 16_777_216;
// A client above its part has requests of this worth under way together, by their mean of late: 50 reads, or one page
// of a megabyte.
const underWayUnits = 1_048_576;
const waitingMax = 64;
const lookMilliseconds = 50;
const patienceMilliseconds = 10_000;
/** A request that never reports its end counts for this time. */
const silentMilliseconds = 120_000;

/** The client has had more than its part of the isolate's thread, and has waited for a turn in vain. */
export class ThreadBusy extends Error {
  override readonly name = "ThreadBusy";
}

interface Cost {
  units: number;
  requests: number;
}

/** The work of the clients of an isolate in a window of time. */
class Costs {
  readonly ofClients = new Map<string, Cost>();
  units = 0;
}

/**
 * The one thread of an isolate. While the isolate is busy, a client that had more than an equal part of the work of
 * late has few requests under way: its further requests wait, and every other client's next step comes soon. A client
 * alone never waits.
 */
export class SharedThread {
  readonly #clock: Clock;
  readonly #wait: (milliseconds: number) => Promise<void>;
  readonly #underWay = new Bulkhead();
  readonly #waiting = new Bulkhead();
  #now = new Costs();
  #before = new Costs();
  #until: Instant = instant(0);

  constructor(clock: Clock, wait: (milliseconds: number) => Promise<void>) {
    this.#clock = clock;
    this.#wait = wait;
  }

  /** Counts the work of a client's request. */
  charge(client: string, units: number, requests = 0): void {
    const { ofClients } = this.#window();
    this.#now.units += units;
    const cost = ofClients.get(client);
    if (cost === undefined) ofClients.set(client, { units, requests });
    else [cost.units, cost.requests] = [cost.units + units, cost.requests + requests];
  }

  /** Waits for a turn of a client's request. Throws {@link ThreadBusy}. @returns ends the request. */
  async enter(client: string): Promise<() => void> {
    const end = this.#begin(client) ?? (await this.#waited(client));
    this.charge(client, requestUnits, 1);
    return end;
  }

  async #waited(client: string): Promise<() => void> {
    const until = this.#clock() + patienceMilliseconds;
    const leave = this.#take(this.#waiting, client, waitingMax, 2 * patienceMilliseconds);
    if (leave === undefined) throw new ThreadBusy();
    try {
      while (this.#clock() < until) {
        await this.#wait(lookMilliseconds); // a timer of this request: no request awaits another's promise
        const end = this.#begin(client);
        if (end !== undefined) return end;
      }
    } finally {
      leave();
    }
    throw new ThreadBusy();
  }

  #begin(client: string): (() => void) | undefined {
    return this.#take(this.#underWay, client, this.#mostAtOnce(client), silentMilliseconds);
  }

  #take(
    among: Bulkhead,
    client: string,
    concurrentPerClient: number,
    timeoutMilliseconds: number,
  ): (() => void) | undefined {
    const limits = { concurrent: Infinity, concurrentPerClient, timeoutMilliseconds };
    const slot = among.take(client, limits, this.#clock());
    return typeof slot === "string" ? undefined : () => among.give(slot);
  }

  #mostAtOnce(client: string): number {
    const [now, before] = [this.#window(), this.#before];
    const all = now.units + before.units;
    if (all < busyUnits) return Infinity;
    const [one, two] = [now.ofClients.get(client), before.ofClients.get(client)];
    const units = (one?.units ?? 0) + (two?.units ?? 0);
    const clients = new Set([...now.ofClients.keys(), ...before.ofClients.keys()]).size;
    if (units * clients <= all) return Infinity;
    const requests = (one?.requests ?? 0) + (two?.requests ?? 0);
    return Math.max(1, Math.floor((underWayUnits * requests) / units));
  }

  #window(): Costs {
    const at = this.#clock();
    if (at < this.#until) return this.#now;
    this.#before = at < this.#until + windowMilliseconds ? this.#now : new Costs();
    this.#now = new Costs();
    this.#until = instant(at + windowMilliseconds);
    return this.#now;
  }
}
