import type { IndexedLine } from "./accounting-shelf.ts";
import { inTurns } from "#platform/in-turns";
import { within } from "#platform/within";

/** Takes lines and keeps all or none. "other": another line is in the place of one of them. */
export interface LineReceiver {
  put(lines: readonly IndexedLine[]): Promise<"kept" | "other">;
}

const LINES_A_CALL = 500;
const BYTES_A_CALL = 1_048_576; // sealed they are one row of an intake, and the row limit is 2 MB
const PATIENCE_MS = 10_000;
const FAILURES_MAX = 6; // then nobody is asked any more: where all are away each would be waited for

/**
 * Puts lines where they belong, by name, in calls of bounded size, a few at once. `told` hears how each call ended; the others go on where
 * one fails. Answers how many calls it made.
 */
export async function putLines(
  places: Iterable<readonly [name: string, lines: readonly IndexedLine[]]>,
  keeperOf: (name: string) => LineReceiver,
  told: (name: string, lines: readonly IndexedLine[], ended: "kept" | "other" | "failed") => void,
): Promise<number> {
  const calls = [...places].flatMap(([name, lines]) => chunks(lines).map((chunk) => ({ name, chunk })));
  let failures = 0;
  await inTurns(calls, async ({ name, chunk }) => {
    const ended = failures < FAILURES_MAX ? await tried(keeperOf(name), chunk) : "failed";
    if (ended === "failed") failures += 1;
    told(name, chunk, ended);
  });
  return calls.length;
}

async function tried(
  keeper: LineReceiver,
  lines: readonly IndexedLine[],
): Promise<"kept" | "other" | "failed"> {
  try {
    return await within(PATIENCE_MS, keeper.put(lines), "accounting: no answer in time");
  } catch {
    return "failed"; // who asked says so in the log
  }
}

function chunks(lines: readonly IndexedLine[]): readonly (readonly IndexedLine[])[] {
  const all: IndexedLine[][] = [];
  let bytes = 0;
  for (const line of lines) {
    const size = line.content.length + 33 * line.path.length + 128;
    const last = all.at(-1);
    bytes += size;
    if (last !== undefined && last.length < LINES_A_CALL && bytes <= BYTES_A_CALL) last.push(line);
    else {
      all.push([line]);
      bytes = size;
    }
  }
  return all;
}
