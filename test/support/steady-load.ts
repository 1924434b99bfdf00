import { setTimeout as wait } from "node:timers/promises";

/** An answer's status, and the time of its last byte, in milliseconds since 1970. */
interface Answer {
  readonly at: number;
  readonly status: number;
}

export interface SteadyLoad {
  readonly answers: readonly Answer[];
  /** Resolves when the last answer is there. Rejects when a request failed. */
  end(): Promise<void>;
}

/**
 * Sends requests in turn from now on, with a random pause between half of `pauseMilliseconds` and
 * one and a half times it.
 */
export function steadyLoad(ask: () => Promise<number>, pauseMilliseconds: number): SteadyLoad {
  const answers: Answer[] = [];
  const ending = new AbortController();
  const going = (async () => {
    while (!ending.signal.aborted) {
      const status = await ask();
      answers.push({ at: Date.now(), status });
      await wait(pauseMilliseconds * (0.5 + Math.random()));
    }
  })();
  going.catch(() => {}); // `end` reports it
  return {
    answers,
    async end() {
      ending.abort();
      await going;
    },
  };
}
