import { placeIn } from "./sorted-texts.ts";
import type { SearchRange } from "./search-range.ts";

/** A searched span and its prefix (R4 §3.1.1.4.5); `undefined`: the value is no span. */
export interface SearchedRange {
  readonly prefix: string;
  readonly span: SearchRange | undefined;
}

/**
 * Spans by their first end: whether one of them has its first end up to `x` and its second from `y` on is one look.
 */
class Spans {
  readonly #lows: readonly number[];
  /** The highest second end of the spans up to this one. */
  readonly #highs: readonly number[];

  constructor(spans: readonly (readonly [low: number, high: number])[]) {
    const sorted = spans.toSorted(([a], [b]) => a - b);
    this.#lows = sorted.map(([low]) => low);
    let most = Number.NEGATIVE_INFINITY;
    this.#highs = sorted.map(([, high]) => (most = Math.max(most, high)));
  }

  hasAround(x: number, y: number): boolean {
    const before = this.#highs[placeIn(this.#lows, (low) => low <= x) - 1];
    return before !== undefined && before >= y;
  }
}

const [most, least] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
const lowest = (all: readonly number[]): number => all.reduce((a, b) => Math.min(a, b), most);
const highest = (all: readonly number[]): number => all.reduce((a, b) => Math.max(a, b), least);

/** Answers whether one of many searched spans finds a span of a row. */
export type RangeFinder = (span: SearchRange | undefined) => boolean;

const spansIn = (searched: readonly SearchedRange[], ...prefixes: readonly string[]) =>
  searched.flatMap(({ prefix, span }) => (span !== undefined && prefixes.includes(prefix) ? [span] : []));

/** R4's own reading of the prefixes. */
export function exactRangeFinder(searched: readonly SearchedRange[]): RangeFinder {
  const within = new Spans(spansIn(searched, "eq", "ge", "le").map(({ low, high }) => [low, high]));
  const notWithin = spansIn(searched, "ne");
  const [neLow, neHigh] = [
    highest(notWithin.map(({ low }) => low)),
    lowest(notWithin.map(({ high }) => high)),
  ];
  const above = lowest(spansIn(searched, "gt", "ge").map(({ high }) => high));
  const below = highest(spansIn(searched, "lt", "le").map(({ low }) => low));
  // a number is no span: 5 does not start after 5
  const isSpan = ({ low, high }: SearchRange) => low < high;
  const [after, before] = [spansIn(searched, "sa"), spansIn(searched, "eb")];
  const [spansAfter, spansBefore] = [after.filter(isSpan), before.filter(isSpan)];
  const firstEnd = lowest(spansAfter.map(({ high }) => high));
  const lastStart = highest(spansBefore.map(({ low }) => low));
  const firstPoint = lowest(after.filter((span) => !isSpan(span)).map(({ high }) => high));
  const lastPoint = highest(before.filter((span) => !isSpan(span)).map(({ low }) => low));
  return (span) =>
    span !== undefined &&
    (within.hasAround(span.low, span.high) ||
      span.low < neLow ||
      span.high > neHigh ||
      span.high > above ||
      span.low < below ||
      (spansAfter.length > 0 && span.low >= firstEnd) ||
      span.low > firstPoint ||
      (spansBefore.length > 0 && span.high <= lastStart) ||
      span.high < lastPoint);
}

/** Finds each span that some server finds, whatever its zone and its reading of the prefix. */
export function lenientRangeFinder(searched: readonly SearchedRange[]): RangeFinder {
  const known: ReadonlySet<string> = new Set(["eq", "gt", "ge", "sa", "lt", "le", "eb"]);
  // servers differ in `ne` and `ap`
  const isOpen = searched.some(({ prefix, span }) => span === undefined || !known.has(prefix));
  const wide = (...prefixes: readonly string[]) => spansIn(searched, ...prefixes).map(widened);
  const touching = new Spans(wide("eq"));
  const from = lowest(wide("gt", "ge", "sa").map(([low]) => low));
  const until = highest(wide("lt", "le", "eb").map(([, high]) => high));
  const [hasFrom, hasUntil] = [from !== most, until !== least];
  return (span) => {
    if (isOpen || span === undefined) return true;
    const [low, high] = widened(span);
    return touching.hasAround(high, low) || (hasFrom && high >= from) || (hasUntil && low <= until);
  };
}

const widened = ({ low, high, slack }: SearchRange): readonly [number, number] => [
  orOpen(low - slack, least),
  orOpen(high + slack, most),
];

/** A number beyond all numbers has a slack beyond all numbers: it may be anywhere. */
const orOpen = (number: number, open: number): number => (Number.isNaN(number) ? open : number);
