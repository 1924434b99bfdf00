import type { GuardedBases } from "#phi/origin-urls";
import { rowCounts, type WayToJudge } from "./row-counts.ts";

class LeftToPlain extends Error {
  readonly way: WayToJudge;

  constructor(way: WayToJudge) {
    super("left to the plain engine");
    this.way = way;
  }
}

/**
 * The bytes are unusual or malformed: the plain engine reads them and decides. It is the only thing that the
 * byte engine itself throws, and says nothing about the bytes.
 */
export const unusual: Error = new LeftToPlain("form");
/** Thrown by a judge: its decision reads more than the facts of the row. */
export const judgedWhole: Error = new LeftToPlain("judgement");

/**
 * The end of a reading that threw: the row is left to the plain engine, which judges it behind the barrier around
 * the row. A fault of a judge or of this engine is noted.
 */
export function leave(fault: unknown, { barrier }: GuardedBases): undefined {
  if (fault instanceof LeftToPlain) rowCounts.count(fault.way);
  else barrier.note(fault);
  return undefined;
}
