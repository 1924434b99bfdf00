import { instant, type Instant } from "#kernel/clock";

/** The origin answered 429 (`origin_throttled`) or 503, and said when to ask again. */
export type RestReason = "origin_throttled" | "failing";

interface Rest {
  readonly because: RestReason;
  readonly until: Instant;
}

/** An answer to a client states the origin's whole time. The gateway tries again after a minute at the latest. */
const restSecondsMax = 60;

/**
 * While all clients wait, a client that got no such answer may ask once in this time. Two clients that provoke such
 * answers on purpose would keep every client out of the origin otherwise.
 */
const trialMilliseconds = 5_000;

/**
 * The times until which an origin asked not to be called (`Retry-After`, RFC 9110 §10.2.3). A client with such an
 * answer waits; all clients wait if a second client gets such an answer meanwhile, until a trial is answered (ADR
 * 40).
 */
export class OriginRest {
  readonly #clients = new Map<string, Rest>();
  #all: Rest | undefined;
  #trialFrom = instant(0);

  noteRetryAfter(client: string, because: RestReason, seconds: number, at: Instant): void {
    const rest = { because, until: instant(at + Math.min(seconds, restSecondsMax) * 1_000) };
    for (const [name, { until }] of this.#clients) if (until <= at) this.#clients.delete(name);
    this.#clients.delete(client);
    if (this.#clients.size > 0) {
      this.#all = rest;
      this.#trialFrom = instant(at + trialMilliseconds);
    }
    this.#clients.set(client, rest);
  }

  /** The origin answered a request: further clients no longer wait. A client that got such an answer waits on. */
  noteAnswered(): void {
    this.#all = undefined;
  }

  /**
   * The reason and the time that remains, if the origin is not to be called for this client. The later of the
   * client's own time and the time of all counts: a shorter rest of all hides no longer rest of a client.
   */
  of(
    client: string,
    at: Instant,
  ): { readonly because: RestReason; readonly retryAfterSeconds: number } | undefined {
    const restOfClient = this.#clients.get(client);
    const isTold = restOfClient !== undefined && restOfClient.until > at;
    const rest = isTold && restOfClient.until >= (this.#all?.until ?? 0) ? restOfClient : this.#all;
    if (rest === undefined || rest.until <= at) return undefined;
    if (!isTold && at >= this.#trialFrom) {
      this.#trialFrom = instant(at + trialMilliseconds);
      return undefined;
    }
    return { because: rest.because, retryAfterSeconds: Math.ceil((rest.until - at) / 1_000) };
  }
}
