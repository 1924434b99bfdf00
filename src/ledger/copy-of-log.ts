import { utf8 } from "#kernel/encoded";
import { joinFrames } from "#ledger/frame-copies";
import {
  checkpointKey,
  emptyExtent,
  flushEnd,
  type LogExtent,
  objectKey,
  objectsBetween,
} from "#ledger/flush";
import { parseFrame } from "#ledger/leaf/frame";
import type { LogReader } from "#ledger/ports";
import { readNote, signatureLine } from "#ledger/tlog/signed-note";
import { TILE_WIDTH } from "#ledger/tlog/tile";

/** An object of the second copy in R2, with its key. */
export interface CopyObject {
  readonly key: string;
  readonly bytes: Uint8Array;
}

interface WaitingFrame extends LogExtent {
  readonly number: number;
  readonly bytes: number;
  readonly frame: Uint8Array;
}

/**
 * The second copy of a whole log, as a ledger that flushed it would have written it (docs/ledger-format.md §10).
 * The log must be verified. Throws when the reader throws, or lacks an object.
 */
export async function* copyOfLog(
  reader: LogReader,
  origin: string,
  extent: LogExtent,
): AsyncGenerator<CopyObject> {
  let waiting: readonly WaitingFrame[] = [];
  const joined = function* (isLast: boolean): Generator<CopyObject> {
    for (;;) {
      const end = flushEnd(waiting)?.frames ?? 0;
      const [first] = waiting;
      if (first === undefined || (!isLast && end > (waiting.at(-1)?.number ?? 0))) return;
      const frames = waiting.filter(({ number }) => number < end);
      const key = objectKey(origin, { kind: "frames", first: first.number, last: end - 1 });
      yield { key, bytes: joinFrames(frames.map(({ frame }) => frame)) };
      waiting = waiting.slice(frames.length);
    }
  };
  for (let number = 0; number < extent.frames; number++) {
    const frame = present(await reader.frame(number), `frame/${number}`);
    const read = parseFrame(frame);
    if (!read.ok) throw new Error(`frame/${number}: ${read.error}`);
    waiting = [...waiting, { number, frames: number + 1, size: read.value.size, bytes: frame.length, frame }];
    yield* joined(false);
  }
  yield* joined(true);
  for (const object of objectsBetween(emptyExtent, extent)) {
    if (object.kind === "frames") continue;
    const key = objectKey(origin, object);
    const { index } = object;
    const bytes =
      object.kind === "entries"
        ? await reader.entries(index, TILE_WIDTH)
        : await reader.tile(object.level, index, TILE_WIDTH);
    yield { key, bytes: present(bytes, key) };
  }
  const note = readNote(present(await reader.checkpoint(), "checkpoint"));
  if (!note.ok) throw new Error(`checkpoint: ${note.error}`);
  // The copy of the root log's checkpoint is without cosignatures.
  const own = note.value.signatures.filter(({ name }) => name === origin);
  const lines = own.map((signature) => signatureLine(signature, signature.bytes)).join("");
  yield { key: checkpointKey(origin), bytes: utf8(`${note.value.text}\n${lines}`) };
}

function present(bytes: Uint8Array | undefined, object: string): Uint8Array {
  if (bytes === undefined) throw new Error(`${object} is missing`);
  return bytes;
}
