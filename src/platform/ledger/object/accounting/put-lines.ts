import type { ProvableLine } from "./accounting-shelf.ts";
import { inTurns } from "#platform/in-turns";
import { within } from "#platform/within";

/** Takes lines and stores all or none. "other": a different line is in the place of a line. */
export interface LineReceiver {
  put(lines: readonly ProvableLine[]): Promise<"kept" | "other">;
}

const LINES_A_CALL = 500;
const BYTES_A_CALL = 1_048_576; // sealed they are one row of an intake, and the row limit is 2 MB
const PATIENCE_MS = 10_000;
const FAILURES_MAX = 6; // then no further object is asked: if all are down, each would cost a timeout

/**
 * Puts lines in the objects of these names, in calls of bounded size, a few at once. `onResult` receives the
 * result of each call. A failed call does not stop the rest. Returns the number of calls.
 */
export async function putLines(
  places: Iterable<readonly [name: string, lines: readonly ProvableLine[]]>,
  receiverOf: (name: string) => LineReceiver,
  onResult: (name: string, lines: readonly ProvableLine[], ended: "kept" | "other" | "failed") => void,
): Promise<number> {
  const calls = [...places].flatMap(([name, lines]) => chunks(lines).map((chunk) => ({ name, chunk })));
  let failures = 0;
  await inTurns(calls, async ({ name, chunk }) => {
    const ended = failures < FAILURES_MAX ? await tried(receiverOf(name), chunk) : "failed";
    if (ended === "failed") failures += 1;
    onResult(name, chunk, ended);
  });
  return calls.length;
}

async function tried(
  receiver: LineReceiver,
  lines: readonly ProvableLine[],
): Promise<"kept" | "other" | "failed"> {
  try {
    return await within(PATIENCE_MS, receiver.put(lines), "accounting: no answer in time");
  } catch {
    return "failed"; // the caller logs it
  }
}

function chunks(lines: readonly ProvableLine[]): readonly (readonly ProvableLine[])[] {
  const all: ProvableLine[][] = [];
  let bytes = 0;
  for (const line of lines) {
    const size = line.content.length + (line.consents?.length ?? 0) + 33 * line.path.length + 128;
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
