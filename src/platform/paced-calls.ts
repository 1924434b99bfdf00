import { CALLS_AT_ONCE } from "./in-turns.ts";

/**
 * A turn of the event loop: all that waits for the thread of an object goes on. It takes about a millisecond, and some
 * 30 µs of CPU.
 */
export const turn = (): Promise<void> => scheduler.wait(0);

/**
 * Makes calls of a Durable Object whose thread has other work, too: prepares a call and starts it, six open at
 * most, and lets a turn pass after each six. After a fault it starts no further call. Returns the faults once no call
 * is open any more.
 */
export async function pacedCalls<T>(
  items: Iterable<T>,
  prepare: (item: T) => Promise<() => Promise<void>>,
): Promise<readonly unknown[]> {
  const open = new Set<Promise<void>>();
  const faults: unknown[] = [];
  const ended = async (call: () => Promise<void>): Promise<void> => {
    try {
      await call();
    } catch (fault) {
      faults.push(fault);
    }
  };
  const start = (call: () => Promise<void>): void => {
    const one = ended(call).finally(() => open.delete(one));
    open.add(one);
  };
  let started = 0;
  try {
    for (const item of items) {
      if (open.size >= CALLS_AT_ONCE) await Promise.race(open);
      if (faults.length > 0) break;
      start(await prepare(item));
      started += 1;
      // A turn for each call would double the CPU of the calls: writes that end together are stored together.
      if (started % CALLS_AT_ONCE === 0) await turn();
    }
  } catch (fault) {
    faults.push(fault);
  }
  await Promise.all(open);
  return faults;
}
