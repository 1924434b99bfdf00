import { parseLogName } from "#ledger/log-name";

/** Where a line stands in the ledger: no two lines have one place. */
export interface LinePlace {
  readonly log: string;
  readonly index: number; // of the leaf
  readonly line: number;
}

/**
 * The one order of places: half-year, shard, leaf, line. A log only grows, so that a new line stands after
 * every older line of its log.
 */
export function comparePlaces(one: LinePlace, other: LinePlace): number {
  return compareLogs(one.log, other.log) || one.index - other.index || one.line - other.line;
}

/** Half-years in their order, and in each the shards by their numbers. */
export function compareLogs(one: string, other: string): number {
  const [first, second] = [nameOf(one), nameOf(other)];
  if (first.halfYear !== second.halfYear) return first.halfYear < second.halfYear ? -1 : 1;
  return first.shard - second.shard;
}

/** The last place before this one. */
export const before = ({ log, index, line }: LinePlace): LinePlace => ({ log, index, line: line - 1 });

/** `<log>/<leaf index>/<line number>`. */
export const placeText = ({ log, index, line }: LinePlace): string => `${log}/${index}/${line}`;

// The longest log name, leaf index and line number: so the length of a place tells nothing of the place.
const [logWidth, indexWidth, lineWidth] = [13, 16, 6] as const;

/** A place as text of one length, whatever the place is. */
export const writeLinePlace = ({ log, index, line }: LinePlace): string =>
  `${log.padEnd(logWidth)}/${String(index).padStart(indexWidth)}/${String(line).padStart(lineWidth)}`;

/** Reads what `writePlace` wrote; undefined for any other text. */
export function readLinePlace(text: string): LinePlace | undefined {
  const [log = "", index = "", line = "", more] = text.split("/").map((part) => part.trim());
  const isPlace =
    more === undefined &&
    parseLogName(log) !== undefined &&
    /^\d{1,16}$/u.test(index) &&
    /^(?:-1|\d{1,6})$/u.test(line);
  return isPlace ? { log, index: Number(index), line: Number(line) } : undefined;
}

/** Of a log whose name this version does not know the order is only the same each time. */
const nameOf = (log: string) => parseLogName(log) ?? { halfYear: log, shard: 0 };
