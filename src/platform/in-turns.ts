/** Connections that a Worker may have open at a time. */
export const CALLS_AT_ONCE = 6;

/** Runs the same work for each item, six at a time. */
export async function inTurns<T>(items: readonly T[], each: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += CALLS_AT_ONCE)
    await Promise.all(items.slice(at, at + CALLS_AT_ONCE).map(each));
}
