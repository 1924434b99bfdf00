import type { ProofSink } from "#audit/ports";

/**
 * Too many requests of this isolate wait for the ledger. The request is refused with 503 and `Retry-After`,
 * before anything of its answer leaves. Such a refusal cannot be on record: the ledger is behind. The log
 * counts it by this name, like each fault.
 */
export class LedgerBusy extends Error {
  override readonly name = "LedgerBusy";
  readonly retryAfterSeconds = 2;
}

// At 400 requests a second and 20 ms for a record, eight requests wait. A request that waits keeps about 30 KB
// besides its answer.
const requestsMax = 512;
// A quarter of an isolate's 128 MB.
const bytesMax = 33_554_432;

/**
 * Bounds what an isolate holds for requests that wait for the ledger: without a bound a ledger that stops
 * answering for five seconds would take the isolate's memory, and all its requests with it.
 */
export class LedgerQueue {
  #requests = 0;
  #bytes = 0;

  /** Throws {@link LedgerBusy} when the queue is full: a request that arrives then would only add to it. */
  admit(): void {
    if (this.#requests >= requestsMax || this.#bytes >= bytesMax) throw new LedgerBusy();
  }

  /** The ledger for a request. Each append is in the queue until it is answered, and none is refused here. */
  counted(ledger: ProofSink): ProofSink {
    const count = async <T>(appended: Promise<T>): Promise<T> => {
      this.#requests += 1;
      try {
        return await appended;
      } finally {
        this.#requests -= 1;
      }
    };
    return {
      record: (events, sender) => count(ledger.record(events, sender)),
      recordOnce: (events, proof) => count(ledger.recordOnce(events, proof)),
    };
  }

  /**
   * Holds an answer until it is on record. Throws {@link LedgerBusy}, before the record, when the answers
   * that wait would be too large together. An answer of any size may wait alone.
   */
  async holding<T>(bytes: number, record: () => Promise<T>): Promise<T> {
    if (bytes > 0 && this.#bytes > 0 && this.#bytes + bytes > bytesMax) throw new LedgerBusy();
    this.#bytes += bytes;
    try {
      return await record();
    } finally {
      this.#bytes -= bytes;
    }
  }
}
