import type { ProofSink } from "#audit/ports";
import { type Clock, instant, type Instant } from "#kernel/clock";

/**
 * Too many requests of this isolate wait for the ledger. The request is refused with 503 and `Retry-After`,
 * before anything of its answer leaves. Such a refusal cannot be on record: the ledger is behind. The log
 * counts it by this name, like each fault.
 */
export class LedgerBusy extends Error {
  override readonly name = "LedgerBusy";
}

// At 400 requests a second and 20 ms for a record, eight requests wait. A request that waits keeps about 30 KB
// besides its answer.
const requestsMax = 512;
// A quarter of an isolate's 128 MB.
const bytesMax = 33_554_432;
/** A client's part of both limits: the rest is for further clients, however slow the ledger is. */
const clientPart = 1 / 2;
// Longer than any append takes. A request that was cancelled never reports the end of its wait.
const longestMilliseconds = 20_000;

interface Wait {
  /** Undefined of an append whose sender is no proven client. */
  readonly client: string | undefined;
  readonly bytes: number;
  readonly until: Instant;
}

/**
 * Bounds what an isolate holds for requests that wait for the ledger: without a bound a ledger that stops
 * answering for five seconds would take the isolate's memory, and all its requests with it.
 */
export class LedgerQueue {
  readonly #clock: Clock;
  readonly #appends = new Set<Wait>();
  readonly #answers = new Set<Wait>();
  #bytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Throws {@link LedgerBusy} when the queue is full: a request that arrives then would only add to it. */
  admit(): void {
    const isFull = () => this.#appends.size >= requestsMax || this.#bytes >= bytesMax;
    if (isFull() && this.#remains(isFull)) throw new LedgerBusy();
  }

  /** As {@link admit}, once the client is proven: the requests of a client fill half of the queue. */
  admitClient(client: string): void {
    const most = requestsMax * clientPart;
    const isFull = () =>
      [this.#appends, this.#answers].some((waits) => waits.size >= most && count(waits, client) >= most);
    if (isFull() && this.#remains(isFull)) throw new LedgerBusy();
  }

  /** The ledger for a request. Each append is in the queue until it is answered, and none is refused here. */
  counted(ledger: ProofSink): ProofSink {
    const counted = async <T>(client: string | undefined, appended: Promise<T>): Promise<T> => {
      const wait = this.#waitOf(client, 0);
      this.#appends.add(wait);
      try {
        return await appended;
      } finally {
        this.#appends.delete(wait);
      }
    };
    return {
      record: (events, sender) =>
        counted("client" in sender ? sender.client : undefined, ledger.record(events, sender)),
      recordOnce: (events, proof) => counted(proof.client, ledger.recordOnce(events, proof)),
    };
  }

  /**
   * Holds an answer until it is on record. Throws {@link LedgerBusy}, before the record, when the answers
   * that wait would be too large together, or the client's answers larger than half of it. The only answer, of all or of
   * the client, may have any size that the remaining answers leave room for.
   */
  async holding<T>(bytes: number, client: string | undefined, record: () => Promise<T>): Promise<T> {
    if (bytes > 0 && this.#isTooLarge(bytes, client)) throw new LedgerBusy();
    const wait = this.#waitOf(client, bytes);
    this.#answers.add(wait);
    this.#bytes += bytes;
    try {
      return await record();
    } finally {
      this.#end(wait);
    }
  }

  #waitOf(client: string | undefined, bytes: number): Wait {
    return { client, bytes, until: instant(this.#clock() + longestMilliseconds) };
  }

  #isTooLarge(bytes: number, client: string | undefined): boolean {
    const isOver = (held: number, most: number) => held > 0 && held + bytes > most;
    const own = () =>
      [...this.#answers].reduce((sum, wait) => sum + (wait.client === client ? wait.bytes : 0), 0);
    const most = bytesMax * clientPart;
    const isTooLarge = () =>
      isOver(this.#bytes, bytesMax) || (isOver(this.#bytes, most) && isOver(own(), most));
    return isTooLarge() && this.#remains(isTooLarge);
  }

  /** Asks again without the waits of cancelled requests. */
  #remains(isFull: () => boolean): boolean {
    const at = this.#clock();
    // later than the longest: the clock was set back
    const isLost = ({ until }: Wait) => until <= at || until > at + longestMilliseconds;
    for (const wait of this.#appends) if (isLost(wait)) this.#appends.delete(wait);
    for (const wait of this.#answers) if (isLost(wait)) this.#end(wait);
    return isFull();
  }

  #end(wait: Wait): void {
    if (this.#answers.delete(wait)) this.#bytes -= wait.bytes;
  }
}

function count(waits: ReadonlySet<Wait>, client: string): number {
  let own = 0;
  for (const wait of waits) if (wait.client === client) own += 1;
  return own;
}
