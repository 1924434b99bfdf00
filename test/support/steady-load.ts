import { setTimeout as wait } from "node:timers/promises";

/** An answer's status, and when its last byte was there, in milliseconds since 1970. */
interface Answer {
  readonly at: number;
  readonly status: number;
}

export interface SteadyLoad {
  readonly answers: readonly Answer[];
  /** Resolves when the last answer is there; rejects when asking ever failed. */
  end(): Promise<void>;
}

/** Asks from now on, one request after another, with a pause between them that is half of this to one and a half, by chance. */
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
  going.catch(() => {}); // told by `end`
  return {
    answers,
    async end() {
      ending.abort();
      await going;
    },
  };
}
