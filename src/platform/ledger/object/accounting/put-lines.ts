import type { ProvableLine } from "./accounting-shelf.ts";
import { pacedCalls } from "#platform/paced-calls";
import { within } from "#platform/within";

/** The result of a call. "other": a different line is in the place of a line. "failed": stored or not. */
export type Ended = "kept" | "other" | "failed";

/** A prepared call of an object that takes lines and stores all or none. */
export type LineCall = () => Promise<"kept" | "other">;

const LINES_A_CALL = 500;
const BYTES_A_CALL = 1_048_576; // sealed they are one row of an intake, and the row limit is 2 MB
const PATIENCE_MS = 10_000;
const FAILURES_MAX = 6; // then no further object is asked: if all are down, each would cost a timeout

/**
 * Puts lines in the objects of these names, in calls of bounded size, a few at once. `onResult` receives the
 * result of each call. A failed call does not stop the rest. Returns the number of calls. Throws when lines
 * cannot be prepared.
 */
export async function putLines<Line>(
  places: Iterable<readonly [name: string, lines: readonly Line[]]>,
  sizeOf: (line: Line) => number,
  prepare: (name: string, lines: readonly Line[]) => Promise<LineCall>,
  onResult: (name: string, lines: readonly Line[], ended: Ended) => void,
): Promise<number> {
  // Lines are divided call by call: the lines of a whole drain at once stop the object's thread for milliseconds.
  function* calls() {
    for (const [name, lines] of places) for (const chunk of lineChunks(lines, sizeOf)) yield { name, chunk };
  }
  let [count, failures] = [0, 0];
  const faults = await pacedCalls(calls(), async ({ name, chunk }) => {
    count += 1;
    const call = failures < FAILURES_MAX ? await prepare(name, chunk) : undefined;
    return async () => {
      const ended = call === undefined ? "failed" : await tried(call);
      if (ended === "failed") failures += 1;
      onResult(name, chunk, ended);
    };
  });
  if (faults.length > 0) throw faults[0];
  return count;
}

async function tried(call: LineCall): Promise<Ended> {
  try {
    return await within(PATIENCE_MS, call(), "accounting: no answer in time");
  } catch {
    return "failed"; // the caller logs it
  }
}

/** At least the bytes of a line in a call. `path`: the hashes of its proof. */
export const bytesInCall = (content: Uint8Array, consents: Uint8Array | undefined, path: number): number =>
  content.length + (consents?.length ?? 0) + 33 * path + 128;

export const sizeOfLine = ({ content, consents, path }: ProvableLine): number =>
  bytesInCall(content, consents, path.length);

/** Lines in parts that a call may bring: sealed, each is a row of an intake. */
export function* lineChunks<Line>(
  lines: readonly Line[],
  sizeOf: (line: Line) => number,
): Generator<readonly Line[]> {
  let chunk: Line[] = [];
  let bytes = 0;
  for (const line of lines) {
    const size = sizeOf(line);
    if (chunk.length > 0 && (chunk.length >= LINES_A_CALL || bytes + size > BYTES_A_CALL)) {
      yield chunk;
      [chunk, bytes] = [[], 0];
    }
    chunk.push(line);
    bytes += size;
  }
  if (chunk.length > 0) yield chunk;
}
