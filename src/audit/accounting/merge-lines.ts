import { before, comparePlaces, type LinePlace } from "./line-place.ts";

/**
 * How many more rows of a source may be read for a page. Withheld rows have a budget of their own, and each
 * source has one of its own: so withheld rows do not show in where a page ends.
 */
export interface RowBudget {
  readonly rows: number;
  readonly withheld: number;
}

/** A part of the lines of one source, in the order of their places. */
export interface LinePart<L extends LinePlace> {
  readonly lines: readonly L[];
  /** Everything up to this place was looked at; undefined: to the end. */
  readonly upTo: LinePlace | undefined;
  /** What was read for it. */
  readonly read: RowBudget;
}

/** Lines that lie together: those of one patient. */
export type LineSource<L extends LinePlace> = (
  after: LinePlace | undefined,
  left: RowBudget,
) => Promise<LinePart<L>>;

/**
 * Takes the lines of all sources in the order of their places, from after a place on, until `take` says that
 * there is no room for one or a source's budget is used up. Answers the place after which the next page goes
 * on; undefined when there is no more.
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
