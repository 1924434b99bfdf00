import { before, comparePlaces, type LinePlace } from "./line-place.ts";

/**
 * The number of further rows of a source that may be read for a page. Withheld rows have a separate budget,
 * and each source has its own: the end of a page then does not reveal withheld rows.
 */
export interface RowBudget {
  readonly rows: number;
  readonly withheld: number;
}

/** A part of the lines of a source, in the order of their places. */
export interface LinePart<L extends LinePlace> {
  readonly lines: readonly L[];
  /** Every line up to this place was examined; undefined: up to the end. */
  readonly upTo: LinePlace | undefined;
  /** The rows read for this part. */
  readonly read: RowBudget;
}

/** The lines of a single patient, which are stored together. */
export type LineSource<L extends LinePlace> = (
  after: LinePlace | undefined,
  left: RowBudget,
) => Promise<LinePart<L>>;

/**
 * Takes the lines of all sources in the order of their places, starting after a place, until `take` refuses a
 * line or a source's budget is used up. Returns the place after which the next page starts; undefined if
 * there are no more lines.
 */
export async function mergeLines<L extends LinePlace>(
  sources: readonly LineSource<L>[],
  after: LinePlace | undefined,
  budget: RowBudget,
  take: (line: L, source: number) => boolean,
): Promise<LinePlace | undefined> {
  const streams = sources.map((source) => ({
    source,
    lines: [] as L[],
    upTo: after,
    isEnded: false,
    left: budget,
  }));
  const read = async (stream: (typeof streams)[number]) => {
    const part = await stream.source(stream.upTo, stream.left);
    stream.left = {
      rows: stream.left.rows - part.read.rows,
      withheld: stream.left.withheld - part.read.withheld,
    };
    stream.lines = [...part.lines];
    stream.upTo = part.upTo ?? stream.upTo;
    stream.isEnded = part.upTo === undefined;
  };
  for (;;) {
    for (const stream of streams)
      while (stream.lines.length === 0 && !stream.isEnded && stream.left.rows > 0 && stream.left.withheld > 0)
        await read(stream);
    const limits = streams
      .filter(({ lines, isEnded }) => lines.length === 0 && !isEnded)
      .flatMap(({ upTo }) => upTo ?? []);
    const limit = limits.toSorted(comparePlaces)[0];
    const [next] = streams
      .flatMap(({ lines: [line] }, source) => (line === undefined ? [] : [{ line, source }]))
      .toSorted((one, other) => comparePlaces(one.line, other.line));
    if (next === undefined || (limit !== undefined && comparePlaces(next.line, limit) > 0)) return limit;
    if (!take(next.line, next.source)) return before(next.line);
    streams[next.source]?.lines.shift();
  }
}
