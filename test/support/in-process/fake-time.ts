import { setTimeout as realTimeout } from "node:timers/promises";
import { vi } from "vitest";

// A turn of the machine's time lets sockets, hashes and keys go on.
const [turnMilliseconds, stepMilliseconds] = [1, 10];

/**
 * Timers and the clock run ten times as fast as the machine's, and stand still while it is busy with something else:
 * a deadline of seconds passes in a fraction of it. `end` restores them.
 */
export function fakeTime(): {
  readonly passing: <T>(work: Promise<T>) => Promise<{ readonly value: T; readonly milliseconds: number }>;
  readonly end: () => void;
} {
  const scheduler: unknown = Reflect.get(globalThis, "scheduler");
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  const wait = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));
  Object.defineProperty(globalThis, "scheduler", { configurable: true, value: { wait } });
  return {
    async passing(work) {
      const begun = Date.now();
      const state = { isDone: false };
      const done = work.finally(() => (state.isDone = true));
      done.catch(() => undefined);
      while (!state.isDone) {
        await realTimeout(turnMilliseconds);
        if (!state.isDone) await vi.advanceTimersByTimeAsync(stepMilliseconds);
      }
      return { value: await done, milliseconds: Date.now() - begun };
    },
    end() {
      Object.defineProperty(globalThis, "scheduler", { configurable: true, value: scheduler });
      vi.useRealTimers();
    },
  };
}
