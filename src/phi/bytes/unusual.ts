import type { GuardedBases } from "#phi/origin-urls";

/**
 * The bytes are unusual or malformed: the plain engine reads them and decides. It is the only thing that the
 * byte engine itself throws, and says nothing about the bytes.
 */
export const unusual: Error = new Error("left to the plain engine");

/**
 * The end of a reading that threw: the row is left to the plain engine, which judges it behind the barrier around
 * the row. A fault of a judge or of this engine is noted.
 */
export function leave(fault: unknown, { barrier }: GuardedBases): undefined {
  if (fault !== unusual) barrier.note(fault);
  return undefined;
}
