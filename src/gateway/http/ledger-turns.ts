import type { Instant } from "#kernel/clock";

// Long enough for the requests of some commits, and short enough that many isolates load all logs alike.
const turnMilliseconds = 250;

/**
 * The turns of an isolate. The requests of a turn meet in one log, where a client's own logs allow it, so that
 * they share its commits (ADR 72). The next turn prefers a log by chance.
 */
export class LedgerTurns {
  #turn = "";
  #ends = -Infinity;

  /** The turn of a request at an instant: the id of the turn's first request. All its records go by it. */
  of(requestId: string, at: Instant): string {
    // A clock that was set back ends the turn, too.
    if (at >= this.#ends || at < this.#ends - turnMilliseconds) {
      this.#turn = requestId;
      this.#ends = at + turnMilliseconds;
    }
    return this.#turn;
  }
}
