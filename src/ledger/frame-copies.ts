import { utf8 } from "#kernel/encoded";
import { Cursor } from "#ledger/bytes/cursor";
import { fromUtf8, u32 } from "#ledger/bytes/bytes";
import { FRAME_BYTES_MAX } from "#ledger/leaf/frame";
import { decimal } from "#ledger/tlog/checkpoint";

const magic = utf8("PXC1");

/** The first and the last frame in an object of the second copy. */
export interface FrameRange {
  readonly first: number;
  readonly last: number;
}

/** The longest object that a log serves: joined frames of which one is as long as the format allows. */
export const OBJECT_BYTES_MAX = FRAME_BYTES_MAX + 8;

/** The most lines of a list of these objects. */
export const RANGES_A_LIST = 1000;

/** `<a>-<b>`, as in the key of the object. */
export const rangeText = ({ first, last }: FrameRange): string => `${first}-${last}`;

/** Undefined for a text that `rangeText` does not write. */
export function readRange(text: string): FrameRange | undefined {
  const [from, to, ...more] = text.split("-");
  const [first, last] = [decimal(from), decimal(to)];
  const isRange = first !== undefined && last !== undefined && first <= last && more.length === 0;
  return isRange ? { first, last } : undefined;
}

/** The list of objects at a public address: a line each. */
export const rangesText = (ranges: readonly FrameRange[]): string =>
  ranges.map((range) => `${rangeText(range)}\n`).join("");

/** The ranges of a list; undefined for bytes that `rangesText` does not write. */
export function readRanges(bytes: Uint8Array): FrameRange[] | undefined {
  const lines = fromUtf8(bytes)?.split("\n") ?? [];
  const ranges = lines.slice(0, -1).flatMap((line) => readRange(line) ?? []);
  return lines.at(-1) === "" && ranges.length === lines.length - 1 && ranges.length <= RANGES_A_LIST
    ? ranges
    : undefined;
}

/** Joins frames into an object: "PXC1" | (u32 length, frame)*. Big-endian. */
export function joinFrames(frames: readonly Uint8Array[]): Uint8Array {
  const bytes = frames.reduce((sum, { length }) => sum + length, 0);
  const joiner = new FrameJoiner(frames.length, bytes);
  for (const frame of frames) joiner.add(frame);
  return joiner.bytes;
}

/** Joins frames like `joinFrames`, one after another. It needs their number and their bytes first. */
export class FrameJoiner {
  readonly bytes: Uint8Array;
  #length = magic.length;

  constructor(frames: number, bytes: number) {
    this.bytes = new Uint8Array(magic.length + 4 * frames + bytes);
    this.bytes.set(magic);
  }

  /** The bytes that are joined so far. */
  get length(): number {
    return this.#length;
  }

  /** Throws a RangeError for more bytes than it was made for. */
  add(frame: Uint8Array): void {
    this.bytes.set(u32(frame.length), this.#length);
    this.bytes.set(frame, this.#length + 4);
    this.#length += 4 + frame.length;
  }
}

/**
 * The frames of an object that `joinFrames` made, as views into `bytes`. Undefined when the bytes are not a
 * whole number of frames, or are empty.
 */
export function splitFrames(bytes: Uint8Array): Uint8Array[] | undefined {
  const cursor = new Cursor(bytes);
  if (!magic.every((byte) => byte === cursor.u8())) return undefined;
  const frames: Uint8Array[] = [];
  while (cursor.remaining > 0 && !cursor.short) frames.push(cursor.bytes(cursor.u32()));
  return cursor.finished && frames.length > 0 ? frames : undefined;
}

/**
 * The offsets at which the frames of an object begin; the last entry is where the next frame would begin.
 * Frame `i` is `offsets[i + 1] - 4 - offsets[i]` bytes long. Undefined when the object is not a whole number
 * of frames, or is empty. Only a chunk of the object is in memory at a time.
 */
export async function frameOffsets(object: AsyncIterable<Uint8Array>): Promise<Uint32Array | undefined> {
  const offsets: number[] = [];
  const head = new Uint8Array(4); // the magic, then the length of each frame in turn
  let [at, filled, next] = [0, 0, 0]; // `next`: offset of the four bytes that are read into `head`
  for await (const chunk of object) {
    const end = at + chunk.length;
    while (next + filled < end) {
      const from = Math.max(next + filled, at) - at;
      const taken = chunk.subarray(from, from + 4 - filled);
      head.set(taken, filled);
      filled += taken.length;
      if (filled < 4) break;
      if (next === 0 && !magic.every((byte, i) => byte === head[i])) return undefined;
      if (next > 0) offsets.push(next + 4);
      next += 4 + (next === 0 ? 0 : new DataView(head.buffer).getUint32(0));
      filled = 0;
    }
    at = end;
  }
  return at === next && filled === 0 && offsets.length > 0 ? Uint32Array.of(...offsets, next + 4) : undefined;
}
