import { type FrameRange, rangeText, RANGES_A_LIST, readRanges, splitFrames } from "#ledger/frame-copies";
import type { LogReader } from "#ledger/ports";
import { parseCheckpointText } from "#ledger/tlog/checkpoint";
import { readNote } from "#ledger/tlog/signed-note";
import { TILE_WIDTH, tilePath } from "#ledger/tlog/tile";

const AHEAD_MAX = 32;
const AHEAD_AT_FIRST = 4; // until the size of an object is known
/** Of objects that are asked for ahead, by the largest that came. */
const AHEAD_BYTES = 33_554_432;

/** An object by its path below the log; undefined when the log does not have it. */
type ReadObject = (path: string) => Promise<Uint8Array | undefined>;

/**
 * A log whose objects are asked for ahead of a check, which reads them in their order: joined frames where the
 * second copy has them (docs/ledger-format.md §2), and single frames after it. The lists and the sizes that the
 * ledger states decide only what is asked for.
 */
export function readAhead(object: ReadObject): LogReader {
  let frames: FrameRun | undefined;
  let head = { size: 0, last: -1 };
  const entries = new Run(bytesOf);
  const hashes = new Run(bytesOf);
  return {
    async checkpoint() {
      const note = await object("checkpoint");
      const read = note && readNote(note);
      const stated = read?.ok === true ? parseCheckpointText(read.value.text) : undefined;
      if (stated?.ok === true) head = { size: stated.value.size, last: stated.value.frame?.number ?? -1 };
      frames = undefined;
      return note;
    },
    tile(level, index, width) {
      const path = `tile/${level}/${tilePath(index, width)}`;
      if (level > 0 || width < TILE_WIDTH) return object(path);
      const end = Math.floor(head.size / TILE_WIDTH);
      return hashes.get(index, end, (next) => object(`tile/0/${tilePath(next, TILE_WIDTH)}`));
    },
    entries(index, width) {
      if (width < TILE_WIDTH) return object(`tile/entries/${tilePath(index, width)}`);
      const end = Math.floor(head.size / TILE_WIDTH);
      return entries.get(index, end, (next) => object(`tile/entries/${tilePath(next, TILE_WIDTH)}`));
    },
    async frame(number) {
      if (number > head.last) return object(`frame/${number}`);
      if (frames === undefined || number === 0)
        frames = new FrameRun(object, await listCopies(object, number, head.last), head.last);
      return frames.frame(number);
    },
  };
}

const bytesOf = (bytes: Uint8Array | undefined): number => bytes?.length ?? 0;

/** Objects by number that are asked for ahead of a reader which takes them in their order. */
class Run<T> {
  readonly #weigh: (object: T) => number;
  readonly #begun = new Map<number, Promise<T>>();
  #ahead = AHEAD_AT_FIRST;
  #largest = 0;
  #next = 0;

  constructor(weigh: (object: T) => number) {
    this.#weigh = weigh;
  }

  /** @param end the number after the last. */
  async get(number: number, end: number, ask: (number: number) => Promise<T>): Promise<T> {
    if (number !== this.#next) this.#begun.clear();
    this.#next = number + 1;
    for (let next = number; next < Math.min(number + this.#ahead, end); next++) void this.#begin(next, ask);
    const begun = this.#begin(number, ask);
    this.#begun.delete(number);
    const object = await begun;
    this.#largest = Math.max(this.#largest, this.#weigh(object), 1);
    this.#ahead = Math.min(AHEAD_MAX, Math.max(1, Math.floor(AHEAD_BYTES / this.#largest)));
    return object;
  }

  #begin(number: number, ask: (number: number) => Promise<T>): Promise<T> {
    const begun = this.#begun.get(number) ?? ask(number);
    begun.catch(() => undefined); // it fails when the reader takes it
    this.#begun.set(number, begun);
    return begun;
  }
}

/** The objects of the second copy, from the one with frame `from`, as far as they leave out no frame. */
async function listCopies(object: ReadObject, from: number, last: number): Promise<FrameRange[]> {
  const ranges: FrameRange[] = [];
  for (let next = from; next <= last;) {
    const bytes = await object(`frames/from/${next}`);
    const listed = (bytes && readRanges(bytes)) ?? [];
    for (const range of listed) {
      if (range.first > next) return ranges;
      if (range.last < next) continue; // after a loss ranges overlap
      ranges.push(range);
      next = range.last + 1;
    }
    if (listed.length < RANGES_A_LIST) return ranges;
  }
  return ranges;
}

type JoinedFrames = readonly Uint8Array[] | undefined; // undefined for an object that is absent

/** The frames of a log from a frame on, in their order. */
class FrameRun {
  readonly #object: ReadObject;
  readonly #copies: readonly FrameRange[];
  readonly #last: number;
  readonly #joined = new Run<JoinedFrames>((frames = []) =>
    frames.reduce((sum, frame) => sum + frame.length, 0),
  );
  readonly #single = new Run(bytesOf);
  #at = -1; // of the object that was taken last
  #taken: JoinedFrames;

  constructor(object: ReadObject, copies: readonly FrameRange[], last: number) {
    this.#object = object;
    this.#copies = copies;
    this.#last = last;
  }

  async frame(number: number): Promise<Uint8Array | undefined> {
    const at = this.#indexOf(number);
    const range = this.#copies[at];
    if (range !== undefined && at !== this.#at) {
      this.#taken = await this.#joined.get(at, this.#copies.length, async (next) => this.#read(next));
      this.#at = at;
    }
    if (range !== undefined && this.#taken !== undefined) return this.#taken[number - range.first];
    const end = Math.min(range?.last ?? Infinity, this.#last) + 1;
    return this.#single.get(number, end, (next) => this.#object(`frame/${next}`));
  }

  /** The object with a frame; -1 without one. The frames come in their order. */
  #indexOf(number: number): number {
    for (let at = Math.max(this.#at, 0); at < this.#copies.length; at++) {
      const { first, last } = this.#copies[at] ?? { first: 0, last: -1 };
      if (number <= last) return number >= first ? at : -1;
    }
    return -1;
  }

  async #read(at: number): Promise<JoinedFrames> {
    const range = this.#copies[at];
    const joined = range && (await this.#object(`frames/${rangeText(range)}`));
    // Bytes that are no joined frames stand in place of the first frame, so that the check names it.
    return joined && (splitFrames(joined) ?? [joined]);
  }
}
