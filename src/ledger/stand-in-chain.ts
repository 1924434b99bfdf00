import { standInsOf } from "./log-name.ts";

/**
 * Asks a log, then the log that stands in for it, and so on to the log that takes the records. The answers are in
 * this order. A log whose answer names no stand-in ends the chain.
 */
export async function askWithStandIns<T extends { readonly standIn: string | null }>(
  log: string,
  ask: (log: string) => Promise<T>,
): Promise<readonly T[]> {
  const answer = await ask(log);
  const { standIn } = answer;
  // Each stand-in comes later in the order of names, so a chain ends.
  if (standIn === null || !standInsOf(log).includes(standIn)) return [answer];
  return [answer, ...(await askWithStandIns(standIn, ask))];
}
